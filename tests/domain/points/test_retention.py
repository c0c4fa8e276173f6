"""Readings are kept for as long as their tenant says."""

from datetime import UTC, datetime, timedelta

import pytest

from domain import points, tenants
from domain.actor import Role
from domain.errors import Forbidden, Invalid
from domain.points import HistoryStore, Reading
from tests.tester import Tester

pytestmark = pytest.mark.anyio

POWER = "meter/power"
DAY = timedelta(days=1)


async def record(tester: Tester, *ages: timedelta) -> None:
    async with tester.work() as work:
        readings = [Reading(POWER, work.now - age, value=1) for age in ages]
        assert (await points.record(work, readings, owner=None)).errors == []


async def kept(tester: Tester) -> int:
    async with tester.work() as work:
        point = await points.by_address(work, POWER)
    store = tester.workplace.port(HistoryStore)  # type: ignore[type-abstract]
    start, end = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    (track,) = await store.raw([point.series], start=start, end=end, limit=100)
    return len(track.values)


async def test_what_is_older_than_a_tenant_keeps_is_gone_and_nobody_elses_is(acme: Tester, rival: Tester) -> None:
    for tester in (acme, rival):
        await record(tester, 100 * DAY, 12 * DAY, 9 * DAY, timedelta())
    async with acme.work() as work:
        assert (await tenants.set_history_days(work, days=10)).history_days == 10

    await points.forget_old(acme.workplace, [acme.actor.tenant_id, rival.actor.tenant_id])

    assert (await kept(acme), await kept(rival)) == (2, 4)
    async with acme.work() as work:
        await tenants.set_history_days(work, days=None)
    await points.forget_old(acme.workplace, [acme.actor.tenant_id, rival.actor.tenant_id])
    assert await kept(acme) == 2


async def test_where_every_tenant_has_an_end_no_month_of_the_one_that_keeps_most_is_dropped(
    acme: Tester, rival: Tester
) -> None:
    async with acme.work() as work:
        age = work.now - datetime(2000, 10, 1, tzinfo=UTC)
    for tester, days in ((acme, 30), (rival, age.days + 60)):
        await record(tester, age, DAY)
        async with tester.work() as work:
            await tenants.set_history_days(work, days=days)

    await points.forget_old(acme.workplace, [acme.actor.tenant_id, rival.actor.tenant_id])

    assert (await kept(acme), await kept(rival)) == (1, 2)


@pytest.mark.parametrize("days", [0, -1, 36_501])
async def test_for_how_long_is_a_number_of_days(acme: Tester, days: int) -> None:
    async with acme.work() as work:
        with pytest.raises(Invalid) as refused:
            await tenants.set_history_days(work, days=days)
    assert refused.value.details == {"field": "days"}


async def test_who_does_not_manage_does_not_say_for_how_long(acme: Tester) -> None:
    async with acme.work(role=Role.OPERATOR) as work:
        with pytest.raises(Forbidden):
            await tenants.set_history_days(work, days=1)


async def test_for_how_long_is_said_and_shown(acme: Tester) -> None:
    said = await acme.gql("mutation { setHistoryDays(days: 400) { historyDays } }")
    assert said == {"setHistoryDays": {"historyDays": 400}}
    assert await acme.gql("{ me { tenant { historyDays } } }") == {"me": {"tenant": {"historyDays": 400}}}
    assert await acme.gql("mutation { setHistoryDays { historyDays } }") == {"setHistoryDays": {"historyDays": None}}
