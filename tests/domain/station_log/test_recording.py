"""What was said is kept, in order, or its loss is; and nobody waits for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from uuid_utils.compat import uuid7

from domain import station_log, stations
from domain.actor import Actor
from domain.bus import Message
from domain.errors import Unavailable
from domain.page import PageRequest
from domain.station_log import (
    Direction,
    Draft,
    EntryKind,
    Recorder,
    Secrets,
    StationLogEntry,
    StationLogRules,
    Stranger,
)
from domain.work import Work, Workplace
from tests.factories import a_station
from tests.tester import Tester
from voltgraph.settings import Settings
from voltgraph.wiring import House

pytestmark = pytest.mark.anyio


class Scribe:
    """Everything said is a payload."""

    def __init__(self, tester: Tester, station_id: UUID) -> None:
        self.tenant_id = tester.tenant_id
        self.station_id = station_id
        self.secrets = Secrets()
        self._clock = tester.clock

    def put(self, said: Any) -> Draft | None:
        return None if said is None else Draft(self._clock(), Direction.IN, EntryKind.CALL, "Say", "1", said)


class Shaky(Workplace):
    """The same house, whose database can be away."""

    away = False

    def __init__(self, house: Workplace) -> None:
        super().__init__(house.engine, ports=house._ports, clock=house.clock)

    @asynccontextmanager
    async def open_work(self, actor: Actor, **given: Any) -> AsyncIterator[Work]:
        if self.away:
            raise Unavailable("the database is not reachable")
        async with super().open_work(actor, **given) as work:
            yield work


def recorder(tester: Tester, **limits: int) -> Recorder:
    return Recorder(tester.workplace, StationLogRules(), **limits)


async def kept(tester: Tester, station_id: UUID) -> list[StationLogEntry]:
    async with tester.work(read_only=True) as work:
        return list((await station_log.listed(work, PageRequest(500), station_id=station_id)).rows)


async def said(tester: Tester, station_id: UUID) -> list[Any]:
    """The oldest first."""
    return [entry.payload for entry in reversed(await kept(tester, station_id))]


async def test_what_was_said_is_kept_in_its_order(acme: Tester, rival: Tester) -> None:
    recording = recorder(acme)
    ours, theirs = await a_station(acme), await a_station(rival)
    line, other = Scribe(acme, ours.id), Scribe(rival, theirs.id)
    acme.clock.now = acme.clock()  # all of it in one moment

    for number in range(3):
        recording.take(line, {"n": number}, 10)
        recording.take(other, {"of": "rival"}, 10)
    recording.take(line, None, 10)
    await recording.flush()

    assert await said(acme, ours.id) == ['{"n":0}', '{"n":1}', '{"n":2}']
    assert await said(rival, theirs.id) == ['{"of":"rival"}'] * 3
    entry = (await kept(acme, ours.id))[0]
    assert (entry.at, entry.direction, entry.kind, entry.action) == (acme.clock(), "IN", "CALL", "Say")


async def test_secrets_never_reach_the_table(acme: Tester) -> None:
    recording, station = recorder(acme), await a_station(acme)
    line = Scribe(acme, station.id)

    recording.take(line, {"key": "AuthorizationKey", "value": "0123456789abcdef"}, 10)
    recording.take(line, {"complaint": "I do not like 0123456789abcdef"}, 10)
    await recording.flush()

    assert all("0123456789abcdef" not in entry.payload for entry in await kept(acme, station.id))


async def test_what_is_long_is_cut_and_says_so(acme: Tester) -> None:
    recording, station = recorder(acme), await a_station(acme)

    recording.take(Scribe(acme, station.id), {"data": "x" * 100_000}, 100_000)
    recording.take(Scribe(acme, station.id), "no JSON\x00", 10)
    await recording.flush()

    long, odd = await said(acme, station.id)
    assert len(long) < 17_000
    assert long.endswith("… (cut, 100011 characters)")
    assert odd == "no JSON\ufffd"


async def test_what_finds_no_room_is_lost_from_the_oldest_on_and_told_of(acme: Tester) -> None:
    recording, station = recorder(acme, entries=3), await a_station(acme)
    line = Scribe(acme, station.id)

    for number in range(10):
        recording.take(line, {"n": number}, 10)
    await recording.flush()

    assert set(await said(acme, station.id)) == {'{"n":7}', '{"n":8}', '{"n":9}', '{"entries":7}'}


async def test_long_messages_take_the_room_of_many(acme: Tester) -> None:
    recording, station = recorder(acme, characters=100), await a_station(acme)
    line = Scribe(acme, station.id)

    for number in range(3):
        recording.take(line, {"n": number}, 60)
    await recording.flush()

    assert set(await said(acme, station.id)) == {'{"n":2}', '{"entries":2}'}


async def test_while_the_database_is_away_it_waits_and_what_is_too_much_is_lost(acme: Tester) -> None:
    shaky, station = Shaky(acme.workplace), await a_station(acme)
    recording = Recorder(shaky, StationLogRules(), entries=4)
    line = Scribe(acme, station.id)

    shaky.away = True
    for number in range(6):
        recording.take(line, {"n": number}, 10)
        await recording.flush()
    shaky.away = False
    recording._not_before = 0.0
    await recording.flush()

    assert set(await said(acme, station.id)) == {*(f'{{"n":{number}}}' for number in range(2, 6)), '{"entries":2}'}


async def test_a_loss_that_is_lost_still_counts(acme: Tester) -> None:
    shaky, station = Shaky(acme.workplace), await a_station(acme)
    recording = Recorder(shaky, StationLogRules(), entries=2)
    line = Scribe(acme, station.id)

    shaky.away = True
    for number in range(9):
        recording._not_before = 0.0
        recording.take(line, {"n": number}, 10)
        await recording.flush()
    shaky.away = False
    recording._not_before = 0.0
    await recording.flush()

    shown = await said(acme, station.id)
    lost = sum(int(one.removeprefix('{"entries":').removesuffix("}")) for one in shown if "entries" in one)
    assert lost + sum('"n"' in one for one in shown) == 9


async def test_what_runs_keeps_all_before_it_ends(acme: Tester) -> None:
    recording, station = recorder(acme), await a_station(acme)

    async with recording.running():
        recording.take(Scribe(acme, station.id), {"n": 1}, 10)

    assert await said(acme, station.id) == ['{"n":1}']


async def test_a_deleted_station_leaves_nothing(acme: Tester) -> None:
    recording, station = recorder(acme), await a_station(acme)
    line = Scribe(acme, station.id)
    recording.take(line, {"n": 1}, 10)
    await recording.flush()

    async with acme.work() as work:
        await stations.delete(work, station_id=station.id)
    await acme.relay()
    recording.take(line, {"n": 2}, 10)
    await recording.flush()

    async with acme.work(read_only=True) as work:
        assert not await station_log.latest(work, station_id=station.id, count=5)


async def test_the_station_of_another_tenant_is_not_written_to(acme: Tester, rival: Tester) -> None:
    recording, theirs = recorder(acme), await a_station(rival)

    recording.take(Scribe(acme, theirs.id), {"n": 1}, 10)
    await recording.flush()

    assert await kept(rival, theirs.id) == []


async def test_a_station_that_was_turned_away_is_told_of_once_in_a_while(acme: Tester) -> None:
    recording, station = recorder(acme), await a_station(acme)
    knocks = Stranger(acme.slug, station.identity)

    for _ in range(3):
        recording.turn_away(knocks, status=401, reason="station must show its password")
    recording.turn_away(Stranger(acme.slug, "CP-NOBODY"), status=404)
    recording.turn_away(Stranger(f"nobody-{uuid7()}", "CP-1"), status=404)
    await recording.flush()
    acme.clock.forward(seconds=30)
    recording.turn_away(knocks, status=401)
    await recording.flush()

    entries = await kept(acme, station.id)
    assert [(entry.kind, entry.action) for entry in entries] == [("EVENT", "denied")] * 2
    assert entries[1].payload == '{"status":401,"reason":"station must show its password"}'


async def test_days_that_are_too_old_are_dropped(acme: Tester) -> None:
    """By the database's own clock; today and tomorrow stay."""
    async with acme.workplace.engine.begin() as connection:
        for day in (date(2001, 2, 3), datetime.now(UTC).date(), (datetime.now(UTC) + timedelta(days=1)).date()):
            await connection.execute(text("select ensure_station_log_partition(:day)"), {"day": day})

    assert await station_log.forget_old(acme.workplace) >= 1

    async with acme.workplace.engine.connect() as connection:
        names = (
            await connection.scalars(text("select relname from pg_class where relname like 'station\\_log\\_2%'"))
        ).all()
    assert "station_log_20010203" not in names
    assert f"station_log_{datetime.now(UTC):%Y%m%d}" in names


