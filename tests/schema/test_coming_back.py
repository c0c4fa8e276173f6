"""Subscribers who come back go on where they left off; and what may not be followed is refused at the start."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import orjson
import pytest

from domain.actor import Permission, Role
from domain.bus import Bus, Message
from domain.events import Envelope
from domain.stations import StationRegistered, StationStatus
from gateways.graphql import Answer
from resolvers.context import Context, context
from resolvers.live import UNKNOWN
from tests.factories import a_station
from tests.live import GUARD_S
from tests.schema.test_commands import completed, requested
from tests.schema.test_sessions import a_charger
from tests.schema.test_stations import a_plug
from tests.tester import Tester, watched

pytestmark = pytest.mark.anyio

PLUGS = "subscription ($after: ID) { stationStatusUpdates(after: $after) { eventId evseNumber status } }"
CHARGES = "subscription ($after: ID) { sessionUpdates(after: $after) { eventId kind session { energyWh } } }"
ORDERS = "subscription ($after: ID) { commandUpdates(after: $after) { eventId id status } }"


@asynccontextmanager
async def following(tester: Tester, document: str, after: str | None = None) -> AsyncIterator[AsyncIterator[Any]]:
    """The items themselves."""

    async def shown(items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for item in items:
            (shown,) = item.values()
            yield shown

    async with asyncio.timeout(GUARD_S), tester.subscribe(document, {"after": after}) as items:
        yield shown(items)


async def take(items: AsyncIterator[Any], count: int) -> list[Any]:
    return [await anext(items) for _ in range(count)]


async def test_who_comes_back_is_told_each_status_that_it_missed_once_and_then_the_news(acme: Tester) -> None:
    station = await a_station(acme)
    async with following(acme, PLUGS) as items:
        assert (await anext(items))["eventId"] is None, "how things are is no event"
        await a_plug(acme, station.id, StationStatus.PREPARING)
        last = (await anext(items))["eventId"]
    await a_plug(acme, station.id, StationStatus.CHARGING)
    await a_plug(acme, station.id, StationStatus.AVAILABLE, evse=2)

    async with following(acme, PLUGS, last) as items:
        missed = await take(items, 2)
        await a_plug(acme, station.id, StationStatus.FINISHING)
        told = [*missed, await anext(items)]

    statuses = [(item["evseNumber"], item["status"]) for item in told]
    assert statuses == [(1, "CHARGING"), (2, "AVAILABLE"), (1, "FINISHING")]
    assert len({item["eventId"] for item in told} - {None, last}) == 3


async def test_who_comes_back_to_a_charge_is_told_what_was_metered_and_what_happened(acme: Tester) -> None:
    charger = await a_charger(acme)
    await charger.start()
    async with following(acme, CHARGES) as items:
        assert (await anext(items))["kind"] == "SNAPSHOT"
        await charger.suspend(3)
        last = (await anext(items))["eventId"]
    await charger.meter(5, 1_500.0)

    async with following(acme, CHARGES, last) as items:
        assert await anext(items) == {"eventId": None, "kind": "METERED", "session": {"energyWh": 500.0}}
        await charger.resume(6)
        resumed = await anext(items)
        assert resumed["kind"] == "RESUMED"
    await charger.stop(7, 2_000.0)

    async with following(acme, CHARGES, last) as items:
        told = await take(items, 2)
    assert [item["kind"] for item in told] == ["RESUMED", "STOPPED"]
    assert told[0]["eventId"] == resumed["eventId"]
    assert told[0]["session"] == {"energyWh": 1_000.0}, "as it is at delivery"


async def test_who_comes_back_to_orders_is_told_of_their_ends(acme: Tester) -> None:
    station = await a_station(acme)
    first = await requested(acme, station.id)
    async with following(acme, ORDERS) as items:
        assert (await anext(items))["eventId"] is None
        second = await requested(acme, station.id)
        last = await anext(items)
        assert last["id"] == str(second.id)
    await completed(acme, first)

    async with following(acme, ORDERS, last["eventId"]) as items:
        told = await anext(items)
        assert (told["id"], told["status"]) == (str(first.id), "ACCEPTED")
    assert await acme.gql_errors('{ __type(name: "Command") { name } }') == []


async def test_where_the_event_is_not_kept_any_more_one_looks_again(acme: Tester) -> None:
    await a_station(acme)
    async with following(acme, PLUGS, "1-0") as items:
        assert await anext(items) == {"eventId": None, "evseNumber": None, "status": "UNKNOWN"}


async def test_the_event_of_another_tenant_shows_nothing_of_it(acme: Tester, rival: Tester) -> None:
    theirs = await a_station(rival)
    async with following(rival, PLUGS) as items:
        await anext(items)
        await a_plug(rival, theirs.id, StationStatus.CHARGING)
        last = (await anext(items))["eventId"]
    await a_plug(rival, theirs.id, StationStatus.AVAILABLE)
    ours = await a_station(acme)

    async with following(acme, PLUGS, last) as items:
        assert (await anext(items))["status"] == "UNKNOWN"
        await a_plug(acme, ours.id, StationStatus.RESERVED)
        assert (await anext(items))["status"] == "RESERVED"


NOBODY = "9665c8d2-dfbf-436c-a0df-83ca34a4aa2c"


@pytest.mark.parametrize(
    ("subscription", "code"),
    [
        ('stationStatusUpdates(after: "yesterday") { status }', "INVALID"),
        ('sessionUpdates(after: "12") { kind }', "INVALID"),
        ('commandUpdates(after: "1-2-3") { status }', "INVALID"),
        (f'stationStatusUpdates(stationIds: ["{NOBODY}"]) {{ status }}', "NOT_FOUND"),
        (f'sessionUpdates(sessionId: "{NOBODY}") {{ kind }}', "NOT_FOUND"),
        (f'sessionUpdates(stationId: "{NOBODY}") {{ kind }}', "NOT_FOUND"),
        (f'commandUpdates(commandId: "{NOBODY}") {{ status }}', "NOT_FOUND"),
        (f'commandUpdates(commandId: "{NOBODY}", after: "1-1") {{ status }}', "NOT_FOUND"),
    ],
)
async def test_what_cannot_be_followed_is_refused_at_the_start(acme: Tester, subscription: str, code: str) -> None:
    (answer,) = await refusal(context(acme.workplace, acme.actor), subscription)
    assert answer.refused
    assert [(error.extensions or {}).get("code") for error in answer.errors or []] == [code]
    if code == "NOT_FOUND":
        assert NOBODY in (answer.errors or [])[0].message


async def test_what_is_anothers_looks_as_if_it_were_not_there(acme: Tester, rival: Tester) -> None:
    charger = await a_charger(rival)
    session = await charger.start()
    command = await requested(rival, session.station_id)
    for subscription in (
        f'stationStatusUpdates(stationIds: ["{session.station_id}"]) {{ status }}',
        f'sessionUpdates(sessionId: "{session.id}") {{ kind }}',
        f'sessionUpdates(stationId: "{session.station_id}") {{ kind }}',
        f'commandUpdates(commandId: "{command.id}") {{ status }}',
    ):
        (answer,) = await refusal(context(acme.workplace, acme.actor), subscription)
        assert answer.refused
        assert [(error.extensions or {}).get("code") for error in answer.errors or []] == ["NOT_FOUND"]


@pytest.mark.parametrize("field", ["stationStatusUpdates", "sessionUpdates", "commandUpdates", "pointUpdates"])
async def test_whoever_may_not_look_is_refused_at_the_start(acme: Tester, field: str) -> None:
    (answer,) = await refusal(context(acme.workplace, acme.acting_as(Role.STATION)), f"{field} {{ __typename }}")
    assert answer.refused
    assert [(error.extensions or {}).get("code") for error in answer.errors or []] == ["FORBIDDEN"]


async def refusal(asking: Context, subscription: str) -> list[Answer]:
    async with asyncio.timeout(GUARD_S), aclosing(watched(asking, f"subscription {{ {subscription} }}")) as answers:
        return [answer async for answer in answers]


async def test_an_event_of_a_newer_worker_ends_no_subscription(acme: Tester) -> None:
    station = await a_station(acme)
    known = Envelope(uuid4(), acme.tenant_id, acme.clock(), StationRegistered(station_id=station.id, identity="x"))
    newer = orjson.dumps(orjson.loads(known.encode()) | {"type": "StationBecameSentient"})
    other = orjson.dumps(orjson.loads(known.encode()) | {"event": {"station": "by another name"}})
    topic = known.event.topic(acme.tenant_id)
    before = UNKNOWN._value.get()

    async with following(acme, PLUGS) as items:
        await anext(items)
        await acme.workplace.port(Bus).publish([Message(topic, newer), Message(topic, other)])  # type: ignore[type-abstract]
        await a_plug(acme, station.id, StationStatus.CHARGING)
        assert (await anext(items))["status"] == "CHARGING"
    assert UNKNOWN._value.get() == before + 2


# --- the parts of a subscription


async def test_the_part_before_the_news_ends_and_the_news_begin_without_a_look(acme: Tester) -> None:
    station = await a_station(acme)
    asking = context(acme.workplace, acme.actor)
    listening = asyncio.Event()

    async with asyncio.timeout(GUARD_S), aclosing(watched(asking.shared(listening.set), PLUGS)) as news:
        hearing = asyncio.ensure_future(anext(news))
        await listening.wait()
        joined = [shown(one) async for one in watched(asking.joining(), PLUGS)]
        assert joined == [{"eventId": None, "evseNumber": None, "status": "UNKNOWN"}]

        await a_plug(acme, station.id, StationStatus.CHARGING)
        await a_plug(acme, station.id, StationStatus.FINISHING)
        told = [shown(await hearing), shown(await anext(news))]

        assert all(item["eventId"] for item in told)
        first = told[0]["eventId"]
        assert [shown(one) async for one in watched(asking.joining(first), PLUGS)] == told[1:]
        looked = [shown(one)["status"] async for one in watched(asking.joining("1-0"), PLUGS)]
        assert looked == ["FINISHING", "FINISHING"], "of the station and its plug"


async def test_the_last_event_that_a_reader_names_wins_over_the_argument(acme: Tester) -> None:
    station = await a_station(acme)
    async with following(acme, PLUGS) as items:
        await anext(items)
        await a_plug(acme, station.id, StationStatus.CHARGING)
        await a_plug(acme, station.id, StationStatus.FINISHING)
        first, second = [item["eventId"] for item in await take(items, 2)]

    joining = context(acme.workplace, acme.actor).joining(first)
    told = [shown(one)["eventId"] async for one in watched(joining, PLUGS, {"after": "1-0"})]
    assert told == [second]


def test_who_shares_news_is_nobody_in_particular(acme: Tester, rival: Tester) -> None:
    ours = context(acme.workplace, acme.actor)
    shared = ours.shared(lambda: None)

    assert shared.caller.id is None
    assert shared.caller.name != acme.actor.name
    assert shared.scope == ours.scope
    assert ours.fork().scope == ours.scope
    assert context(acme.workplace, acme.acting_as(Role.VIEWER)).scope != ours.scope
    narrower = replace(acme.actor, scopes=frozenset({Permission.VIEW}))
    assert context(acme.workplace, narrower).scope != ours.scope
    assert context(rival.workplace, rival.actor).scope != ours.scope
    assert context(acme.workplace, None).scope is None


def shown(answer: Answer) -> Any:
    assert not answer.errors, answer.errors
    (item,) = (answer.data or {}).values()
    return item
