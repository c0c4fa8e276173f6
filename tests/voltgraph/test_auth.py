"""Whom the door lets in, how often it asks the database about it, and how soon it hears that it must not any more."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from domain import credentials
from domain.actor import Role
from domain.bus import Bus, Message
from domain.credentials import REVOCATIONS, SecretKey
from domain.errors import Unauthenticated, Unavailable
from domain.work import Workplace
from gateways.redis import RedisBus, connect
from tests.gateways.redis.conftest import QUICK, Valkey, kill_listeners, until
from tests.statements import assert_statements
from tests.tester import Tester
from voltgraph.auth import KNOWN_S, UNKNOWN_S, Doorkeeper
from voltgraph.database import create_engine
from voltgraph.embedded import Urls
from voltgraph.settings import Settings
from voltgraph.wiring import House

pytestmark = pytest.mark.anyio

GUARD_S = 60.0


class Tick:
    """A monotonic clock that a test sets ahead."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def tick() -> Tick:
    return Tick()


@asynccontextmanager
async def remembering(door: Doorkeeper) -> AsyncIterator[Doorkeeper]:
    async with asyncio.timeout(GUARD_S), door.kept():
        await until(lambda: door.remembers)
        yield door


@pytest.fixture
async def door(acme: Tester, tick: Tick) -> AsyncIterator[Doorkeeper]:
    async with remembering(Doorkeeper(acme.workplace, acme.house.bus, tick=tick)) as door:
        yield door


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    folder = Path(tempfile.mkdtemp(prefix="vg"))
    valkey = Valkey(folder)
    valkey.start()
    yield valkey
    valkey.kill()
    shutil.rmtree(folder)


async def a_credential(tester: Tester, **given: Any) -> tuple[credentials.Credential, str]:
    """And the header that shows it."""
    async with tester.work() as work:
        credential, secret = await credentials.create(work, **{"name": "dashboard", "role": Role.VIEWER, **given})
    return credential, f"Bearer {secret}"


async def revoke(tester: Tester, credential: credentials.Credential) -> None:
    async with tester.work() as work:
        await credentials.revoke(work, credential_id=credential.id)


async def is_let_in(door: Doorkeeper, shown: str) -> bool:
    try:
        return await door(shown) is not None
    except Unauthenticated:
        return False


async def test_a_hundred_requests_in_a_row_ask_once(acme: Tester, door: Doorkeeper) -> None:
    credential, shown = await a_credential(acme)
    with assert_statements(acme, 1):
        actors = [await door(shown) for _ in range(100)]
    assert {(actor.tenant_id, actor.id, actor.role) for actor in actors if actor} == {
        (acme.tenant_id, credential.id, Role.VIEWER)
    }


async def test_a_hundred_requests_at_once_ask_once(acme: Tester) -> None:
    """Even where nothing may be remembered. One that leaves half way does not take the answer along."""
    door = Doorkeeper(acme.workplace, acme.house.bus)
    _, shown = await a_credential(acme)
    assert not door.remembers
    with assert_statements(acme, 1):
        asking = [asyncio.create_task(door(shown)) for _ in range(100)]
        await asyncio.sleep(0)
        asking[0].cancel()
        answers = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert all(getattr(answer, "tenant_id", None) == acme.tenant_id for answer in answers[1:])


async def test_who_is_remembered_stays_who_they_are(acme: Tester, rival: Tester, door: Doorkeeper) -> None:
    ours, theirs = await a_credential(acme), await a_credential(rival, role=Role.ADMIN)
    for _ in range(3):
        for tester, (credential, shown) in ((acme, ours), (rival, theirs)):
            actor = await door(shown)
            assert actor is not None
            assert (actor.tenant_id, actor.id, actor.role) == (tester.tenant_id, credential.id, credential.role)

    await revoke(rival, theirs[0])

    await until(lambda: _is(is_let_in(door, theirs[1]), False))
    with assert_statements(acme, 0):
        assert await is_let_in(door, ours[1])


