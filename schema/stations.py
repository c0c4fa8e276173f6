from collections.abc import AsyncGenerator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from domain import stations
from domain.stations import AttributeType, Mutability, Registration, ReportBase, StationStatus
from resolvers import local_lists
from resolvers import stations as door
from schema import limits
from schema.locations import Location
from schema.page import Connection
from schema.scalars import JSON
from schema.view import EVENT_ID, answer, attribute, stream, view

if TYPE_CHECKING:
    from schema.local_lists import LocalList


@view(stations.Connector)
class Connector:
    """A plug or socket."""

    number: int = attribute("Within its EVSE, from 1.")
    type: str | None = attribute("Its standard, where the station tells.")
    status: StationStatus = attribute("What it is doing.")
    status_at: datetime | None = attribute("Since when, by the station's clock.")
    error_code: str | None = attribute("The station's word for what is wrong.")
    error_info: str | None = attribute("What else the station says of it.")
    vendor_error_code: str | None = attribute("The maker's word for it.")


@view(stations.Evse)
class Evse:
    """An outlet group that serves one car at a time."""

    number: int = attribute("Within its station, from 1.")
    status: StationStatus = attribute("What it is doing.")
    connectors: list[Connector] = answer(door.connectors, "Its plugs, by number.", size=limits.CONNECTORS)


@view(stations.Attribute)
class VariableAttribute:
    """One of up to four values of a variable."""

    type: AttributeType = attribute("Which.")
    value: str | None = attribute("Null where it cannot be read, or is not known.")
    mutability: Mutability | None = attribute("Whether it can be read or set, where the station tells.")
    persistent: bool | None = attribute("Whether it outlives a restart, where the station tells.")
    constant: bool | None = attribute("Whether it never changes, where the station tells.")


@view(stations.StationVariable)
class StationVariable:
    """A variable of a station's device model (OCPP 2.x), as far as the station has told of it."""

    component: str = attribute("What it belongs to.")
    component_instance: str | None = attribute("Which of several.")
    evse_number: int | None = attribute("Where the component belongs to an EVSE.")
    connector_number: int | None = attribute("Where it belongs to a connector of that.")
    variable: str = attribute("What it is.")
    variable_instance: str | None = attribute("Which of several.")
    value: str | None = attribute("Its actual value.")
    attributes: list[VariableAttribute] = attribute("All its values.")
    data_type: str | None = attribute("A word of the standard, such as integer or OptionList.")
    unit: str | None = attribute("Of its values.")
    min_limit: float | None = attribute("The least that it may be.")
    max_limit: float | None = attribute("The most that it may be; of a text or a list, how long.")
    values_list: str | None = attribute("What it may be, with commas.")
    supports_monitoring: bool | None = attribute("Whether the station can watch it.")
    updated_at: datetime = attribute("When the station last told of it.")


@view(stations.StationReport)
class StationReport:
    """A report of the device model that was asked for; its parts come one after the other."""

    number: int = attribute("What the station calls it: OCPP's requestId.")
    base: ReportBase = attribute("What was asked for.")
    parts: int = attribute("How many have come.")
    complete: bool = attribute("Whether all have.")
    completed_at: datetime | None = attribute("When the last one had.")


