"""Columns are the tuples that they were made of, in whatever way they are cut and put together again."""

from array import array
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.points import Ids, LatestReading, LatestReadings, Moments, Quality, Row, Rows, Source, lay

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)

times = st.one_of(
    st.just(NOON),
    st.datetimes(
        datetime(1900, 1, 1),  # noqa: DTZ001
        datetime(2199, 12, 31),  # noqa: DTZ001
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=9, minutes=30))]),
    ),
)
values = st.none() | st.floats(allow_nan=False)
texts = st.none() | st.text(max_size=5)
rows = st.builds(
    Row, st.integers(1, 9), times, values, texts, st.sampled_from(Quality), st.sampled_from(Source), st.integers(1, 9)
)
latest = st.builds(LatestReading, st.uuids(), times, values, texts, st.sampled_from(Quality))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(rows, max_size=6), min_size=1, max_size=5), st.data())
def test_rows_stay_what_they_are(parts: list[list[Row]], data: st.DataObject) -> None:
    if data.draw(st.booleans()):  # as they come from a batch
        for columns in (parted := [Rows.of(part) for part in parts if part]):
            assert len(columns.moments.microseconds) == len(columns)
    else:
        parted = [Rows.of(part) for part in parts]
    whole = Rows.joined(parted)
    flat = [row for part in parts for row in part]

    assert list(whole) == flat
    assert len(whole) == len(flat)
    start, stop = sorted((data.draw(st.integers(0, len(flat))), data.draw(st.integers(0, len(flat)))))
    assert list(whole[start:stop]) == flat[start:stop]
    if flat:
        assert whole[-1] == flat[-1]
        earliest, latest = whole.moments.span
        assert (earliest, latest) == (min(row.at for row in flat), max(row.at for row in flat))
        assert whole.moments.is_one == (earliest == latest)
        since_1970 = [
            datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us) for us in whole.moments.microseconds
        ]
        assert since_1970 == [row.at for row in flat]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(latest, min_size=1, max_size=6), min_size=1, max_size=5))
def test_latest_readings_stay_what_they_are(parts: list[list[LatestReading]]) -> None:
    whole = LatestReadings.joined(parts)

    assert list(whole) == [reading for part in parts for reading in part]
    assert list(whole[1:3]) == list(whole)[1:3]
    assert whole[-1] == parts[-1][-1]


def test_a_time_without_a_zone_cannot_be_counted() -> None:
    with pytest.raises(TypeError):
        _ = Moments([NOON, NOON.replace(tzinfo=None)]).microseconds


def test_ids_are_found_by_place_and_no_further() -> None:
    ids = Ids.of([UUID(int=1), UUID(int=2), UUID(int=3)])

    assert [ids[0], ids[-1], *ids[1:]] == [UUID(int=1), UUID(int=3), UUID(int=2), UUID(int=3)]
    with pytest.raises(IndexError):
        ids[3]


def test_a_column_is_laid_over_records_and_stays_as_it_was() -> None:
    records, column = bytearray(12), array("h", [1, -2, 0x0304])
    lay(records, 1, 4, column)

    assert records.hex(" ", 4) == "00000100 00fffe00 00030400"
    assert list(column) == [1, -2, 0x0304]