async def test_without_a_credential_there_is_nobody(door: Doorkeeper) -> None:
    assert await door(None) is None
    assert await door("Bearer ") is None
    with pytest.raises(Unauthenticated, match="must be"):
        await door("Basic abc")


async def test_every_process_hears_of_a_revocation(acme: Tester, settings: Settings) -> None:
    credential, shown = await a_credential(acme)
    async with House.built(settings) as other, remembering(other.door), remembering(acme.house.door):
        doors = (other.door, acme.house.door)
        assert [await is_let_in(door, shown) for door in doors] == [True, True]

        await revoke(acme, credential)

        for door in doors:
            await until(lambda door=door: _is(is_let_in(door, shown), False))  # type: ignore[misc]


@asynccontextmanager
async def overtaken(acme: Tester, door: Doorkeeper, shown: str) -> AsyncIterator[Any]:
    """A question that the database is slow to answer, and news of a revocation meanwhile; `waiting` counts them."""
    heard = door._revocations
    async with acme.workplace.engine.begin() as locked:
        await locked.execute(text("lock table credential in access exclusive mode"))

        async def waiting() -> int:
            return int(await locked.scalar(text("select count(*) from pg_locks where not granted")))

        asking = asyncio.create_task(door(shown))
        await until(lambda: _is(waiting(), 1))
        bus = acme.workplace.port(Bus)  # type: ignore[type-abstract]
        await bus.publish([Message(REVOCATIONS, b"somebody's")])
        await until(lambda: door._revocations > heard)
        yield waiting
    await asking


async def test_an_answer_that_a_revocation_has_overtaken_is_not_remembered(acme: Tester, door: Doorkeeper) -> None:
    _, shown = await a_credential(acme)
    async with overtaken(acme, door, shown):
        pass
    with assert_statements(acme, 1):
        assert [await is_let_in(door, shown) for _ in range(2)] == [True, True]


async def test_a_question_from_before_a_revocation_is_not_shared_after_it(acme: Tester, door: Doorkeeper) -> None:
    _, shown = await a_credential(acme)
    async with overtaken(acme, door, shown) as waiting:
        later = asyncio.create_task(door(shown))
        await until(lambda: _is(waiting(), 2))
    await later
    with assert_statements(acme, 0):
        assert await is_let_in(door, shown)


async def _is(answer: Awaitable[object], wanted: object) -> bool:
    return await answer == wanted


async def test_a_credential_is_not_remembered_beyond_its_end(acme: Tester, tick: Tick) -> None:
    acme.clock.forward(seconds=0)
    ends_at = acme.clock() + timedelta(hours=1)
    _, shown = await a_credential(acme, expires_at=ends_at)
    async with remembering(Doorkeeper(acme.workplace, acme.house.bus, known_s=86_400, tick=tick)) as door:
        actor = await door(shown)
        assert actor is not None
        assert actor.expires_at == ends_at
        tick.s = 3599
        with assert_statements(acme, 0):
            assert await is_let_in(door, shown)

        tick.s = 3600
        acme.clock.forward(hours=1)

        assert not await is_let_in(door, shown)


async def test_what_nobody_told_of_is_seen_within_the_half_minute(acme: Tester, tick: Tick, door: Doorkeeper) -> None:
    credential, shown = await a_credential(acme)
    assert await is_let_in(door, shown)
    async with acme.work() as work:
        row = await work.get(credentials.Credential, credential.id)
        row.revoked_at = work.now
    tick.s = KNOWN_S - 1
    assert await is_let_in(door, shown)
    tick.s = KNOWN_S
    assert not await is_let_in(door, shown)


async def test_a_wrong_secret_in_a_loop_asks_once_a_second(acme: Tester, tick: Tick, door: Doorkeeper) -> None:
    with assert_statements(acme, 2):
        for _ in range(100):
            assert not await is_let_in(door, "Bearer nonsense")
        tick.s = UNKNOWN_S
        for _ in range(100):
            assert not await is_let_in(door, "Bearer nonsense")


