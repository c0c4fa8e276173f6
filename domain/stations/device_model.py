"""The device model of OCPP 2.x: the components of a station, their variables, and what each is set to."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlmodel import Field

from domain.rows import JSON, TIMESTAMP, Record, enum_type


class AttributeType(StrEnum):
    ACTUAL = "ACTUAL"
    TARGET = "TARGET"
    MIN_SET = "MIN_SET"
    MAX_SET = "MAX_SET"


class Mutability(StrEnum):
    READ_ONLY = "READ_ONLY"
    WRITE_ONLY = "WRITE_ONLY"
    READ_WRITE = "READ_WRITE"


class ReportBase(StrEnum):
    """CONFIGURATION: what can be set. FULL: everything. SUMMARY: what is out of order. CUSTOM: what was asked for."""

    CONFIGURATION = "CONFIGURATION"
    FULL = "FULL"
    SUMMARY = "SUMMARY"
    CUSTOM = "CUSTOM"


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableName:
    """Where a value stands in a station. OCPP compares names without case."""

    component: str
    variable: str
    component_instance: str | None = None
    variable_instance: str | None = None
    evse_number: int | None = None
    connector_number: int | None = None

    @property
    def key(self) -> str:
        return "\n".join(
            str(part or "").strip().casefold()
            for part in (
                self.component,
                self.component_instance,
                self.evse_number,
                self.connector_number,
                self.variable,
                self.variable_instance,
            )
        )

    @property
    def setting(self) -> str | None:
        """As `Station.configuration` calls it; None for what belongs to an EVSE."""
        if self.evse_number is not None:
            return None
        component = "/".join(filter(None, (self.component, self.component_instance)))
        variable = "/".join(filter(None, (self.variable, self.variable_instance)))
        return f"{component}.{variable}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One of up to four values of a variable."""

    type: AttributeType = AttributeType.ACTUAL
    value: str | None = None
    mutability: Mutability | None = None
    persistent: bool | None = None
    constant: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Characteristics:
    """What values a variable may have; `data_type` is a word of the standard's, `values_list` has commas."""

    data_type: str | None = None
    unit: str | None = None
    min_limit: float | None = None
    max_limit: float | None = None
    values_list: str | None = None
    supports_monitoring: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A variable as a report tells of it."""

    name: VariableName
    attributes: tuple[Attribute, ...] = ()
    characteristics: Characteristics | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A value by itself, as a station told it or took it from us."""

    name: VariableName
    value: str | None
    attribute: AttributeType = AttributeType.ACTUAL


class StationVariable(Record, table=True):
    """What is known of one variable of a station. `key` is its name as it is compared."""

    __tablename__ = "station_variable"

    station_id: UUID
    key: str
    component: str
    component_instance: str | None = None
    evse_number: int | None = None
    connector_number: int | None = None
    variable: str
    variable_instance: str | None = None
    values: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)  # by the attribute's type
    data_type: str | None = None
    unit: str | None = None
    min_limit: float | None = None
    max_limit: float | None = None
    values_list: str | None = None
    supports_monitoring: bool | None = None
    updated_at: datetime = Field(sa_type=TIMESTAMP)

    @property
    def attributes(self) -> list[Attribute]:
        return [
            Attribute(
                type=type_,
                value=held.get("value"),
                mutability=Mutability(held["mutability"]) if held.get("mutability") else None,
                persistent=held.get("persistent"),
                constant=held.get("constant"),
            )
            for type_ in AttributeType
            if (held := self.values.get(type_)) is not None
        ]

    @property
    def value(self) -> str | None:
        """The actual one."""
        held: str | None = self.values.get(AttributeType.ACTUAL, {}).get("value")
        return held


class StationReport(Record, table=True):
    """A report that was asked for, and which parts of it have come: `seen` by their numbers, `last` the last one's."""

    __tablename__ = "station_report"

    station_id: UUID
    command_id: UUID
    number: int
    base: ReportBase = Field(sa_type=enum_type(ReportBase))
    seen: list[int] = Field(default_factory=list, sa_type=JSON)
    last: int | None = None
    completed_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)

    @property
    def parts(self) -> int:
        return len(self.seen)

    @property
    def complete(self) -> bool:
        return self.completed_at is not None
