"""What is asked of sessions."""

from typing import Any

import pytest

from domain import sessions, stations
from domain.actor import Role
from domain.errors import Forbidden, NotFound
from domain.page import PageRequest
from domain.sessions import SessionStatus
from tests.domain.sessions.charger import a_charger, minute
from tests.tester import Tester

pytestmark = pytest.mark.anyio


async def transactions(tester: Tester, **filters: Any) -> list[str]:
    async with tester.work(read_only=True, role=Role.VIEWER) as work:
        return [s.transaction_id for s in (await sessions.listed(work, PageRequest(), **filters)).rows]


async def test_sessions_are_listed_by_when_they_started_the_last_first(acme: Tester, rival: Tester) -> None:
    charger = await a_charger(acme)
    first, last, middle = [(await charger.start(at, evse=at + 1)).session.transaction_id for at in (0, 20, 10)]
    await (await a_charger(rival)).start(5)
    assert await transactions(acme) == [last, middle, first]
    async with acme.work(read_only=True) as work:
        page = await sessions.listed(work, PageRequest(first=2))
        rest = await sessions.listed(work, PageRequest(first=2, after=page.end_cursor))
    assert ([s.transaction_id for s in page.rows], page.has_next) == ([last, middle], True)
    assert ([s.transaction_id for s in rest.rows], rest.has_next) == ([first], False)


async def test_each_filter_finds_its_own(acme: Tester, rival: Tester) -> None:
    one, two = await a_charger(acme), await a_charger(acme)
    a = (await one.start(0, token_uid="Card")).session.transaction_id
    b = (await two.start(10, token_uid="OTHER")).session.transaction_id
    await one.stop(5, meter_wh=2_000, transaction_id=a)
    async with acme.work(read_only=True) as work:
        identity = (await stations.by_id(work, two.station_id)).identity

    assert await transactions(acme, station_id=one.station_id) == [a]
    assert await transactions(acme, station_identity=identity) == [b]
    assert await transactions(acme, token_uid="cARD") == [a]
    assert await transactions(acme, status=[SessionStatus.ACTIVE]) == [b]
    assert await transactions(acme, status=[SessionStatus.ACTIVE, SessionStatus.COMPLETED]) == [b, a]
    assert await transactions(acme, started_from=minute(10)) == [b]
    assert await transactions(acme, started_to=minute(10)) == [a]
    assert await transactions(rival, station_identity=identity) == []


async def test_a_tenant_does_not_see_sessions_and_orphans_of_another(acme: Tester, rival: Tester) -> None:
    charger = await a_charger(acme)
    session = (await charger.start()).session
    await charger.stop(5, meter_wh=1, transaction_id="99")
    async with rival.work(read_only=True) as work:
        assert await sessions.by_ids(work, [session.id]) == []
        assert (await sessions.orphans(work, PageRequest())).rows == []
        with pytest.raises(NotFound):
            await sessions.by_id(work, session.id)
    async with acme.work(read_only=True) as work:
        assert [s.id for s in await sessions.by_ids(work, [session.id])] == [session.id]
        assert len((await sessions.orphans(work, PageRequest())).rows) == 1


async def test_stations_report_and_do_not_look(acme: Tester) -> None:
    async with acme.work(read_only=True, role=Role.STATION) as work:
        with pytest.raises(Forbidden):
            await sessions.listed(work, PageRequest())
    charger = await a_charger(acme)
    async with acme.work(role=Role.VIEWER) as work:
        with pytest.raises(Forbidden):
            await sessions.meter(work, station_id=charger.station_id, samples=[])
