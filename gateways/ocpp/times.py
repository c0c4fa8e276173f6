"""Times as stations write them, and as we write them to stations."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_CLOCK_SET: Final = datetime(2010, 1, 1, tzinfo=UTC)  # before this a station's clock has not been set
_AHEAD: Final = timedelta(days=1)
_LOOSE: Final = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})[T ]+(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d*))?)?\s*(Z|[+-]\d{1,2}(?::?\d{2})?)?",
    re.IGNORECASE | re.ASCII,
)


def stamp(at: datetime) -> str:
    """UTC with Z and milliseconds: stations exist that read no other form."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def can_be(at: datetime, *, received_at: datetime) -> bool:
    """Old times are believed, for stations replay what they did offline; 1970 and a day ahead are not."""
    return _CLOCK_SET <= at <= received_at + _AHEAD


def parsed(written: object) -> datetime | None:
    """What is written as aware UTC; without a zone it is taken as UTC. None for what is no time."""
    match = _LOOSE.fullmatch(written.strip()) if isinstance(written, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    digits = f"{(fraction or '')[:6]:0<6}"
    iso = f"{year}-{month:0>2}-{day:0>2}T{hour:0>2}:{minute:0>2}:{second or '0':0>2}.{digits}{_offset(zone)}"
    try:
        return datetime.fromisoformat(iso).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _offset(zone: str | None) -> str:
    if zone is None or zone in "zZ":
        return "+00:00"
    hours, minutes = (
        zone[1:].split(":") if ":" in zone else (zone[1:-2], zone[-2:]) if len(zone) > 3 else (zone[1:], "0")
    )
    return f"{zone[0]}{hours:0>2}:{minutes:0>2}"
