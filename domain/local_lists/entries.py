"""What a station's list should hold, how that differs from what it holds, and how much of it goes into one message."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlmodel import col, select

from domain import tokens
from domain.stations import Station
from domain.tokens import IdTokenType, Token, TokenStatus
from domain.work import Work

# Words that a version has no more room for are in no list of it: 1.6, 2.0.1, 2.1.
V16 = "ocpp1.6"
_UID_MAX = {V16: 20, "ocpp2.0.1": 36}
_NAMES_OF_21 = frozenset({"DIRECT_PAYMENT", "EVCCID", "VIN"})

_ITEMS = 100  # in a message, where the station does not say
_BYTES = 60_000
_ENVELOPE_BYTES = 200
_ENTRY_BYTES = 240  # beside uid and group, generously: words, dates, types


Held = Mapping[str, str] | None  # by uid, what a station was told of it; None: nobody knows


@dataclass(frozen=True, slots=True)
class Wanted:
    """By uid, what a station is to be told of it; `omitted`: those for which it has no room."""

    entries: Mapping[str, dict[str, Any]]
    omitted: int


@dataclass(slots=True)
class Message:
    """`entries` as `SEND_LOCAL_LIST` takes them; one without a status is taken out. `after`: what the list then is."""

    full: bool
    entries: list[dict[str, Any]]
    after: dict[str, str] | None


async def wanted(work: Work, station: Station) -> Wanted:
    """Every token that means something there: those that may charge, and those that may not, to be refused offline.
    Not those that may at times, or at some plugs: the station is to ask."""
    is_16 = station.ocpp_version == V16  # which knows neither master passes nor types
    masters = set(await tokens.master_keys(work)) if is_16 else set()
    fitting = [
        token
        for token in (await work.session.exec(select(Token).order_by(col(Token.created_at).desc()))).all()
        if not token.depends
        and tokens.valid_at(token, station.location_id)
        and token.group_key not in masters
        and _fits(token, station)
    ]
    fitting.sort(key=lambda token: token.status is not TokenStatus.ACCEPTED)
    room = _setting(station, "LocalAuthListMaxLength", "LocalAuthListCtrlr.Entries.maxLimit")
    kept = fitting if room is None else fitting[:room]
    return Wanted({token.uid: entry_of(token, work.now, by_type=not is_16) for token in kept}, len(fitting) - len(kept))


def _fits(token: Token, station: Station) -> bool:
    longest = _UID_MAX.get(station.ocpp_version or "", 255)
    has_word = station.ocpp_version == "ocpp2.1" or token.shown_type not in _NAMES_OF_21
    return len(token.uid) <= longest and has_word


def entry_of(token: Token, now: datetime, *, by_type: bool) -> dict[str, Any]:
    """In the words of authorizations; a time as it is written, for commands are JSON."""
    return {
        "uid": token.uid,
        "type": token.shown_type.value if by_type else IdTokenType.CENTRAL.value,
        "status": tokens.status_at(token, now).value,
        "expires_at": None if token.expires_at is None else token.expires_at.isoformat(),
        "group_uid": token.group_uid,
    }


def fingerprint(entry: Mapping[str, Any]) -> str:
    """With the type, by which a station finds it again. That it has expired is no news: the station was told when."""
    status = "ACCEPTED" if entry["status"] == "EXPIRED" and entry["expires_at"] else entry["status"]
    told = orjson.dumps([status, entry["expires_at"], entry["group_uid"]])
    return f"{entry['type']} {hashlib.sha256(told).hexdigest()[:8]}"


def next_message(
    station: Station, held: Mapping[str, str] | None, entries: Mapping[str, dict[str, Any]]
) -> Message | None:
    """The next step from what a station holds (None: nobody knows) to what it should; None where that is the same.

    Of a full list the rest follows as differences. What may no longer charge comes first.
    """
    full = held is None
    changed = [entry for uid, entry in entries.items() if held is None or held.get(uid) != fingerprint(entry)]
    gone = [
        {"uid": uid, "type": mark.partition(" ")[0], "status": None}
        for uid, mark in (held or {}).items()
        if uid not in entries
    ]
    changed.sort(key=lambda entry: entry["status"] == "ACCEPTED")
    if not full and not changed and not gone:
        return None
    part = list(_part(station, [*gone, *changed]))
    after = dict(held or {})
    for entry in part:
        if entry["status"] is None:
            after.pop(entry["uid"], None)
        else:
            after[entry["uid"]] = fingerprint(entry)
    return Message(full, part, after)


def _part(station: Station, entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """As many as one message may carry, and at least one."""
    items = _setting(station, "SendLocalListMaxLength", "LocalAuthListCtrlr.ItemsPerMessage") or _ITEMS
    room = (_setting(station, "LocalAuthListCtrlr.BytesPerMessage") or _BYTES) - _ENVELOPE_BYTES
    for number, entry in enumerate(entries[: max(items, 1)]):
        room -= _ENTRY_BYTES + len(entry["uid"].encode()) + len((entry.get("group_uid") or "").encode())
        if number and room < 0:
            return
        yield entry


def _setting(station: Station, *keys: str) -> int | None:
    """The first of these that the station has told, as a number."""
    for key in keys:
        told = str(station.configuration.get(key) or "").strip()
        if told.isdecimal() and int(told) > 0:
            return int(told)
    return None


def unknown_settings(station: Station) -> list[str]:
    """Those that say how much a station takes, where it has told none of them."""
    if station.ocpp_version == V16:
        keys = ["SendLocalListMaxLength", "LocalAuthListMaxLength"]
    else:
        keys = ["LocalAuthListCtrlr.ItemsPerMessage", "LocalAuthListCtrlr.BytesPerMessage"]
    return [] if any(key in station.configuration for key in keys) else keys
