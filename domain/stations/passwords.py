"""What a station shows to be let in. While it is given a new password the old one is good too, until that is seen.

A new password is an offer as long as nobody knows whether the station uses it: one that refuses it, or loses power
before it has kept it, comes back with the old one.
"""

import hmac
import re
from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

from domain.actor import Permission
from domain.credentials import SecretKey, digest
from domain.errors import Conflict, Invalid, Unauthenticated
from domain.stations.events import StationPasswordChanged
from domain.stations.models import Station
from domain.work import Work

_BYTES: Final = range(8, 65)  # OCPP 1.6 wants 16 to 20, 2.0.1 16 to 40; older stations ship with less
_OFFERS_MAX: Final = 3
# A key of 16 to 20 bytes as OCPP 1.6 has it written in AuthorizationKey; there are stations that show it as written.
_WRITTEN_KEY: Final = re.compile(rb"(?:[0-9A-Fa-f]{2}){16,20}")


def put(work: Work, station: Station, password: str | None) -> None:
    """The one that an operator has given both sides; None takes it away. Nothing else is good from now on."""
    station.password_hash = None if password is None else _hashed(work, password)
    station.offered_password_hashes = []


def opens(work: Work, password_hash: bytes | None, offers: Sequence[str], shown: bytes | None) -> bool:
    """Whether a station that shows this comes in as it is: one that shows an offer does not."""
    hashes = _hashes(work, shown)
    return _taken(offers, hashes) is None and (password_hash is None or _is_one_of(password_hash, hashes))


async def check(work: Work, station: Station, shown: bytes | None) -> None:
    """Raises `Unauthenticated`. An offer that is shown has been taken: from now on it is the password."""
    hashes = _hashes(work, shown)
    taken = _taken(station.offered_password_hashes, hashes)
    if taken is not None:
        await _take(work, station.id, taken)
    elif station.password_hash is not None and not _is_one_of(station.password_hash, hashes):
        raise Unauthenticated(f"station {station.identity} must show its password")


async def offer_password(work: Work, *, station_id: UUID, password: str) -> Station:
    """From now on it is good beside the one before. `withdraw` it when the station does not take it."""
    work.require(Permission.CONTROL)
    station = await work.get(Station, station_id, lock=True)
    if len(station.offered_password_hashes) >= _OFFERS_MAX:
        raise Conflict("the station has been given new passwords and has shown none of them yet: set one instead")
    station.offered_password_hashes = [*station.offered_password_hashes, _hashed(work, password).hex()]
    return station


async def settle_password(work: Work, *, station_id: UUID, password: str, is_taken: bool) -> Station:
    """The station's word on an offer. One that it has taken has replaced those before it; a refused one is void."""
    work.require(Permission.CONTROL)
    station = await work.get(Station, station_id, lock=True)
    own = _hashed(work, password).hex()
    if own in station.offered_password_hashes:  # else it has been shown already, or replaced by an operator
        others = [offer for offer in station.offered_password_hashes if offer != own]
        station.offered_password_hashes = [own] if is_taken else others
    return station


async def _take(work: Work, station_id: UUID, offer: str) -> None:
    station = await work.get(Station, station_id, lock=True)
    if offer in station.offered_password_hashes:
        station.password_hash, station.offered_password_hashes = bytes.fromhex(offer), []
        work.emit(StationPasswordChanged(station_id=station.id))


def _hashes(work: Work, shown: bytes | None) -> list[bytes]:
    return [] if shown is None else [digest(_key(work), form) for form in _forms(shown)]


def _taken(offers: Sequence[str], hashes: list[bytes]) -> str | None:
    return next((offer for offer in offers if _is_one_of(bytes.fromhex(offer), hashes)), None)


def _forms(shown: bytes) -> Iterator[bytes]:
    yield shown
    if _WRITTEN_KEY.fullmatch(shown):
        yield bytes.fromhex(shown.decode())


def _is_one_of(kept: bytes, hashes: list[bytes]) -> bool:
    return any(hmac.compare_digest(kept, one) for one in hashes)


def _hashed(work: Work, password: str) -> bytes:
    if len(password.encode()) not in _BYTES:
        raise Invalid("a station's password has 8 to 64 bytes", field="password")
    return digest(_key(work), password)


def _key(work: Work) -> SecretKey:
    return work.port(SecretKey)  # type: ignore[type-abstract]
