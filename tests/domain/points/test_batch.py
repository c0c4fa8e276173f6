"""By columns or one by one, what becomes of a batch is the same."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.points import LatestReading, Quality, Reading, Row, Source, Updates
from domain.points.batch import Batch
from domain.points.known import Addresses, Known
from domain.points.models import ValueType
from domain.points.news import Live, Lives, messages

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
TENANT, OWNER = UUID(int=1), UUID(int=2)
KINDS = {
    "power": ("W", ValueType.NUMBER),
    "count": (None, ValueType.NUMBER),
    "on": (None, ValueType.BOOLEAN),
    "mode": (None, ValueType.TEXT),
    "state": (None, ValueType.ENUM),
}

plain = st.builds(
    Reading, st.sampled_from(["power", "count"]), st.just(NOON), st.floats(-1e9, 1e9) | st.integers(-9, 9)
)
any_kind = st.builds(
    Reading,
    st.sampled_from([*KINDS, "", "no\npoint"]),
    st.sampled_from(
        [
            NOON,
            NOON.astimezone(timezone(timedelta(hours=2))),
            NOON - timedelta(seconds=1),
            NOON + timedelta(seconds=1),
            NOON + timedelta(days=1, seconds=1),
            datetime(1899, 1, 1, tzinfo=UTC),
            datetime(2026, 6, 1, 12),  # noqa: DTZ001
        ]
    ),
    st.none() | st.booleans() | st.sampled_from([0, 2, -0.0, 1.5, 1e308, float("nan"), float("inf"), 10**400]),
    st.none() | st.sampled_from(["1", "true", "eco", "nul\0"]),
    st.sampled_from(Quality),
    st.none() | st.sampled_from(["W", "kW", "GW", "Wh"]),
    st.sampled_from(Source),
    st.sampled_from([1, 1, 1, 2, 0]),
)


def known() -> Addresses:
    addresses = Addresses()
    for series, (name, (unit, kind)) in enumerate(KINDS.items()):
        addresses.put(name, Known(UUID(int=series), series, unit, OWNER, kind))
    return addresses


@settings(max_examples=120, deadline=None)
@given(st.lists(plain, max_size=6) | st.lists(any_kind, max_size=6))
def test_by_columns_or_one_by_one_a_batch_becomes_the_same(readings: list[Reading]) -> None:
    addresses = known()
    first, again, single = (Batch(readings, addresses) for _ in range(3))
    for batch in (first, again):
        assert (batch.roster is None) == (not batch.sound)
        batch.rows(batch.roster or [])
    single.rows(list(single.roster or []))

    assert again.roster is None or again.roster is single.roster
    assert first._indexes == again._indexes == single._indexes
    assert list(first._rows) == list(again._rows) == list(single._rows)
    assert first.misfits == again.misfits == single.misfits
    assert first.recorded == again.recorded == single.recorded
    shown = [list(batch.newest(NOON)) for batch in (first, again, single)]
    assert shown[0] == shown[1] == shown[2] == _newest(single)
    told = [
        [update for m in messages(TENANT, batch.newest(NOON)) for update in Updates().read(m)]
        for batch in (first, single)
    ]
    assert told[0] == told[1]


def _newest(batch: Batch) -> list[Live]:
    """By hand."""
    found: dict[str, list[Row]] = {}
    for row, origin in zip(batch._rows, batch._origins, strict=True):
        if row.source is Source.DEVICE and row.at <= NOON + timedelta(days=1):
            found.setdefault(batch.sound[origin].address, []).append(row)
    newest = {address: max(reversed(rows), key=lambda row: (row.at, row.version)) for address, rows in found.items()}
    return [
        Live(address, OWNER, LatestReading(UUID(int=row.series), row.at, row.value, row.text, row.quality))
        for address, row in newest.items()
    ]


def test_what_a_device_says_at_once_says_its_time_once() -> None:
    addresses = known()
    batch = Batch([Reading("power", NOON, 1.0), Reading("count", NOON, 2.0)], addresses)
    batch.rows(batch.roster or [])
    (message,) = messages(TENANT, batch.newest(NOON))

    assert orjson.loads(message.payload) == [["power", "count"], "2026-06-01T12:00:00+00:00", [1.0, 2.0], None, "GOOD"]
    assert [(update.address, update.at, update.value) for update in Updates().read(message)] == [
        ("power", NOON, 1.0),
        ("count", NOON, 2.0),
    ]


def test_news_of_a_batch_replaces_that_of_the_same_points_only() -> None:
    def conflate(readings: Sequence[Live]) -> str | None:
        return messages(TENANT, readings)[0].conflate

    batch = Batch([Reading("power", NOON, 1.0), Reading("count", NOON, 2.0)], known())
    batch.rows(batch.roster or [])
    lives = batch.newest(NOON)

    assert isinstance(lives, Lives)
    assert lives.roster is not None
    assert conflate(lives) == conflate(list(lives)) == conflate(list(lives)[::-1])
    assert conflate(lives[:1]) != conflate(lives)
