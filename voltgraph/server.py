"""The server's processes: one worker in this process, or several that share one port."""

import asyncio
import gc
import math
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
from typing import Any

import structlog
import uvicorn
from prometheus_client.multiprocess import mark_process_dead

from gateways.graphql.websocket import FRAME_CHARACTERS_MAX
from gateways.ocpp.link import Limits as StationLimits
from voltgraph import logging
from voltgraph.app import create_app
from voltgraph.documents import check_documents
from voltgraph.processes import child, end, ending_on_signals
from voltgraph.protocols import PATIENCE, Config, Patience
from voltgraph.settings import Settings, SettingsError
from voltgraph.wiring import House

log = structlog.get_logger()

_BACKLOG = 2048
_UNSENT_MAX_BYTES = 128 * 1024  # in the kernel, for one who reads slowly: else megabytes of old news
_WS_MAX_BYTES = 64 * 1024 * 1024  # OpenEMS edges send megabytes
_FRAME_LIMITS = {  # twice or four times what the endpoints themselves refuse, and tell of, by their own measure
    "/graphql": 4 * FRAME_CHARACTERS_MAX,
    "/ocpp/": 2 * StationLimits().frame_bytes,
}
_FILES = "/imports/"
_LOOK_S = 0.2  # between looks at the workers
_ASK_S = 30.0


class Server(uvicorn.Server):
    """uvicorn, which ends sockets only after the answers in flight have gone out."""

    def __init__(
        self, settings: Settings, *, patience: Patience = PATIENCE, when_ready: Callable[[], None] | None = None
    ) -> None:
        self.app = create_app(settings)
        self._patience = patience
        self._when_ready = when_ready
        super().__init__(
            Config(
                self.app,
                patience=patience,
                frame_limits=_FRAME_LIMITS,
                files=_FILES,
                loop="uvloop",
                ws_max_size=_WS_MAX_BYTES,
                ws_ping_interval=patience.ping_s,
                ws_ping_timeout=patience.pong_s,
                ws_per_message_deflate=False,
                timeout_keep_alive=patience.keep_alive_s,
                timeout_graceful_shutdown=patience.grace_s,
                access_log=False,
                log_config=None,
                server_header=False,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        gc.collect()
        gc.freeze()  # what was imported and built stays: no collection need look at it again
        gc.set_threshold(3_000)  # what lives when a collection comes is mostly on its way to somebody, and no garbage
        if self.started and self._when_ready is not None:
            self._when_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in self.servers:
            listener.close()
        letting_go = asyncio.create_task(self._let_go(), name="letting go")
        try:
            await self._drain()
            self.app.state.graphql.close()
            self.app.state.files.close()
            await super().shutdown(sockets=sockets)
        finally:
            letting_go.cancel()

    async def _drain(self) -> None:
        try:
            await asyncio.wait_for(self.app.state.house.drain(), self._patience.drain_s)
        except TimeoutError:
            log.warning("some answers in flight were cut off", after_s=self._patience.drain_s)

    async def _let_go(self) -> None:
        """Of those who read nothing: a close waits until everything before it was sent, and we for the close."""
        unsent: dict[Any, int] = {}
        while True:
            await asyncio.sleep(self._patience.stalled_s)
            before, unsent = unsent, {each: _unsent_bytes(each) for each in self.server_state.connections}
            for connection, size in unsent.items():
                if size >= before.get(connection, math.inf) and size > 0:
                    connection.transport.abort()


def _unsent_bytes(connection: Any) -> int:
    return int(connection.transport.get_write_buffer_size())


def run_worker(
    settings: Settings, *, patience: Patience = PATIENCE, when_ready: Callable[[], None] | None = None
) -> None:
    """One worker until a signal ends it."""
    _open_files()
    traced = settings.otlp_endpoint is not None
    logging.configure(log_format=settings.log_format, level=settings.log_level, traced=traced)
    with ending_on_signals():
        server = Server(settings, patience=patience, when_ready=when_ready)
        server.run(sockets=[listening_socket(settings, unread_s=patience.unread_s)])


def run_workers(settings: Settings, count: int, *, when_ready: Callable[[], None] | None = None) -> None:
    """Several workers, restarted when one dies. They share the port, and through Redis one cluster state."""
    logging.configure(log_format=settings.log_format, level=settings.log_level)
    check_documents(settings)  # a wrong one would end every worker, again and again
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
            end(list(workers.values()), within_s=PATIENCE.drain_s + PATIENCE.grace_s + 5)


def _is_healthy(settings: Settings) -> bool:
    asking = HTTPConnection(settings.host, settings.port, timeout=_ASK_S)
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


def listening_socket(settings: Settings, *, unread_s: float = PATIENCE.unread_s) -> socket.socket:
    """Bound by each worker for itself: the kernel deals connections out among them, which inherit what is set here."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(unread_s * 1000))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_MAX_BYTES)
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
