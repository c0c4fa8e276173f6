"""Times as stations write them, and as we write them to stations."""

from datetime import UTC, datetime, timedelta

import structlog

log = structlog.get_logger()

_EPOCH_GUARD = datetime(2010, 1, 1, tzinfo=UTC)  # before this a station's clock was not set yet
_FUTURE_GUARD = timedelta(days=1)


def stamp(at: datetime) -> str:
    """UTC with Z and milliseconds, which every station reads."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(written: str | None, *, received_at: datetime, station: str) -> datetime:
    """A station's time; without a zone it is UTC. One that cannot be read or believed is the time of receipt.

    Old times are believed (stations replay what they did offline), those before the clock was set or a day ahead are not.
    """
    if not written:
        return received_at
    try:
        at = datetime.fromisoformat(written.strip())
    except ValueError:
        log.warning("unreadable time", station=station, written=written[:64])
        return received_at
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    if not _EPOCH_GUARD <= at <= received_at + _FUTURE_GUARD:
        log.warning("unbelievable time", station=station, written=written[:64])
        return received_at
    return at
