from enum import StrEnum

from sqlmodel import Field

from domain.rows import Record, enum_type


class UnknownPolicy(StrEnum):
    """What becomes of a station that nobody registered."""

    AUTO = "auto"  # registered on the spot, boots Accepted
    PENDING = "pending"  # registered on the spot, boots Pending until somebody accepts it
    REJECT = "reject"  # not let in


class Tenant(Record, table=True):
    """A customer organization. Its id is what every other row carries. `station_policy`: None is the house's.

    `history_days`: for how long readings are kept; None is for ever.
    """

    slug: str = Field(unique=True)
    name: str
    timezone: str = "UTC"
    station_policy: UnknownPolicy | None = Field(default=None, sa_type=enum_type(UnknownPolicy))
    history_days: int | None = None
