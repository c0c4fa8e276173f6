"""A station with its parts, held against other writers. Whole fleets tell what their plugs do, after every restart:
so these few statements are written by hand (ARCHITECTURE, "What a unit of work costs").
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from domain.errors import NotFound
from domain.stations.models import StationStatus, whole
from domain.work import Work

_STATION: Final = """
select status, status_at, own_status, own_status_at, error_code from station where id = $1 for update
"""

# After the station is held, not with it: whoever waited would see the parts as they were before.
_PARTS: Final = """
select evse.id as evse_id, evse.number as evse_number, evse.status as evse_status, evse.charging_state,
    evse.charging_state_at, connector.id, connector.number, connector.status, connector.reported_status,
    connector.status_at, connector.error_code, connector.error_info, connector.vendor_error_code
from evse left join connector on connector.evse_id = evse.id
where evse.station_id = $1
"""

_KEEP: Final = """
with evses as (
    insert into evse (station_id, created_at, id, number, status, charging_state, charging_state_at)
    select $1, $2, * from unnest($8::uuid[], $9::integer[], $10::text[], $11::text[], $12::timestamptz[])
    on conflict (id) do update set status = excluded.status, charging_state = excluded.charging_state,
        charging_state_at = excluded.charging_state_at
), connectors as (
    insert into connector (station_id, created_at, id, evse_id, evse_number, number, status, reported_status, status_at,
        error_code, error_info, vendor_error_code)
    select $1, $2, * from unnest($13::uuid[], $14::uuid[], $15::integer[], $16::integer[], $17::text[], $18::text[],
        $19::timestamptz[], $20::text[], $21::text[], $22::text[])
    on conflict (id) do update set status = excluded.status, reported_status = excluded.reported_status,
        status_at = excluded.status_at, error_code = excluded.error_code, error_info = excluded.error_info,
        vendor_error_code = excluded.vendor_error_code
)
update station set status = $3, status_at = $4, own_status = $5, own_status_at = $6, error_code = $7
where id = $1
    and (status, status_at, own_status, own_status_at, error_code) is distinct from ($3, $4::timestamptz, $5, $6, $7)
"""


@dataclass(slots=True)
class Plug:
    """A connector: `status` is what it shows, `reported` what the station said of it."""

    id: UUID
    evse_id: UUID
    evse_number: int
    number: int
    status: StationStatus = StationStatus.UNKNOWN
    reported: StationStatus = StationStatus.UNKNOWN
    status_at: datetime | None = None
    error_code: str | None = None
    error_info: str | None = None
    vendor_error_code: str | None = None


@dataclass(slots=True)
class Outlets:
    """An EVSE, whose plugs are by number."""

    id: UUID
    number: int
    status: StationStatus = StationStatus.UNKNOWN
    charging_state: StationStatus | None = None
    charging_state_at: datetime | None = None
    plugs: dict[int, Plug] = field(default_factory=dict, compare=False)

    @property
    def is_occupied(self) -> bool:
        return any(plug.reported is StationStatus.OCCUPIED for plug in self.plugs.values())

    def plug(self, number: int) -> Plug:
        """The station is held, so one that is missing can be made here alone."""
        if number not in self.plugs:
            self.plugs[number] = Plug(uuid7(), self.id, self.number, number)
        return self.plugs[number]


@dataclass(slots=True)
class Box:
    """The station itself, whose EVSEs are by number."""

    id: UUID
    status: StationStatus
    status_at: datetime | None
    own_status: StationStatus | None
    own_status_at: datetime | None
    error_code: str | None
    evses: dict[int, Outlets] = field(default_factory=dict, compare=False)
    _known: dict[UUID, Any] = field(default_factory=dict, compare=False)

    def evse(self, number: int) -> Outlets:
        if number not in self.evses:
            self.evses[number] = Outlets(uuid7(), number)
        return self.evses[number]

    def summarize(self, at: datetime) -> None:
        """EVSEs show what their connectors do, a station what its EVSEs do."""
        for evse in self.evses.values():
            plugs = [plug.status for plug in evse.plugs.values()]
            evse.status = whole(plugs or [evse.charging_state or StationStatus.UNKNOWN])
        status = whole([evse.status for evse in self.evses.values()], self.own_status)
        if self.status != status:
            self.status, self.status_at = status, at

    def note(self) -> None:
        """What is so in the database."""
        self._known = {part.id: replace(part) for part in self._parts()}

    def changed(self) -> "list[Box | Outlets | Plug]":
        return [part for part in self._parts() if self._known.get(part.id) != part]

    def _parts(self) -> "list[Box | Outlets | Plug]":
        evses = self.evses.values()
        return [self, *evses, *(plug for evse in evses for plug in evse.plugs.values())]


async def held(work: Work, station_id: UUID) -> Box:
    connection = await work.connection()
    row = await connection.fetchrow(_STATION, station_id)
    if row is None:
        raise NotFound(f"Station {station_id} does not exist", id=str(station_id))
    own = row["own_status"]
    box = Box(
        station_id,
        StationStatus(row["status"]),
        row["status_at"],
        None if own is None else StationStatus(own),
        row["own_status_at"],
        row["error_code"],
    )
    for part in await connection.fetch(_PARTS, station_id):
        _put(box, part)
    box.note()
    return box


def _put(box: Box, row: asyncpg.Record) -> None:
    number, state = row["evse_number"], row["charging_state"]
    if number not in box.evses:
        box.evses[number] = Outlets(
            row["evse_id"],
            number,
            StationStatus(row["evse_status"]),
            None if state is None else StationStatus(state),
            row["charging_state_at"],
        )
    if row["id"] is not None:
        box.evses[number].plugs[row["number"]] = Plug(
            row["id"],
            row["evse_id"],
            number,
            row["number"],
            StationStatus(row["status"]),
            StationStatus(row["reported_status"]),
            row["status_at"],
            row["error_code"],
            row["error_info"],
            row["vendor_error_code"],
        )


async def keep(work: Work, box: Box) -> None:
    """What has changed of it, in one statement."""
    changed = box.changed()
    if not changed:
        return
    evses = [part for part in changed if isinstance(part, Outlets)]
    plugs = [part for part in changed if isinstance(part, Plug)]
    connection = await work.connection()
    await connection.execute(
        _KEEP,
        box.id,
        work.now,
        box.status,
        box.status_at,
        box.own_status,
        box.own_status_at,
        box.error_code,
        [evse.id for evse in evses],
        [evse.number for evse in evses],
        [evse.status for evse in evses],
        [evse.charging_state for evse in evses],
        [evse.charging_state_at for evse in evses],
        [plug.id for plug in plugs],
        [plug.evse_id for plug in plugs],
        [plug.evse_number for plug in plugs],
        [plug.number for plug in plugs],
        [plug.status for plug in plugs],
        [plug.reported for plug in plugs],
        [plug.status_at for plug in plugs],
        [plug.error_code for plug in plugs],
        [plug.error_info for plug in plugs],
        [plug.vendor_error_code for plug in plugs],
    )
    box.note()
