"""A station is given a new password. Nobody sees it but the station; the database has its keyed hash alone."""

import secrets
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from domain import stations
from domain.actor import Actor, Permission
from domain.commands.delivering import deliver
from domain.commands.models import Command, CommandKind, CommandStatus
from domain.commands.secrets import MASK
from domain.commands.service import request
from domain.errors import Invalid, Unavailable
from domain.stations import Presence, Station
from domain.work import Work, Workplace

_LETTERS: Final = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class _Manner:
    """How a version of OCPP has it that a station is given a password."""

    key: str
    made: int  # letters of one that we make
    allowed: range
    is_key: bool  # of bytes, which are written as hexadecimal digits


_V16: Final = _Manner("AuthorizationKey", made=20, allowed=range(16, 21), is_key=True)  # security whitepaper, A00
_V2: Final = _Manner("SecurityCtrlr.BasicAuthPassword", made=32, allowed=range(16, 41), is_key=False)  # A01
_MANNERS: Final = {"ocpp1.6": _V16, "ocpp2.0.1": _V2, "ocpp2.1": _V2}


async def rotate_password(
    workplace: Workplace, actor: Actor, *, station_id: UUID, password: str | None = None
) -> Command:
    """Gives the station `password`, or one that is made here, and answers the order that did.

    The one before is good until the station has come back with the new one; where it refuses that, nothing changes.
    """
    async with workplace.open_work(actor) as work:
        work.require(Permission.CONTROL)
        station, manner = await _there(work, station_id)
        new = _fit(password, manner) if password is not None else _made(manner)
        await stations.offer_password(work, station_id=station_id, password=new)
        command = await _requested(work, station, manner)
    for value in _writings(new, manner):
        if command.completed_at is not None:
            async with workplace.open_work(actor) as work:
                command = await _requested(work, station, manner)
        given = {**command.arguments, "value": value}
        command = await deliver(workplace, actor, command.model_copy(update={"arguments": given}))
        if not _might_be_taken_otherwise(command):
            break
    if (is_taken := _is_taken(command)) is not None:
        async with workplace.open_work(actor) as work:
            await stations.settle_password(work, station_id=station_id, password=new, is_taken=is_taken)
    return command


async def _there(work: Work, station_id: UUID) -> tuple[Station, _Manner]:
    station = await work.get(Station, station_id)
    holder = await work.port(Presence).holder(work.tenant_id, station_id)  # type: ignore[type-abstract]
    manner = _MANNERS.get(station.ocpp_version or "")
    if holder is None or manner is None:
        raise Unavailable("the station is not connected")
    return station, manner


async def _requested(work: Work, station: Station, manner: _Manner) -> Command:
    """What is written down of the order has no password in it."""
    arguments = {"key": manner.key, "value": MASK}
    return await request(work, station_id=station.id, kind=CommandKind.CHANGE_CONFIGURATION, arguments=arguments)


def _fit(password: str, manner: _Manner) -> str:
    allowed = manner.allowed
    if len(password.encode() if manner.is_key else password) not in allowed:
        unit = "bytes" if manner.is_key else "characters"
        raise Invalid(f"this station's password has {allowed.start} to {allowed.stop - 1} {unit}", field="password")
    return password


def _made(manner: _Manner) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(manner.made))


def _writings(password: str, manner: _Manner) -> Iterator[str]:
    """OCPP 1.6 has the bytes of a key written as hexadecimal digits; there are stations that take the text alone."""
    if manner.is_key:
        yield password.encode().hex()
    yield password


def _might_be_taken_otherwise(command: Command) -> bool:
    return _is_taken(command) is False and (command.result or {}).get("status") != "NotSupported"


def _is_taken(command: Command) -> bool | None:
    """By the station's word; None where there is none, for it may have kept the password and be gone since."""
    match command.status:
        case CommandStatus.ACCEPTED:
            return True
        case CommandStatus.REJECTED:
            return False
        case CommandStatus.FAILED if command.result:  # it answered with an error
            return False
    return None
