from enum import StrEnum

from sqlmodel import Field

from domain.rows import Record, enum_type


class UnknownPolicy(StrEnum):
    """What becomes of a station that nobody registered."""

    AUTO = "auto"  # registered on the spot, boots Accepted
    PENDING = "pending"  # registered on the spot, boots Pending until somebody accepts it
    REJECT = "reject"  # not let in


class PointPolicy(StrEnum):
    """What becomes of a reading whose address is no point yet."""

    AUTO = "auto"  # a point is made of it
    KNOWN = "known"  # refused, unless it comes from equipment that is registered


class Tenant(Record, table=True):
    """A customer organization. Its id is what every other row carries. `station_policy`: None is the house's.

    `history_days`: for how long readings are kept; None is for ever.
    """

    slug: str = Field(unique=True)
    name: str
    timezone: str = "UTC"
    station_policy: UnknownPolicy | None = Field(default=None, sa_type=enum_type(UnknownPolicy))
    point_policy: PointPolicy | None = Field(default=None, sa_type=enum_type(PointPolicy))
    points_max: int | None = None
    history_days: int | None = None
