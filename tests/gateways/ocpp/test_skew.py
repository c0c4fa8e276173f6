"""How far a station's clock is off is seen by the newest of what it tells."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import stations
from domain.actor import Role
from gateways.ocpp.skew import ClockWatch
from tests.factories import a_station
from tests.tester import Tester

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@given(st.floats(-1e9, 1e9), st.lists(st.floats(0, 1e6), min_size=3, max_size=20), st.randoms())
def test_what_is_told_late_hides_no_clock_that_is_off(skew_s: float, delays_s: list[float], dice: object) -> None:
    delays = [0.0, *delays_s]
    dice.shuffle(delays)  # type: ignore[attr-defined]
    watch = ClockWatch()
    for number, delay_s in enumerate(delays):
        watch.note(after(number + skew_s - delay_s), after(number))
    assert watch.due(after(31)) == pytest.approx(skew_s, abs=0.1)


def test_nothing_is_concluded_from_little_nor_too_often() -> None:
    watch = ClockWatch()
    for number in range(2):
        watch.note(after(60), after(number))
    assert watch.due(after(100)) is None
    watch.note(after(150), after(100))
    assert watch.due(after(100)) == 60
    for number in range(101, 110):
        watch.note(after(number), after(number))
    assert watch.due(after(110)) is None
    assert watch.due(after(401)) == 0


@pytest.mark.anyio
async def test_a_skew_is_kept_until_it_is_another(acme: Tester) -> None:
    station = await a_station(acme)
    seen = []
    for skew_s in (3600.0, 3601.0, 1.0):
        async with acme.work(role=Role.STATION) as work:
            await stations.report_clock(work, station_id=station.id, skew_s=skew_s)
        answer = await acme.gql(f'{{ station(id: "{station.id}") {{ clockSkewS }} }}')
        seen.append(answer["station"]["clockSkewS"])
    assert seen == [3600, 3600, 1]
