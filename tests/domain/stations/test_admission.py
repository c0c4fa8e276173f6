"""Who is let in, and what an operator says about it."""

import asyncio
from typing import Any

import pytest

from domain import stations, tenants
from domain.actor import Role
from domain.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from domain.stations import Registration, StationRules
from domain.tenants import UnknownPolicy
from domain.work import Workplace
from tests.factories import a_location, a_station
from tests.tester import Tester

pytestmark = pytest.mark.anyio


def under(tester: Tester, policy: UnknownPolicy) -> Workplace:
    """The same house with another rule."""
    ports = {**tester.workplace._ports, StationRules: StationRules(unknown=policy)}
    return Workplace(tester.workplace.engine, ports=ports, clock=tester.clock)


async def knock(
    tester: Tester, policy: UnknownPolicy, identity: str = "CP-1", password: bytes | None = None, **given: Any
) -> stations.Station:
    async with under(tester, policy).open_work(tester.acting_as(Role.STATION), **given) as work:
        return await stations.admit(work, identity=identity, password=password)


@pytest.mark.parametrize(
    ("policy", "registration"),
    [(UnknownPolicy.AUTO, Registration.ACCEPTED), (UnknownPolicy.PENDING, Registration.PENDING)],
)
async def test_an_unknown_station_is_registered_as_the_house_rules(
    acme: Tester, policy: UnknownPolicy, registration: Registration
) -> None:
    station = await knock(acme, policy)

    assert (station.identity, station.registration) == ("CP-1", registration)
    assert (await knock(acme, UnknownPolicy.REJECT)).id == station.id


async def test_an_unknown_station_is_sent_away_where_the_house_says_so(acme: Tester) -> None:
    with pytest.raises(NotFound, match="CP-1 is not registered"):
        await knock(acme, UnknownPolicy.REJECT)
    async with acme.work() as work:
        assert await stations.find(work, "CP-1") is None


async def test_a_tenant_has_its_own_rule_for_unknown_stations(acme: Tester, rival: Tester) -> None:
    async with acme.work() as work:
        await tenants.set_station_policy(work, policy=UnknownPolicy.PENDING)

    assert (await knock(acme, UnknownPolicy.REJECT)).registration is Registration.PENDING
    with pytest.raises(NotFound):
        await knock(rival, UnknownPolicy.REJECT)
    async with acme.work() as work:
        await tenants.set_station_policy(work, policy=UnknownPolicy.REJECT)
    with pytest.raises(NotFound):
        await knock(acme, UnknownPolicy.AUTO, "CP-2")
    async with acme.work() as work:
        await tenants.set_station_policy(work, policy=None)
    assert (await knock(acme, UnknownPolicy.AUTO, "CP-3")).registration is Registration.ACCEPTED
    async with acme.work(role=Role.OPERATOR) as work:
        with pytest.raises(Forbidden):
            await tenants.set_station_policy(work, policy=UnknownPolicy.AUTO)


async def test_an_unknown_station_cannot_be_registered_by_looking(acme: Tester) -> None:
    with pytest.raises(Forbidden):
        await knock(acme, UnknownPolicy.AUTO, read_only=True)


async def test_a_station_that_knocks_many_times_at_once_is_registered_once(acme: Tester) -> None:
    workplace = under(acme, UnknownPolicy.AUTO)
    told = []

    async def once() -> stations.Station:
        async with workplace.open_work(acme.acting_as(Role.STATION)) as work:
            station = await stations.admit(work, identity="CP-1", password=None)
        told.extend(work.emitted)
        return station

    found = await asyncio.gather(*(once() for _ in range(8)))

    assert len({station.id for station in found}) == 1
    assert [envelope.event for envelope in told] == [
        stations.StationRegistered(station_id=found[0].id, identity="CP-1")
    ]


async def test_the_same_name_is_another_station_for_another_tenant(acme: Tester, rival: Tester) -> None:
    ours = await knock(acme, UnknownPolicy.AUTO)
    theirs = await knock(rival, UnknownPolicy.AUTO)

    assert ours.id != theirs.id


@pytest.mark.parametrize("policy", UnknownPolicy)
async def test_a_station_with_a_password_must_show_it_under_every_rule(acme: Tester, policy: UnknownPolicy) -> None:
    station = await a_station(acme, "CP-1", password="correct horse")

    for wrong in (None, b"", b"correct", b"correct horse "):
        with pytest.raises(Unauthenticated):
            await knock(acme, policy, password=wrong)
    assert (await knock(acme, policy, password=b"correct horse")).id == station.id


