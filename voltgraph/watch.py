"""`voltgraph watch`: a subscription in the terminal, by default a live table of the fleet; or what one station says."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import orjson
from rich.console import Console
from rich.live import Live
from rich.table import Table

from voltgraph.client import ClientError, graphql_address, secret_or_demos, subscribed
from voltgraph.settings import Settings

FLEET = """
subscription { stationStatusUpdates {
  station { identity name vendor model ocppVersion online status lastSeenAt evses { number status } } at
} }
"""
SESSIONS = """
subscription { sessionUpdates { kind session {
  id station { identity } evseNumber tokenUid status startedAt energyWh powerW socPercent
} } }
"""
STATION = "query ($identity: String!) { stationByIdentity(identity: $identity) { id } }"
LOG = """
subscription ($id: ID!, $last: Int!) { stationLogUpdates(stationId: $id, last: $last) {
  at direction kind action messageId payload durationMs errorCode
} }
"""
_LAST = 20
_ARROWS = {"IN": "←", "OUT": "→", "NONE": "·"}  # from the station, to it
_SAID_STYLES = {"ERROR": "red", "EVENT": "yellow"}
_STYLES = {"CHARGING": "green", "AVAILABLE": "cyan", "FAULTED": "red", "UNAVAILABLE": "red", "UNKNOWN": "dim"}


def run_watch(
    settings: Settings, *, query: str | None, station: str | None, url: str | None, secret: str | None
) -> int:
    address = graphql_address(settings, url)
    try:
        secret = secret_or_demos(settings, secret)
        if station is not None:
            asyncio.run(_log(address, secret, station))
        else:
            asyncio.run(_stream(address, secret, query) if query else _fleet(address, secret))
    except ClientError as error:
        print(f"voltgraph watch: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


async def _stream(address: str, secret: str, query: str) -> None:
    """One JSON line per item, flushed, so that it can be piped."""
    async with aclosing(subscribed(address, secret, query)) as items:
        async for item in items:
            print(orjson.dumps(item).decode(), flush=True)


async def _log(address: str, secret: str, identity: str) -> None:
    """A line per entry, as it is said."""
    console = Console(highlight=False, soft_wrap=True)
    async with aclosing(subscribed(address, secret, STATION, identity=identity)) as found:
        station_id = (await anext(found))["stationByIdentity"]["id"]
    async with aclosing(subscribed(address, secret, LOG, id=station_id, last=_LAST)) as items:
        async for item in items:
            entry = item["stationLogUpdates"]
            console.print(said(entry), style=_SAID_STYLES.get(entry["kind"]), markup=False)


def said(entry: dict[str, Any]) -> str:
    """`12:30:05.123 ← CALL   StatusNotification {…}`; an answer with how long it took."""
    took = "" if entry["durationMs"] is None else f"{entry['durationMs']:.0f} ms "
    what = " ".join(filter(None, (entry["action"] or entry["messageId"], entry["errorCode"])))
    at = entry["at"].partition("T")[2].rstrip("Z")
    at = f"{at.partition('.')[0]}.{at.partition('.')[2][:3]:0<3}"
    return f"{at} {_ARROWS[entry['direction']]} {entry['kind']:<6} {what} {took}{entry['payload']}"


async def _fleet(address: str, secret: str) -> None:
    fleet = Fleet()
    console = Console()
    if not console.is_terminal:
        await _lines(address, secret, fleet)
        return
    with Live(fleet.table(), console=console, refresh_per_second=4) as live:
        async with aclosing(_merged(address, secret, fleet)) as lines:
            async for _ in lines:
                live.update(fleet.table())


async def _lines(address: str, secret: str, fleet: "Fleet") -> None:
    """Without a terminal: a line per change."""
    async with aclosing(_merged(address, secret, fleet)) as lines:
        async for line in lines:
            print(line, flush=True)


async def _merged(address: str, secret: str, fleet: "Fleet") -> AsyncGenerator[str]:
    """Both subscriptions, as they come, until one of them ends."""
    queue: asyncio.Queue[str | Exception] = asyncio.Queue()

    async def follow(query: str, take: Callable[[dict[str, Any]], str]) -> None:
        try:
            async with aclosing(subscribed(address, secret, query)) as items:
                async for item in items:
                    queue.put_nowait(take(item))
            queue.put_nowait(ClientError("the server ended the subscription"))
        except Exception as error:
            queue.put_nowait(error)

    tasks = [
        asyncio.create_task(follow(FLEET, fleet.take_station)),
        asyncio.create_task(follow(SESSIONS, fleet.take_session)),
    ]
    try:
        while True:
            line = await queue.get()
            if isinstance(line, Exception):
                raise line
            yield line
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Fleet:
    """What is known of the fleet, by what was heard."""

    def __init__(self) -> None:
        self.stations: dict[str, dict[str, Any]] = {}
        self.charges: dict[str, dict[str, dict[str, Any]]] = {}  # by station and id: a station may have several

    def take_station(self, data: dict[str, Any]) -> str:
        station = data["stationStatusUpdates"]["station"]
        self.stations[station["identity"]] = station
        there = "online" if station["online"] else "offline"
        return f"{station['identity']:<10} {there:<8} {station['status']}"

    def take_session(self, data: dict[str, Any]) -> str:
        update = data["sessionUpdates"]
        session = update["session"]
        identity = session["station"]["identity"]
        charges = self.charges.setdefault(identity, {})
        if session["status"] in ("PENDING", "ACTIVE", "SUSPENDED"):
            charges[session["id"]] = session
        else:
            charges.pop(session["id"], None)
        return (
            f"{identity:<10} {update['kind']:<9} {_number(session['energyWh'], 'Wh')} "
            f"{_number(session['powerW'], 'W')} {session['status']}"
        )

    def table(self) -> Table:
        table = Table(title=f"Voltgraph fleet  {datetime.now(UTC):%H:%M:%S} UTC", expand=False)
        for heading in ("Station", "Make", "OCPP", "Online", "Status", "EVSE", "Token"):
            table.add_column(heading)
        for heading in ("Power", "Energy", "SoC"):
            table.add_column(heading, justify="right")
        for identity, station in sorted(self.stations.items()):
            charges = sorted(self.charges.get(identity, {}).values(), key=lambda charge: charge["evseNumber"] or 0)
            for row, charge in enumerate(charges or [{}]):
                table.add_row(*(_station(station) if row == 0 else [""] * 5), *_charge(charge))
        return table


def _station(station: dict[str, Any]) -> list[str]:
    return [
        station["identity"],
        " ".join(filter(None, (station["vendor"], station["model"]))),
        (station["ocppVersion"] or "").removeprefix("ocpp"),
        "[green]yes" if station["online"] else "[red]no",
        f"[{_STYLES.get(station['status'], 'yellow')}]{station['status']}",
    ]


def _charge(charge: dict[str, Any]) -> list[str]:
    """Empty cells where nothing is charged."""
    evse_number, soc_percent = charge.get("evseNumber"), charge.get("socPercent")
    return [
        "" if evse_number is None else str(evse_number),
        charge.get("tokenUid") or "",
        _number(charge.get("powerW"), "W"),
        _number(charge.get("energyWh"), "Wh"),
        "" if soc_percent is None else f"{soc_percent:.0f} %",
    ]


def _number(value: float | None, unit: str) -> str:
    """Thousands as kilo, as an operator reads it."""
    return "" if value is None else f"{value / 1000:.2f} k{unit}"
