"""A station's device model, filled by its reports (OCPP 2.0.1 B07, B08) and by single values that it tells or takes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import Sequence as DatabaseSequence
from sqlalchemy import delete, func, update
from sqlmodel import col, select

from domain.actor import Permission
from domain.page import Page, PageRequest, page
from domain.stations.device_model import Described, ReportBase, StationReport, StationVariable, Told, VariableName
from domain.stations.events import StationReportCompleted
from domain.stations.models import Connector, Station
from domain.work import Work

_PLUG = ("connector", "connectortype")
_REPORT_NUMBER = DatabaseSequence("report_number")


async def expect_report(work: Work, *, station_id: UUID, command_id: UUID, base: ReportBase) -> StationReport:
    """A report that a command asks for: its number is what the station's parts of it will bear."""
    work.require(Permission.CONTROL)
    number = (await work.session.exec(select(_REPORT_NUMBER.next_value()))).one()
    report = StationReport(station_id=station_id, command_id=command_id, number=number, base=base, created_at=work.now)
    return work.add(report)


async def report_variables(
    work: Work, *, station_id: UUID, number: int, part: int, is_last: bool, described: Sequence[Described]
) -> None:
    """One part of a report; they come in any order and more than once. Parts of what we did not ask for count too.

    A full report that has come whole takes the place of what was known before.
    """
    work.require(Permission.REPORT)
    report = await _held_report(work, station_id, number)
    if report is not None and part in report.seen:
        return
    known = await _known(work, station_id, [one.name for one in described])
    for one in described:
        _describe(_found_or_new(work, known, station_id, one.name), one)
    await _name_plugs(work, station_id, known.values())
    if report is None:
        return
    report.seen = sorted([*report.seen, part])
    report.last = part if is_last else report.last
    if report.last is not None and len(report.seen) > report.last:
        await _complete(work, report)


async def observe(work: Work, *, station_id: UUID, told: Sequence[Told]) -> None:
    """What a station said of single variables without being asked (NotifyEvent)."""
    work.require(Permission.REPORT)
    await _remember(work, station_id, told)


async def remember_variables(work: Work, *, station_id: UUID, told: Sequence[Told]) -> None:
    """What a station answered about single variables, or took of ours."""
    work.require(Permission.CONTROL)
    await _remember(work, station_id, told)


async def variables_of(
    work: Work, request: PageRequest, *, station_id: UUID, component: str | None = None
) -> Page[StationVariable]:
    """The variables of a station, or of its components of one name in any case."""
    work.require(Permission.VIEW)
    query = select(StationVariable).where(StationVariable.station_id == station_id)
    if component is not None:
        query = query.where(func.lower(StationVariable.component) == component.strip().lower())
    return await page(work, query, request, at=col(StationVariable.created_at), row_id=col(StationVariable.id))


async def reports_by_command(work: Work, ids: Sequence[UUID]) -> Sequence[StationReport]:
    """The reports that commands have asked for."""
    work.require(Permission.VIEW)
    return (await work.session.exec(select(StationReport).where(col(StationReport.command_id).in_(ids)))).all()


async def connector_types(work: Work, *, station_id: UUID) -> dict[int, set[str]]:
    """What the plugs of each EVSE are, in the words of OCPP 2.0.1 in lower case, where the station has told."""
    query = select(StationVariable).where(
        StationVariable.station_id == station_id,
        func.lower(StationVariable.component) == _PLUG[0],
        func.lower(StationVariable.variable) == _PLUG[1],
        col(StationVariable.evse_number).is_not(None),
    )
    types: dict[int, set[str]] = {}
    for row in (await work.session.exec(query)).all():
        if row.evse_number is not None and row.value:
            types.setdefault(row.evse_number, set()).add(row.value.strip().lower())
    return types


async def values_of(work: Work, *, station_id: UUID, names: Mapping[str, VariableName]) -> dict[str, str | None]:
    """What is known to be set, by the caller's own words for the variables: by reports, else by `configuration`."""
    work.require(Permission.CONTROL)
    station = await work.get(Station, station_id)
    known = await _known(work, station_id, list(names.values()))
    return {
        word: known[name.key].value if name.key in known else station.configuration.get(name.setting or "")
        for word, name in names.items()
    }


async def _held_report(work: Work, station_id: UUID, number: int) -> StationReport | None:
    """The station is held first: whoever writes its variables does so one after the other."""
    await work.get(Station, station_id, lock=True)
    query = select(StationReport).where(StationReport.station_id == station_id, StationReport.number == number)
    return (await work.session.exec(query)).first()


async def _remember(work: Work, station_id: UUID, told: Sequence[Told]) -> None:
    await work.get(Station, station_id, lock=True)
    known = await _known(work, station_id, [one.name for one in told])
    for one in told:
        row = _found_or_new(work, known, station_id, one.name)
        type_ = one.attribute.value
        row.values = {**row.values, type_: {**row.values.get(type_, {}), "value": one.value}}
    await _name_plugs(work, station_id, known.values())


async def _name_plugs(work: Work, station_id: UUID, rows: Iterable[StationVariable]) -> None:
    """What kind of plug it is stands in the device model alone."""
    for row in rows:
        if (row.component.lower(), row.variable.lower()) == _PLUG and row.connector_number is not None:
            plug = update(Connector).where(
                col(Connector.station_id) == station_id,
                col(Connector.evse_number) == row.evse_number,
                col(Connector.number) == row.connector_number,
            )
            await work.session.exec(plug.values(type=row.value))


async def _known(work: Work, station_id: UUID, names: Iterable[VariableName]) -> dict[str, StationVariable]:
    keys = {name.key for name in names}
    query = select(StationVariable).where(StationVariable.station_id == station_id, col(StationVariable.key).in_(keys))
    return {row.key: row for row in (await work.session.exec(query)).all()}


def _found_or_new(
    work: Work, known: dict[str, StationVariable], station_id: UUID, name: VariableName
) -> StationVariable:
    row = known.get(name.key)
    if row is None:
        row = known[name.key] = work.add(
            StationVariable(
                station_id=station_id, key=name.key, created_at=work.now, updated_at=work.now, **asdict(name)
            )
        )
    row.updated_at = work.now
    return row


def _describe(row: StationVariable, described: Described) -> None:
    row.values = {one.type.value: _held(asdict(one)) for one in described.attributes}
    if described.characteristics is not None:
        for name, value in asdict(described.characteristics).items():
            setattr(row, name, value)


def _held(attribute: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attribute.items() if name != "type" and value is not None}


async def _complete(work: Work, report: StationReport) -> None:
    report.completed_at = work.now
    if report.base is ReportBase.FULL:
        await work.session.flush()
        outdated = delete(StationVariable).where(
            col(StationVariable.station_id) == report.station_id,
            col(StationVariable.updated_at) < report.created_at,
        )
        await work.session.exec(outdated)
    work.emit(
        StationReportCompleted(
            station_id=report.station_id, command_id=report.command_id, number=report.number, parts=report.parts
        )
    )
