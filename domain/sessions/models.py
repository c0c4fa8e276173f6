from datetime import datetime
from enum import IntEnum, StrEnum
from uuid import UUID

from sqlalchemy import BigInteger
from sqlmodel import Field

from domain.rows import JSON, TIMESTAMP, Record, enum_type


class SessionStatus(StrEnum):
    """PENDING: plugged in or authorized, no energy yet. INTERRUPTED: ended without a word from the station.
    INVALID: a record that cannot be a charge."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"
    INTERRUPTED = "INTERRUPTED"
    INVALID = "INVALID"


class ChargingState(StrEnum):
    """OCPP 2.0.1, 3.19; 1.6 tells three of them as the status of a connector."""

    IDLE = "IDLE"
    EV_CONNECTED = "EV_CONNECTED"
    CHARGING = "CHARGING"
    SUSPENDED_EV = "SUSPENDED_EV"
    SUSPENDED_EVSE = "SUSPENDED_EVSE"


class StopSource(StrEnum):
    """MATCHED: the stop named a transaction that nobody knows and was taken for this one's."""

    MATCHED = "MATCHED"
    REPORTED = "REPORTED"


class Rank(IntEnum):
    """What a register value is worth as the first or last of a charge: the higher one counts, whenever it comes."""

    SAMPLED = 1  # the earliest, or latest, of the periodic ones
    MATCHED = 2  # of a stop that was taken for this charge's
    MARKED = 3  # sampled as Transaction.Begin or Transaction.End
    REPORTED = 4  # meterStart, meterStop of OCPP 1.6
    SIGNED = 5  # marked, and signed by the meter


class Session(Record, table=True):
    """One charge: what stations said of it, merged, and what follows from that.

    Times are the station's, `received_at` and `updated_at` ours; registers and energy in Wh. Facts may come in any
    order and any number of times, see `facts.py`; `rules.py` draws the conclusions.
    """

    # Who, where, and how it is found again. `start_key` recognizes a repeated StartTransaction.
    station_id: UUID
    transaction_id: str
    start_key: str | None = None
    evse_number: int | None = None
    connector_number: int | None = None
    token_id: UUID | None = None
    token_uid: str | None = None
    token_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    command_id: UUID | None = None
    received_at: datetime = Field(sa_type=TIMESTAMP)
    updated_at: datetime = Field(sa_type=TIMESTAMP)
    offline: bool = False

    # Facts. `start_inferred`: the start itself was not heard of yet.
    started_at: datetime = Field(sa_type=TIMESTAMP)
    start_inferred: bool = False
    charging_state: ChargingState | None = Field(default=None, sa_type=enum_type(ChargingState))
    charging_state_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    charging_state_seq: int | None = Field(default=None, sa_type=BigInteger)
    meter_start_wh: float | None = None
    meter_start_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    meter_start_rank: int = 0
    meter_last_wh: float | None = None
    meter_last_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    meter_min_wh: float | None = None
    meter_max_wh: float | None = None
    meter_stop_wh: float | None = None
    meter_stop_rank: int = 0
    sampled_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    power_w: float | None = None
    power_last_w: float | None = None
    power_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    soc_percent: float | None = None
    soc_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    stop_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    stop_source: StopSource | None = Field(default=None, sa_type=enum_type(StopSource))
    stop_reason: str | None = None
    superseded_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    silent_since: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    vacated_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)

    # Facts of 2.x: which sequence numbers were heard, as ranges, and up to which nothing more is to come.
    seqs_heard: list[list[int]] = Field(default_factory=list, sa_type=JSON)
    seqs_sent_to: int | None = Field(default=None, sa_type=BigInteger)
    status_asked_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)

    # Conclusions. `inferred`: an end that no station reported; `meter_suspect`: a register that went backwards;
    # `incomplete`: what is missing will not come any more.
    status: SessionStatus = Field(default=SessionStatus.ACTIVE, sa_type=enum_type(SessionStatus))
    ended_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    energy_wh: float = 0.0
    inferred: bool = False
    meter_suspect: bool = False
    missing_messages: int = 0
    incomplete: bool = False


class SignedValue(Record, table=True):
    """What a meter signed within a charge, as the station gave it; `content_hash` knows a repeat.

    `format` is what 2.x calls the encoding method, and SignedData where 1.6 does not tell.
    """

    __tablename__ = "session_signed_value"

    session_id: UUID
    at: datetime = Field(sa_type=TIMESTAMP)
    context: str
    measurand: str
    phase: str | None = None
    location: str | None = None
    format: str
    value: str
    content_hash: str


class OrphanKind(StrEnum):
    STOP = "STOP"
    METER = "METER"


class SessionOrphan(Record, table=True):
    """What a station said of a charge that nobody can find: kept for an operator, never lost, never billed.

    A stop that was taken for a session's has its `session_id`; should that session's own stop come, it has none again.
    `settled_by` is the operator who gave it to a session, or wants to see it no more.
    """

    __tablename__ = "session_orphan"

    station_id: UUID
    kind: OrphanKind = Field(sa_type=enum_type(OrphanKind))
    session_id: UUID | None = None
    transaction_id: str | None = None
    evse_number: int | None = None
    token_uid: str | None = None
    at: datetime = Field(sa_type=TIMESTAMP)
    meter_wh: float | None = None
    reason: str | None = None
    content_hash: str
    settled_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    settled_by: str | None = None
