import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis

from domain.errors import Unavailable
from domain.stations import Presence
from gateways.redis import RedisPresence
from tests.gateways.redis.conftest import Valkey, until

pytestmark = pytest.mark.anyio

ACME, RIVAL = uuid4(), uuid4()
ONE, TWO = uuid4(), uuid4()
LONG_S, SHORT_S = 600, 0.05


@pytest.fixture
def presence(redis: Redis) -> Presence:
    return RedisPresence(redis)


async def ran_out(presence: Presence, station_id: UUID) -> None:
    async def nobody_holds_it() -> bool:
        return await presence.holder(ACME, station_id) is None

    await until(nobody_holds_it)


async def test_the_newest_socket_wins_and_learns_whom_it_displaced(presence: Presence) -> None:
    assert await presence.claim(ACME, ONE, "p1/a", LONG_S) is None
    assert await presence.claim(ACME, ONE, "p1/a", LONG_S) is None, "a holder does not displace itself"
    assert await presence.claim(ACME, ONE, "p2/b", LONG_S) == "p1/a"

    assert await presence.holder(ACME, ONE) == "p2/b"


async def test_of_many_who_claim_at_once_each_displaces_one_other(presence: Presence) -> None:
    holders = [f"p{number}/s" for number in range(50)]

    displaced = await asyncio.gather(*(presence.claim(ACME, ONE, holder, LONG_S) for holder in holders))

    final = await presence.holder(ACME, ONE)
    assert sorted(str(one) for one in [*displaced, final]) == sorted([*holders, "None"])


async def test_a_displaced_holder_can_neither_release_nor_renew(presence: Presence) -> None:
    await presence.claim(ACME, ONE, "p1/a", LONG_S)
    await presence.claim(ACME, ONE, "p2/b", LONG_S)

    assert await presence.release(ACME, ONE, "p1/a") is False
    assert await presence.renew([(ACME, ONE, "p1/a"), (ACME, ONE, "p2/b")], LONG_S) == [(ACME, ONE, "p1/a")]
    assert await presence.holder(ACME, ONE) == "p2/b"


async def test_a_released_station_is_offline_and_never_expires(presence: Presence) -> None:
    await presence.claim(ACME, ONE, "p1/a", SHORT_S)

    assert await presence.release(ACME, ONE, "p1/a") is True
    assert await presence.holder(ACME, ONE) is None
    assert await presence.online(ACME) == set()
    await asyncio.sleep(2 * SHORT_S)
    assert await presence.expired(ACME) == []


async def test_a_lease_that_runs_out_leaves_the_station_offline(presence: Presence) -> None:
    await presence.claim(ACME, ONE, "p1/a", SHORT_S)
    await presence.claim(ACME, TWO, "p1/b", LONG_S)

    await ran_out(presence, ONE)
    assert await presence.online(ACME) == {TWO}


async def test_a_lease_that_ran_out_is_swept_once_whoever_sweeps(presence: Presence) -> None:
    stations = [uuid4() for _ in range(30)]
    for station_id in stations:
        await presence.claim(ACME, station_id, "p1/a", SHORT_S)
    await presence.claim(ACME, TWO, "p1/b", LONG_S)
    await ran_out(presence, stations[-1])

    sweeps = await asyncio.gather(*(presence.expired(ACME) for _ in range(10)))

    assert sorted(station_id for sweep in sweeps for station_id in sweep) == sorted(stations)
    assert await presence.renew([(ACME, stations[0], "p1/a")], LONG_S) == [(ACME, stations[0], "p1/a")]


async def test_a_lease_renewed_late_but_before_the_sweep_goes_on(presence: Presence) -> None:
    await presence.claim(ACME, ONE, "p1/a", SHORT_S)
    await ran_out(presence, ONE)

    assert await presence.renew([(ACME, ONE, "p1/a")], LONG_S) == []
    assert await presence.holder(ACME, ONE) == "p1/a"
    assert await presence.expired(ACME) == []


async def test_thousands_of_leases_of_several_tenants_are_renewed_together(presence: Presence) -> None:
    holds = [(tenant_id, uuid4(), f"p1/{number}") for number in range(700) for tenant_id in (ACME, RIVAL)]
    for tenant_id, station_id, holder in holds:
        await presence.claim(tenant_id, station_id, holder, LONG_S)
    for tenant_id, station_id, _ in holds[10:14]:
        await presence.claim(tenant_id, station_id, "p2/newer", LONG_S)

    assert sorted(await presence.renew(holds, LONG_S)) == sorted(holds[10:14])
    assert await presence.online(RIVAL) == {station_id for tenant_id, station_id, _ in holds if tenant_id == RIVAL}
    assert await presence.renew([], LONG_S) == []


async def test_tenants_do_not_see_each_others_stations(presence: Presence) -> None:
    await presence.claim(ACME, ONE, "p1/a", SHORT_S)
    await presence.touch([(ACME, ONE)])
    await ran_out(presence, ONE)

    assert await presence.holder(RIVAL, ONE) is None
    assert await presence.online(RIVAL) == set()
    assert await presence.seen(RIVAL, [ONE]) == {}
    assert await presence.expired(RIVAL) == []
    assert await presence.expired(ACME) == [ONE]


async def test_last_seen_is_by_the_clock_of_redis(presence: Presence, redis: Redis) -> None:
    seconds, microseconds = await redis.time()
    before = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds // 1000 * 1000)

    await presence.touch([(ACME, ONE), (RIVAL, ONE), (ACME, ONE)])

    seen = await presence.seen(ACME, [TWO, ONE])
    assert set(seen) == {ONE}
    assert before <= seen[ONE] <= before + timedelta(minutes=1)
    assert await presence.seen(ACME, []) == {}


async def test_without_redis_presence_says_unavailable(presence: Presence, valkey: Valkey) -> None:
    await presence.claim(ACME, ONE, "p1/a", LONG_S)
    valkey.kill()

    with pytest.raises(Unavailable):
        await presence.claim(ACME, ONE, "p1/a", LONG_S)
    with pytest.raises(Unavailable):
        await presence.renew([(ACME, ONE, "p1/a")], LONG_S)
    with pytest.raises(Unavailable):
        await presence.touch([(ACME, ONE)])
    with pytest.raises(Unavailable):
        await presence.seen(ACME, [ONE])


async def test_after_redis_forgot_everything_a_holder_learns_that_it_lost_and_claims_again(
    presence: Presence, valkey: Valkey
) -> None:
    await presence.claim(ACME, ONE, "p1/a", LONG_S)
    valkey.kill()
    valkey.start()
    await asyncio.sleep(0.05)  # the pool hears that its connections are gone

    assert await presence.renew([(ACME, ONE, "p1/a")], LONG_S) == [(ACME, ONE, "p1/a")]
    assert await presence.claim(ACME, ONE, "p1/a", LONG_S) is None
    assert await presence.holder(ACME, ONE) == "p1/a"
