"""From what a client wrote to what the domain takes."""

from collections.abc import Collection, Iterable
from typing import Annotated, Any
from uuid import UUID

import strawberry

from domain.errors import Invalid

QueueFor = Annotated[
    int | None,
    strawberry.argument(
        description="Seconds for which the order waits for a station that is not there (QUEUED), at most 604800 where "
        "the server is not set otherwise; null: it does not wait."
    ),
]


def row_id(given: strawberry.ID, argument: str = "id") -> UUID:
    """Ids of ours are UUIDs; another string names no row and cannot be meant."""
    try:
        return UUID(given)
    except ValueError:
        raise Invalid(f"{argument} {given!r} is no id: ids are UUIDs", field=argument) from None


def row_ids(given: Iterable[strawberry.ID], argument: str) -> list[UUID]:
    """Each id once, in the order given."""
    return list(dict.fromkeys(row_id(one, argument) for one in given))


def optional_id(given: strawberry.ID | None, argument: str) -> UUID | None:
    return None if given is None else row_id(given, argument)


def changes(given: Any, *, never_null: Collection[str] = ()) -> dict[str, Any]:
    """The fields of an update that the client wrote, `null` among them; `Maybe` tells those from the absent ones."""
    changed = {name: value.value for name, value in vars(given).items() if value is not None}
    for name in never_null:
        if changed.get(name, ...) is None:
            raise Invalid(f"{name} cannot be null", field=f"input.{name}")
    return changed
