"""Prometheus metrics; several workers of one `serve` are added up through files that they share."""

import asyncio
import hmac
import math
import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Gauge,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.responses import Response

from domain.commands import CommandStatus
from gateways.timescale import Rolled
from voltgraph.relay import Backlog, backlog
from voltgraph.wiring import House

_PATIENCE_S = 3.0
_UNFINISHED = (CommandStatus.QUEUED, CommandStatus.SENT)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for every counter, of no use here

RELAY_WAITING = Gauge("voltgraph_relay_waiting_jobs", "Jobs that are due and not done", multiprocess_mode="mostrecent")
RELAY_LAG = Gauge("voltgraph_relay_lag_seconds", "How long the oldest due job waits", multiprocess_mode="mostrecent")
RELAY_HELD = Gauge("voltgraph_relay_held_jobs", "Jobs that kept failing", multiprocess_mode="mostrecent")
ROLLUP_LAG = Gauge(
    "voltgraph_history_rollup_lag_seconds", "Age of the youngest roll-up's end", multiprocess_mode="mostrecent"
)
ROLLUP_MARKS = Gauge(
    "voltgraph_history_rollup_marks",
    "Roll-ups to be made again, since readings came late",
    multiprocess_mode="mostrecent",
)
QUARANTINED = Gauge(
    "voltgraph_quarantine_waiting", "Readings that do not fit their point, and wait", multiprocess_mode="mostrecent"
)
COMMANDS = Gauge("voltgraph_commands", "Orders that have not ended", ["status"], multiprocess_mode="mostrecent")


async def metrics(request: Request) -> Response:
    house: House = request.app.state.house
    if not _may_read(request, house):
        return Response("metrics need their bearer token\n", status_code=401, headers={"WWW-Authenticate": "Bearer"})
    waiting = await _backlog(house)
    RELAY_WAITING.set(waiting.jobs)
    RELAY_LAG.set(waiting.lag_s)
    RELAY_HELD.set(waiting.held)
    rolled = await _rolled(house)
    ROLLUP_LAG.set(rolled.lag_s)
    ROLLUP_MARKS.set(rolled.marks)
    QUARANTINED.set(await _quarantined(house))
    for status, orders in (await _orders(house)).items():
        COMMANDS.labels(status.lower()).set(orders)
    return Response(generate_latest(_registry()), media_type=CONTENT_TYPE_LATEST)


async def _backlog(house: House) -> Backlog:
    """Unknown without the database, whose loss the other figures are to show."""
    try:
        return await asyncio.wait_for(backlog(house.workplace.engine), _PATIENCE_S)
    except Exception:
        return Backlog(jobs=math.nan, lag_s=math.nan, held=math.nan)


async def _rolled(house: House) -> Rolled:
    try:
        return await asyncio.wait_for(house.store.rolled(), _PATIENCE_S)
    except Exception:
        return Rolled(lag_s=math.nan, marks=math.nan)


async def _quarantined(house: House) -> float:
    try:
        return await asyncio.wait_for(quarantined_readings(house.workplace.engine), _PATIENCE_S)
    except Exception:
        return math.nan


async def quarantined_readings(engine: AsyncEngine) -> float:
    """Of all tenants together."""
    async with engine.connect() as connection:
        return float(await connection.scalar(text("select quarantined_readings()")) or 0)


async def _orders(house: House) -> dict[str, float]:
    try:
        return await asyncio.wait_for(unfinished_commands(house.workplace.engine), _PATIENCE_S)
    except Exception:
        return dict.fromkeys(_UNFINISHED, math.nan)


async def unfinished_commands(engine: AsyncEngine) -> dict[str, float]:
    """Of all tenants together."""
    async with engine.connect() as connection:
        rows = (await connection.execute(text("select status, orders from commands_unfinished()"))).all()
    return {**dict.fromkeys(_UNFINISHED, 0.0), **{row.status: float(row.orders) for row in rows}}


def _may_read(request: Request, house: House) -> bool:
    token = house.settings.metrics_token
    if token is None:
        return True
    shown = request.headers.get("authorization", "")
    return hmac.compare_digest(shown.encode(), f"Bearer {token.get_secret_value()}".encode())


def _registry() -> CollectorRegistry:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return together
