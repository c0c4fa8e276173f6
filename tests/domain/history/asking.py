"""Recording and asking, as the tests of history do."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from domain import history, points
from domain.actor import Role
from domain.history import Column, History
from domain.points import Reading
from tests.tester import Tester

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


async def recorded(tester: Tester, *readings: Reading) -> None:
    async with tester.work() as work:
        assert (await points.record(work, readings)).errors == []


async def asked(tester: Tester, *addresses: str, role: Role = Role.VIEWER, **how: Any) -> History:
    period = {"from_": NOON, "to": NOON + DAY}
    return await history.history(tester.workplace, tester.acting_as(role), addresses=addresses, **{**period, **how})


def columns(found: History) -> list[Sequence[float | None]]:
    return [series.values for series in found.series]


async def column(tester: Tester, address: str, **how: Any) -> Column:
    return (await asked(tester, address, **how)).series[0].values