async def test_two_processes_may_make_the_same_day_at_once(acme: Tester) -> None:
    """The second waits for the first, which has made it before the second looks again."""
    ensure, day = text("select ensure_station_log_partition(:day)"), {"day": date(2001, 3, 4)}
    async with acme.workplace.engine.begin() as first, acme.workplace.engine.begin() as second:
        process = await second.scalar(text("select pg_backend_pid()"))
        assert await first.scalar(ensure, day)
        waiting = asyncio.create_task(second.scalar(ensure, day))
        waits = text("select cardinality(pg_blocking_pids(:process)) > 0")
        while not await first.scalar(waits, {"process": process}):
            assert not waiting.done()
            await asyncio.sleep(0.01)
        await first.commit()
        assert await waiting is False


async def test_a_house_may_do_without(acme: Tester, settings: Settings) -> None:
    async with House.built(settings.model_copy(update={"station_log_days": 0}), clock=acme.clock) as house:
        assert house.station_log is None
        assert house.workplace.port(StationLogRules).days == 0


@pytest.mark.parametrize("call", ["ensure_station_log_partition('1999-01-01')", "drop_station_log_partitions(-1)"])
async def test_no_day_is_made_or_dropped_that_makes_no_sense(acme: Tester, call: str) -> None:
    with pytest.raises(Exception, match="no partition is made|not kept for"):
        async with acme.workplace.engine.begin() as connection:
            await connection.execute(text(f"select {call}"))


