"""The server's processes: one worker in this process, or several that share one port."""

import asyncio
import os
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import structlog
import uvicorn
from prometheus_client.multiprocess import mark_process_dead

from voltgraph import logging
from voltgraph.app import create_app
from voltgraph.processes import child, end, ending_on_signals
from voltgraph.settings import Settings, SettingsError
from voltgraph.wiring import House

log = structlog.get_logger()

_USER_TIMEOUT_MS = 30_000  # a peer that has stopped reading is gone after this, pings or not
_DRAIN_S = 10.0
_GRACE_S = 15
_BACKLOG = 2048
_WS_MAX_BYTES = 64 * 1024 * 1024  # OpenEMS edges send megabytes; each endpoint checks its own, smaller limit
_PING_S = 30.0
_LOOK_S = 0.2  # between looks at the workers
_PONG_S = 60.0  # uvicorn stops reading while a message waits to be handled, and pongs wait with it


class Server(uvicorn.Server):
    """uvicorn, which ends sockets only after the answers in flight have gone out."""

    def __init__(self, settings: Settings, *, when_ready: Callable[[], None] | None = None) -> None:
        self.app = create_app(settings)
        self._when_ready = when_ready
        super().__init__(
            uvicorn.Config(
                self.app,
                loop="uvloop",
                http="httptools",
                ws="websockets-sansio",
                ws_max_size=_WS_MAX_BYTES,
                ws_ping_interval=_PING_S,
                ws_ping_timeout=_PONG_S,
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=_GRACE_S,
                access_log=False,
                log_config=None,
                server_header=False,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started and self._when_ready is not None:
            self._when_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in self.servers:
            listener.close()
        try:
            await asyncio.wait_for(self.app.state.house.drain(), _DRAIN_S)
        except TimeoutError:
            log.warning("some answers in flight were cut off", after_s=_DRAIN_S)
        await super().shutdown(sockets=sockets)


def run_worker(settings: Settings, *, when_ready: Callable[[], None] | None = None) -> None:
    """One worker until a signal ends it."""
    _open_files()
    logging.configure(log_format=settings.log_format, level=settings.log_level)
    with ending_on_signals():
        Server(settings, when_ready=when_ready).run(sockets=[listening_socket(settings)])


def run_workers(settings: Settings, count: int, *, when_ready: Callable[[], None] | None = None) -> None:
    """Several workers, restarted when one dies. They share the port, and through Redis one cluster state."""
    logging.configure(log_format=settings.log_format, level=settings.log_level)
    metrics_dir = str(_metrics_dir(settings))
    environment = {**os.environ, **_as_environment(settings), "PROMETHEUS_MULTIPROC_DIR": metrics_dir}
    workers: dict[int, subprocess.Popen[bytes]] = {}
    with ending_on_signals():
        try:
            for number in range(count):
                workers[number] = child("worker", environment=environment)
            while True:
                time.sleep(_LOOK_S)
                if when_ready is not None and _is_healthy(settings):
                    when_ready()
                    when_ready = None
                for number, worker in workers.items():
                    if worker.poll() is not None:
                        log.error("a worker died", pid=worker.pid, code=worker.returncode)
                        mark_process_dead(worker.pid, metrics_dir)  # type: ignore[no-untyped-call]
                        workers[number] = child("worker", environment=environment)
        finally:
            end(list(workers.values()), within_s=_DRAIN_S + _GRACE_S + 5)


def _is_healthy(settings: Settings) -> bool:
    asking = HTTPConnection(settings.host, settings.port, timeout=_PING_S)
    try:
        asking.request("GET", "/health")
        return asking.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        asking.close()


def run_relay(settings: Settings) -> None:
    """The outbox alone, until a signal ends it."""
    logging.configure(log_format=settings.log_format, level=settings.log_level)

    async def run() -> None:
        async with House.built(settings) as house, house.relay.running():
            await asyncio.Event().wait()

    with ending_on_signals():
        asyncio.run(run())


def _open_files() -> None:
    """A socket is a file: as many as the system lets us have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def listening_socket(settings: Settings) -> socket.socket:
    """Bound by each worker for itself: the kernel deals connections out among them."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind((settings.host, settings.port))
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


def with_free_port(settings: Settings) -> Settings:
    """The settings with a port that nobody else serves on; port 0 becomes one that is free."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingsError(
                f"VOLTGRAPH_PORT: {settings.host}:{settings.port} cannot be served on: {error.strerror}"
            ) from None
        return settings.model_copy(update={"port": probe.getsockname()[1]})


def _as_environment(settings: Settings) -> dict[str, str]:
    """What a worker has to be told: what was decided here, beyond file and environment."""
    told = ("data_dir", "host", "port", "database_url", "redis_url", "station_policy", "log_format", "log_level")
    return {f"VOLTGRAPH_{name.upper()}": str(getattr(settings, name)) for name in told}


def _metrics_dir(settings: Settings) -> Path:
    path = settings.data_dir / "metrics"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path
