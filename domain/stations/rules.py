from dataclasses import dataclass
from enum import StrEnum


class UnknownPolicy(StrEnum):
    """What becomes of a station that nobody registered."""

    AUTO = "auto"  # registered on the spot, boots Accepted
    PENDING = "pending"  # registered on the spot, boots Pending until somebody accepts it
    REJECT = "reject"  # not let in


@dataclass(frozen=True, slots=True)
class StationRules:
    """How this house treats stations; a port that the settings fill."""

    unknown: UnknownPolicy = UnknownPolicy.REJECT
    heartbeat_interval_s: int = 60