@view(stations.Station)
class Station:
    """A charging station: the box."""

    id: strawberry.ID = attribute("Ours.")
    identity: str = attribute("Its own name: the last segment of the address it connects to.")
    name: str | None = attribute("What people call it.")
    status: StationStatus = attribute("The first of its EVSEs' in the order of interest; its own where that is worse.")
    status_at: datetime | None = attribute("When something of it last changed, by its clock.")
    error_code: str | None = attribute("The station's word for what is wrong with it as a whole.")
    online: bool | None = answer(
        door.online, "Whether a socket of it is live now, anywhere in the cluster; unknown while Redis is away."
    )
    clock_skew_s: float | None = attribute("How far its clock is ahead of ours, in seconds; below 0 it is behind.")
    last_seen_at: datetime | None = answer(door.last_seen_at, "When it was last heard from.")
    vendor: str | None = attribute("Who made it.")
    model: str | None = attribute("What they call it.")
    serial_number: str | None = attribute("Of the box.")
    firmware_version: str | None = attribute("As it booted.")
    ocpp_version: str | None = attribute("The subprotocol of its last socket: ocpp1.6, ocpp2.0.1, ocpp2.1.")
    connected_at: datetime | None = attribute("When its last socket opened.")
    peer: str | None = attribute("The address that its last socket came from.")
    iccid: str | None = attribute("Of its SIM card.")
    imsi: str | None = attribute("Of its SIM card.")
    meter_type: str | None = attribute("Of its main meter.")
    meter_serial_number: str | None = attribute("Of its main meter.")
    registration: Registration = attribute("Whether it may work.")
    boot_reason: str | None = attribute("What it gave as the reason of its last boot (OCPP 2.x).")
    booted_at: datetime | None = attribute("When it last booted.")
    configuration: JSON = attribute("What it told of its settings, or took of ours.")
    configuration_read_at: datetime | None = attribute("When all of them were last read, after a boot.")
    has_password: bool = attribute("Whether it must show one to connect.")
    password_pending: bool = attribute("Whether it was given a new password that it has not shown yet; both are good.")
    ping_interval_s: int | None = attribute(
        "How often it is to ping (WebSocketPingInterval), which it is told after its next boot; 0: it is left alone; "
        "null: as the server is set."
    )
    created_at: datetime = attribute("When it was registered.")
    location: Location | None = answer(door.location, "Where it stands.")
    firmware_status: str | None = attribute("How far its last firmware update has come, in its own word.")
    firmware_status_at: datetime | None = attribute("When it said so.")
    upload_status: str | None = attribute("How far its last upload of logs or diagnostics has come, in its own word.")
    upload_status_at: datetime | None = attribute("When it said so.")
    local_list: Annotated["LocalList", strawberry.lazy("schema.local_lists")] | None = answer(
        local_lists.of_station, "What it keeps of tokens; null where nobody ever asked it to."
    )
    evses: list[Evse] = answer(door.evses, "Its outlet groups, by number.", size=limits.EVSES)
    variables: Connection[StationVariable] = answer(
        door.variables, "What it has told of its components (OCPP 2.x), or of those of one name in any case."
    )


@view(door.StatusUpdate)
class StationStatusUpdate:
    """What a plug is doing since `at`; without numbers the station itself. Going on and off line is told here too."""

    station: Station = attribute("As it is at delivery.")
    evse_number: int | None = attribute("Null: the station itself.")
    connector_number: int | None = attribute("Null: the whole EVSE, or the station itself.")
    status: StationStatus = attribute("What it is doing.")
    at: datetime = attribute("Since when; by the station's clock where it told the time.")
    event_id: strawberry.ID | None = attribute(EVENT_ID)


@strawberry.type
class StationQuery:
    stations: Connection[Station] | None = answer(door.listed, "Stations, by what is wanted of them.")
    station: Station | None = answer(door.by_id, "One station.")
    station_by_identity: Station | None = answer(door.by_identity, "One station by its own name.")


@strawberry.type
class StationMutation:
    register_station: Station | None = answer(door.register, "Let a station connect.")
    update_station: Station | None = answer(door.update, "Change what is kept of a station.")
    update_station_config: Station | None = answer(
        door.configure, "Set keys of a station's configuration, `config` an object of keys and values; waits for it."
    )
    delete_station: Station | None = answer(
        door.delete, "Remove a station and all that hangs on it: EVSEs, sessions, commands."
    )


@strawberry.type
class StationSubscription:
    station_status_updates: AsyncGenerator[StationStatusUpdate, None] = stream(
        door.status_updates,
        "Every plug as it is, then every change; all stations where none are named. With `after`, an `eventId`, what "
        "came since in place of the first look.",
    )
