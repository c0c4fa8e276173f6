"""How values look on the wire where GraphQL has no type of its own for them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import strawberry
from strawberry.types.scalar import ScalarDefinition


def moment_out(value: datetime) -> str:
    """RFC 3339 in UTC with `Z`."""
    if value.__class__ is datetime and value.tzinfo is UTC:
        return orjson.dumps(value, option=orjson.OPT_UTC_Z)[1:-1].decode()  # the same text in a third of the time
    if value.tzinfo is None:
        raise TypeError(f"a time without an offset: {value!r}")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def moment_in(value: Any) -> datetime:
    """RFC 3339 with any offset. Without one nobody knows when it was."""
    if not isinstance(value, str):
        raise ValueError("a DateTime is a string such as 2026-03-01T12:00:00Z")
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{value!r} is no DateTime: {error}") from None
    raise ValueError(f"{value!r} has no offset: write it as 2026-03-01T12:00:00Z or with +02:00")


DATE_TIME = strawberry.scalar(
    name="DateTime",
    description="RFC 3339. Answers are in UTC with `Z`; arguments may have any offset, and must have one.",
    serialize=moment_out,
    parse_value=moment_in,
    specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
)

JSON = strawberry.scalars.JSON

SCALARS: Mapping[object, ScalarDefinition] = {datetime: DATE_TIME}
