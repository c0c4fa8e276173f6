from datetime import UTC, datetime, timedelta, timezone

import pytest

from schema.scalars import moment_in, moment_out


def test_times_go_out_in_utc_with_z() -> None:
    berlin = timezone(timedelta(hours=1))

    assert moment_out(datetime(2026, 3, 1, 12, tzinfo=berlin)) == "2026-03-01T11:00:00Z"
    assert moment_out(datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)) == "2026-03-01T12:00:00.250000Z"
    assert moment_out(datetime(2026, 3, 1, 12, tzinfo=UTC)) == "2026-03-01T12:00:00Z"
    assert moment_out(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01T00:00:00Z"


def test_a_time_without_an_offset_does_not_go_out() -> None:
    with pytest.raises(TypeError, match="without an offset"):
        moment_out(datetime(2026, 3, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    "written", ["2026-03-01T12:00:00Z", "2026-03-01T13:00:00+01:00", "2026-03-01 12:00:00.000Z", "2026-03-01T12:00Z"]
)
def test_times_come_in_with_any_offset(written: str) -> None:
    assert moment_in(written) == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "written", ["2026-03-01T12:00:00", "2026-03-01", "noon", "", 1_772_366_400, None, "0001-01-01T00:00:00+14:00"]
)
def test_what_is_no_moment_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"DateTime|offset"):
        moment_in(written)
