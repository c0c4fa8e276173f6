import hashlib
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlmodel import Field

from domain.rows import JSON, TIMESTAMP, Record, enum_type


class StationStatus(StrEnum):
    """What a connector, an EVSE or a station is doing; OCPP 1.6's words and 2.x's Occupied."""

    AVAILABLE = "AVAILABLE"
    PREPARING = "PREPARING"
    CHARGING = "CHARGING"
    SUSPENDED_EV = "SUSPENDED_EV"
    SUSPENDED_EVSE = "SUSPENDED_EVSE"
    FINISHING = "FINISHING"
    RESERVED = "RESERVED"
    OCCUPIED = "OCCUPIED"
    UNAVAILABLE = "UNAVAILABLE"
    FAULTED = "FAULTED"
    UNKNOWN = "UNKNOWN"


class Registration(StrEnum):
    """Whether a station may work: OCPP's answer to BootNotification."""

    ACCEPTED = "ACCEPTED"
    PENDING = "PENDING"
    REJECTED = "REJECTED"


# The first of these that any part has is what the whole shows.
_RANK = (
    StationStatus.CHARGING,
    StationStatus.SUSPENDED_EV,
    StationStatus.SUSPENDED_EVSE,
    StationStatus.FINISHING,
    StationStatus.PREPARING,
    StationStatus.OCCUPIED,
    StationStatus.RESERVED,
    StationStatus.AVAILABLE,
    StationStatus.UNAVAILABLE,
    StationStatus.FAULTED,
    StationStatus.UNKNOWN,
)
_OVERRIDING = (StationStatus.FAULTED, StationStatus.UNAVAILABLE)


def whole(parts: "list[StationStatus]", own: StationStatus | None = None) -> StationStatus:
    """The status of a whole by those of its parts; connector 0 overrides where it is faulted or unavailable."""
    if own in _OVERRIDING:
        return own
    return min(parts or [own or StationStatus.UNKNOWN], key=_RANK.index)


def shown(reported: StationStatus, charging_state: StationStatus | None) -> StationStatus:
    """OCPP 2.x says Occupied of a connector; what the charge on its EVSE is doing says more."""
    return charging_state if reported is StationStatus.OCCUPIED and charging_state is not None else reported


class Station(Record, table=True):
    """The box. `identity` is its own name (the last segment of its address), `id` is ours."""

    identity: str
    name: str | None = None
    location_id: UUID | None = None
    vendor: str | None = None
    model: str | None = None
    serial_number: str | None = None
    firmware_version: str | None = None
    iccid: str | None = None
    imsi: str | None = None
    meter_type: str | None = None
    meter_serial_number: str | None = None
    ocpp_version: str | None = None
    peer: str | None = None
    registration: Registration = Field(default=Registration.ACCEPTED, sa_type=enum_type(Registration))
    boot_reason: str | None = None
    booted_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    status: StationStatus = Field(default=StationStatus.UNKNOWN, sa_type=enum_type(StationStatus))
    status_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    own_status: StationStatus | None = Field(default=None, sa_type=enum_type(StationStatus))
    own_status_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    error_code: str | None = None
    connected_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    clock_skew_s: float | None = None
    last_seen_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    configuration: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    firmware_status: str | None = None
    firmware_status_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    upload_status: str | None = None
    upload_status_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    configuration_read_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    configuration_read_of: str | None = None  # of which make
    ping_interval_s: int | None = None  # None: the house's; 0: none that we ask for
    password_hash: bytes | None = None
    offered_password_hashes: list[str] = Field(default_factory=list, sa_type=JSON)  # in hexadecimal digits

    @property
    def make(self) -> str:
        """A digest of what its settings depend on: another product, firmware or language has others."""
        parts = (self.vendor, self.model, self.firmware_version, self.ocpp_version)
        return hashlib.sha256("\n".join(part or "" for part in parts).encode()).hexdigest()[:32]

    def is_to_be_read(self, now: datetime, *, age: timedelta) -> bool:
        """Whether its configuration was never read, or is that of another make, or old. An age of 0: no reading."""
        read_at = self.configuration_read_at
        return bool(age) and (read_at is None or self.configuration_read_of != self.make or now - read_at >= age)

    @property
    def has_password(self) -> bool:
        """Whether it must show one."""
        return self.password_hash is not None

    @property
    def password_pending(self) -> bool:
        """Whether it was given a new one that it has not shown yet."""
        return bool(self.offered_password_hashes)


class Evse(Record, table=True):
    """An outlet group that serves one car at a time. `charging_state` is 2.x's, while a transaction lasts."""

    station_id: UUID
    number: int
    status: StationStatus = Field(default=StationStatus.UNKNOWN, sa_type=enum_type(StationStatus))
    charging_state: StationStatus | None = Field(default=None, sa_type=enum_type(StationStatus))
    charging_state_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)


class Connector(Record, table=True):
    """A plug or socket of an EVSE. `status` is what it shows, `reported_status` what the station said of it."""

    station_id: UUID
    evse_id: UUID
    evse_number: int
    number: int
    type: str | None = None
    status: StationStatus = Field(default=StationStatus.UNKNOWN, sa_type=enum_type(StationStatus))
    reported_status: StationStatus = Field(default=StationStatus.UNKNOWN, sa_type=enum_type(StationStatus))
    status_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    error_code: str | None = None
    error_info: str | None = None
    vendor_error_code: str | None = None
