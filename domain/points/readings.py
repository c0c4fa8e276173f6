"""What gateways hand in and what they get back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from domain.points.models import OwnerKind


class Quality(StrEnum):
    """OPC UA and IEC 60870: how far the device itself believes in its value."""

    GOOD = "GOOD"
    UNCERTAIN = "UNCERTAIN"
    BAD = "BAD"


class Source(StrEnum):
    """How a reading came to us. What is not told by its device, here and now, is no news to a viewer."""

    DEVICE = "DEVICE"
    RESENT = "RESENT"
    IMPORTED = "IMPORTED"
    ENTERED = "ENTERED"


class Reading(NamedTuple):
    """One measurement as the device gave it: its time, its unit. Numbers and booleans in `value`, the rest in `text`.

    Where both are set, `text` names the number (an enum). A BAD reading may have neither: the sensor is broken.
    `version` counts deliveries of the same moment, from 1: a higher one corrects what was known before.
    """

    address: str
    at: datetime
    value: float | None = None
    text: str | None = None
    quality: Quality = Quality.GOOD
    unit: str | None = None
    source: Source = Source.DEVICE
    version: int = 1


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom new points belong to."""

    kind: OwnerKind
    id: UUID


@dataclass(frozen=True, slots=True)
class RecordError:
    """Why the reading at `index` of the batch was not recorded."""

    index: int
    message: str
    code: str = "INVALID"


@dataclass(frozen=True, slots=True)
class Recorded:
    """`recorded` readings are committed; every other one has its error, or is kept apart, and why."""

    recorded: int
    errors: Sequence[RecordError] = field(default_factory=list)
    quarantined: Sequence[RecordError] = field(default_factory=list)