async def test_of_a_crowd_those_are_recognized_who_come_in_as_they_are(acme: Tester, rival: Tester) -> None:
    open_one = await a_station(acme, "OPEN")
    locked = await a_station(acme, "LOCKED", password="correct horse")
    rotating = await a_station(acme, "ROTATING", password="correct horse")
    await a_station(rival, "ELSEWHERE")
    async with acme.work() as work:
        await stations.offer_password(work, station_id=rotating.id, password="battery staple")
        await stations.update(work, station_id=open_one.id, registration=Registration.PENDING)
    knocks = {
        ("OPEN", None): open_one,
        ("OPEN", b"whatever"): open_one,
        ("LOCKED", b"correct horse"): locked,
        ("LOCKED", b"wrong horse"): None,
        ("LOCKED", None): None,
        ("ROTATING", b"correct horse"): rotating,
        ("ROTATING", b"battery staple"): None,  # it has taken the offer, which is to be written down
        ("ELSEWHERE", None): None,
        ("UNKNOWN", None): None,
    }
    async with acme.work(read_only=True, role=Role.STATION) as work:
        found = await stations.recognize(work, [stations.Knock(*knock) for knock in knocks])

    assert [one and one.id for one in found] == [station and station.id for station in knocks.values()]
    assert found[0] is not None
    assert found[0].registration is Registration.PENDING


async def test_a_password_that_was_taken_away_need_not_be_shown(acme: Tester) -> None:
    station = await a_station(acme, "CP-1", password="correct horse")
    async with acme.work() as work:
        await stations.update(work, station_id=station.id, password="battery staple")
    with pytest.raises(Unauthenticated):
        await knock(acme, UnknownPolicy.REJECT, password=b"correct horse")
    await knock(acme, UnknownPolicy.REJECT, password=b"battery staple")
    async with acme.work() as work:
        await stations.update(work, station_id=station.id, password=None)

    assert (await knock(acme, UnknownPolicy.REJECT)).id == station.id


@pytest.mark.parametrize("identity", ["", "x" * 49, "a b", "a/b", "ä", "CP-1\n"])
async def test_a_name_that_is_none_is_refused(acme: Tester, identity: str) -> None:
    async with acme.work() as work:
        with pytest.raises(Invalid):
            await stations.register(work, identity=identity)


@pytest.mark.parametrize("password", ["", "short", "x" * 65])
async def test_a_password_that_is_none_is_refused(acme: Tester, password: str) -> None:
    async with acme.work() as work:
        with pytest.raises(Invalid):
            await stations.register(work, identity="CP-1", password=password)


async def test_a_station_is_registered_once_at_a_place_that_there_is(acme: Tester, rival: Tester) -> None:
    location, elsewhere = await a_location(acme), await a_location(rival)
    await a_station(acme, "CP-1", location_id=location.id)
    async with acme.work() as work:
        with pytest.raises(Conflict):
            await stations.register(work, identity="CP-1")
        with pytest.raises(NotFound):
            await stations.register(work, identity="CP-2", location_id=elsewhere.id)


async def test_of_two_who_register_one_name_at_once_the_second_is_told(acme: Tester) -> None:
    """Else the second's password would silently replace the first's."""
    other_looks = asyncio.Event()

    async def first() -> None:
        async with acme.work() as work:
            await stations.register(work, identity="CP-1", password="first-one")
            other_looks.set()
            await asyncio.sleep(0.2)  # until the other waits for our commit

    async def second() -> None:
        await other_looks.wait()
        async with acme.work() as work:
            await stations.register(work, identity="CP-1", password="second-one")

    answers = await asyncio.gather(first(), second(), return_exceptions=True)

    assert [type(answer) for answer in answers] == [type(None), Conflict]
    async with acme.work() as work:
        await stations.admit(work, identity="CP-1", password=b"first-one")


async def test_only_what_an_operator_may_change_changes(acme: Tester) -> None:
    station = await a_station(acme, name="Gate")
    async with acme.work() as work:
        with pytest.raises(Invalid):
            await stations.update(work, station_id=station.id, identity="CP-2")
    async with acme.work() as work:
        await stations.update(work, station_id=station.id, registration=Registration.REJECTED)
    async with acme.work() as work:
        changed = await stations.by_id(work, station.id)
    assert (changed.name, changed.registration) == ("Gate", Registration.REJECTED)


async def test_who_may_do_what(acme: Tester) -> None:
    station = await a_station(acme)
    async with acme.work(role=Role.VIEWER) as work:
        for change in (
            stations.register(work, identity="CP-2"),
            stations.update(work, station_id=station.id, name="x"),
            stations.admit(work, identity="CP-2", password=None),
        ):
            with pytest.raises(Forbidden):
                await change
    async with acme.work(role=Role.OPERATOR) as work:
        with pytest.raises(Forbidden):
            await stations.delete(work, station_id=station.id)
    async with acme.work(role=Role.STATION) as work:
        with pytest.raises(Forbidden):
            await stations.update(work, station_id=station.id, registration=Registration.ACCEPTED)