async def test_nothing_is_published_unless_somebody_follows(acme: Tester, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = recorder(acme)
    followed, other = await a_station(acme), await a_station(acme)
    told: list[Message] = []
    publish = acme.house.bus.publish

    async def heard(messages: list[Message]) -> None:
        told.extend(messages)
        await publish(messages)

    monkeypatch.setattr(acme.house.bus, "publish", heard)

    recording.take(Scribe(acme, followed.id), {"n": 1}, 10)
    await recording.flush()
    assert told == []

    async with acme.house.bus.listen(*station_log.topics(acme.tenant_id, followed.id)) as ear:
        recording.take(Scribe(acme, followed.id), {"n": 2}, 10)
        recording.take(Scribe(acme, followed.id), {"password": "hunter22"}, 10)
        recording.take(Scribe(acme, other.id), {"n": 3}, 10)
        await recording.flush()
        message = await anext(aiter(ear))

    assert [one.topic.key for one in told] == [str(followed.id)]
    assert isinstance(message, Message)
    assert [entry.payload for entry in station_log.read(message)] == ['{"n":2}', '{"password":"********"}']
    assert b"hunter22" not in message.payload


def test_an_entry_has_a_place_in_time_and_comes_back_from_it() -> None:
    at = datetime(2026, 11, 28, 12, 0, 0, 123_456, tzinfo=UTC)
    moments = [at, at, at + timedelta(microseconds=1), at + timedelta(milliseconds=1)]
    ids = [station_log.new_id(moment) for moment in moments]

    assert ids == sorted(ids)
    assert len(set(ids)) == 4
    for entry_id, moment in zip(ids, moments, strict=True):
        assert entry_id.version == 7
        assert station_log.moment(entry_id) == moment
        assert station_log.entry_id(station_log.event_id(entry_id)) == entry_id
        assert station_log.first_id(moment) <= entry_id
    assert station_log.event_id(ids[0]).startswith(f"{int(at.timestamp() * 1000)}-")
