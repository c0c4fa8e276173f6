"""Whether this process can do its work, and how the parts it needs are."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import JSONResponse

from gateways.redis import reachable
from voltgraph.relay import backlog
from voltgraph.wiring import House

_PATIENCE_S = 3.0


async def health(request: Request) -> JSONResponse:
    """200 while PostgreSQL and Redis answer, else 503: what a load balancer asks."""
    house: House = request.app.state.house
    parts = await asyncio.gather(_checked(_database(house)), _checked(_redis(house)))
    healthy = all(part["status"] == "ok" for part in parts)
    return _answer(healthy, {"status": "ok" if healthy else "failing"})


async def detailed(request: Request) -> JSONResponse:
    """Each part with its figures: what an engineer asks."""
    house: House = request.app.state.house
    checks: dict[str, Callable[[House], Awaitable[dict[str, Any]]]] = {
        "database": _database,
        "redis": _redis,
        "relay": _relay,
        "history": _history,
        "sockets": _sockets,
    }
    answers = await asyncio.gather(*(_checked(check(house)) for check in checks.values()))
    parts = dict(zip(checks, answers, strict=True))
    healthy = all(part["status"] == "ok" for part in parts.values())
    return _answer(healthy, {"status": "ok" if healthy else "failing", "process": house.process_id, "parts": parts})


def _answer(healthy: bool, content: dict[str, Any]) -> JSONResponse:
    return JSONResponse(content, status_code=200 if healthy else 503, headers={"Cache-Control": "no-store"})


async def _checked(check: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        figures = await asyncio.wait_for(check, _PATIENCE_S)
    except Exception as error:
        cause = error.__cause__ or error
        return {"status": "failing", "error": str(cause) or type(cause).__name__}
    return {"status": "ok", "ms": round((time.perf_counter() - started) * 1000, 2), **figures}


async def _database(house: House) -> dict[str, Any]:
    async with house.workplace.engine.connect() as connection:
        version = await connection.scalar(text("show server_version"))
    return {"version": str(version)}


async def _redis(house: House) -> dict[str, Any]:
    async with reachable(within_s=_PATIENCE_S):
        return {"pong": bool(await house.redis.ping())}


async def _relay(house: House) -> dict[str, Any]:
    waiting = await backlog(house.workplace.engine)
    return {"running": house.relay.up, "waiting": waiting.jobs, "lag_s": waiting.lag_s, "held": waiting.held}


async def _history(house: House) -> dict[str, Any]:
    spooled = 0 if house.spool is None else house.spool.waiting_bytes
    rolled = await house.store.rolled()
    return {
        "buffered": house.store.buffered,
        "spooled_bytes": spooled,
        "rollup_lag_s": rolled.lag_s,
        "rollup_marks": rolled.marks,
        "hypertable": await house.store.is_hypertable(),
    }


async def _sockets(house: House) -> dict[str, Any]:
    return {"stations_here": len(house.stations.sockets)}
