"""What is sent by COPY is what PostgreSQL reads."""

from datetime import UTC, datetime, timedelta, timezone

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.points import Quality, Row, Source
from gateways.timescale.encoding import COLUMNS, POSITION, QUALITY_CODE, SOURCE_CODE, encoded
from gateways.timescale.writer import STAGING

pytestmark = pytest.mark.anyio

moments = st.datetimes(
    datetime(1900, 1, 1),  # noqa: DTZ001
    datetime(2199, 12, 31),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))]),
)
rows = st.builds(
    Row,
    st.integers(-(2**63), 2**63 - 1),
    moments,
    st.none() | st.floats(allow_nan=False) | st.integers(-(2**53), 2**53),
    st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(Quality),
    st.sampled_from(Source),
    st.integers(1, 2**31 - 1),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(rows, min_size=1, max_size=30))
async def test_every_row_arrives_as_it_is_at_its_position(application: asyncpg.Connection, written: list[Row]) -> None:
    await application.execute(STAGING)
    columns = (*COLUMNS, POSITION)
    async with application.transaction():
        await application.copy_to_table(
            "reading_staging", source=encoded(written, numbered=True), columns=columns, format="binary"
        )
        found = await application.fetch(f"select {', '.join(columns)} from reading_staging order by n")

    assert [tuple(row) for row in found] == [
        (*row[:4], QUALITY_CODE[row.quality], SOURCE_CODE[row.source], row.version, n) for n, row in enumerate(written)
    ]


def test_what_no_column_can_hold_is_said_to_be_of_the_data() -> None:
    fits = Row(1, datetime(2026, 6, 1, tzinfo=UTC), 1.0, None, Quality.GOOD)
    for wrong in (
        fits._replace(series=2**63),
        fits._replace(value="1"),  # type: ignore[arg-type]
        fits._replace(at=None),  # type: ignore[arg-type]
        fits._replace(quality="FINE"),  # type: ignore[arg-type]
        fits._replace(text="\ud800"),
    ):
        with pytest.raises((ValueError, TypeError, OverflowError, LookupError)):
            encoded([fits, wrong], numbered=False)
