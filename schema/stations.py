from collections.abc import AsyncGenerator
from datetime import datetime

import strawberry

from domain import stations
from domain.stations import Registration, StationStatus
from resolvers import stations as door
from schema import limits
from schema.locations import Location
from schema.page import Connection
from schema.scalars import JSON
from schema.view import EVENT_ID, answer, attribute, stream, view


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
    created_at: datetime = attribute("When it was registered.")
    location: Location | None = answer(door.location, "Where it stands.")
    evses: list[Evse] = answer(door.evses, "Its outlet groups, by number.", size=limits.EVSES)


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