async def test_the_memory_is_bounded_and_guessers_push_nobody_out(acme: Tester) -> None:
    made = [await a_credential(acme) for _ in range(3)]
    async with remembering(Doorkeeper(acme.workplace, acme.house.bus, size=2)) as door:
        for _, shown in made:
            await door(shown)
        for number in range(5):
            assert not await is_let_in(door, f"Bearer guess-{number}")
        assert (len(door._known), len(door._unknown)) == (2, 2)
        with assert_statements(acme, 0):
            assert [await is_let_in(door, shown) for _, shown in made[1:]] == [True, True]
        with assert_statements(acme, 1):
            assert await is_let_in(door, made[0][1])


@asynccontextmanager
async def on_a_redis_of_its_own(acme: Tester, valkey: Valkey) -> AsyncIterator[tuple[Doorkeeper, Tester]]:
    """The door, and the same tenant whose news goes there."""
    async with RedisBus(valkey.url, patience=QUICK) as bus:
        key: Any = SecretKey
        ports: dict[type[Any], Any] = {Bus: bus, key: acme.workplace.port(key)}
        workplace = Workplace(acme.workplace.engine, ports=ports)
        async with remembering(Doorkeeper(workplace, bus)) as door:
            there = _At(acme.house, acme.actor, acme.slug, acme.clock)
            there.there = workplace
            yield door, there


class _At(Tester):
    there: Workplace

    @property
    def workplace(self) -> Workplace:
        return self.there


async def test_without_redis_nobody_is_remembered(acme: Tester, valkey: Valkey) -> None:
    credential, shown = await a_credential(acme)
    async with on_a_redis_of_its_own(acme, valkey) as (door, there):
        assert await is_let_in(door, shown)

        valkey.kill()
        await until(lambda: not door.remembers)

        with assert_statements(acme, 2):
            assert [await is_let_in(door, shown) for _ in range(2)] == [True, True]
        await revoke(there, credential)  # of which nobody can be told
        assert not await is_let_in(door, shown)
        valkey.start()
        await until(lambda: door.remembers)
        assert not await is_let_in(door, shown)


async def test_after_a_gap_in_the_news_everybody_is_asked_about_again(acme: Tester, valkey: Valkey) -> None:
    _, shown = await a_credential(acme)
    async with on_a_redis_of_its_own(acme, valkey) as (door, _), connect(valkey.url) as redis:
        assert await is_let_in(door, shown)
        heard = door._revocations
        assert await kill_listeners(redis)
        await until(lambda: door._revocations > heard and door.remembers)
        with assert_statements(acme, 1):
            assert [await is_let_in(door, shown) for _ in range(2)] == [True, True]


async def test_a_door_that_was_too_slow_for_the_news_forgets_and_listens_again(acme: Tester, valkey: Valkey) -> None:
    _, shown = await a_credential(acme)
    async with on_a_redis_of_its_own(acme, valkey) as (door, there):
        assert await is_let_in(door, shown)
        bus = there.workplace.port(Bus)  # type: ignore[type-abstract]
        heard = door._revocations
        await bus.publish([Message(REVOCATIONS, b"somebody") for _ in range(5_000)])
        await until(lambda: door._revocations > heard and door.remembers)
        assert await is_let_in(door, shown)


async def test_while_the_database_is_away_those_remembered_are_let_in(acme: Tester, urls: Urls) -> None:
    _, shown = await a_credential(acme)
    _, other = await a_credential(acme)
    engine = create_engine(urls.database, pool_size=1, patience_s=0.1)
    key: Any = SecretKey
    door = Doorkeeper(Workplace(engine, ports={key: acme.workplace.port(key)}), acme.house.bus)
    try:
        async with remembering(door):
            assert await is_let_in(door, shown)
            async with engine.connect(), engine.connect():
                assert await is_let_in(door, shown)
                with pytest.raises(Unavailable, match="looked up"):
                    await door(other)
            assert await is_let_in(door, other)
    finally:
        await engine.dispose()
