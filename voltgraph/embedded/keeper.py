"""Keeps the embedded servers running: one that dies is started again, on the same data and sockets.

Whoever works with them lives through that as through a restart of any other PostgreSQL or Redis.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import structlog

from voltgraph.embedded import postgres, processes, valkey
from voltgraph.embedded.errors import EmbeddedError
from voltgraph.embedded.lock import Lock

log = structlog.get_logger()

Server = postgres.Postgres | valkey.Valkey

LOOK_S = 0.5
AGAIN_S = 1.0
PATIENCE_S = 60.0  # then the process that needs the server ends too


class Keeper:
    """From `start` to `end`. `failure` is why it gave up; it has ended the process by SIGTERM then."""

    def __init__(self, servers: list[Server], sockets: Path, lock: Lock) -> None:
        self.failure: EmbeddedError | None = None
        self._servers = servers
        self._sockets = sockets
        self._lock = lock
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ending = threading.Event()
        # servers that it has started get their death signal when it ends, hence not before it is told to
        self._thread = threading.Thread(target=self._watch, name="embedded servers", daemon=True)

    def start(self) -> None:
        """Both at once, noted before they are awaited: the next run must know what a kill of this one leaves."""
        for server in self._servers:
            self._launch(server)
        for server in self._servers:
            server.await_ready(self._processes[server.name])
        self._thread.start()

    def end(self) -> None:
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(2 * LOOK_S)
        for server in reversed(self._servers):
            if server.name in self._processes:
                server.end(self._processes[server.name])

    def _launch(self, server: Server) -> None:
        self._processes[server.name] = server.launch(self._sockets)
        self._lock.note(
            sockets=str(self._sockets),
            servers={name: processes.identity(process.pid) for name, process in self._processes.items()},
        )

    def _watch(self) -> None:
        while not self._ending.wait(LOOK_S):
            for server in self._servers:
                code = self._processes[server.name].poll()
                if code is not None and not self._ending.is_set():
                    log.error("an embedded server died; it is started again", server=server.name, code=code)
                    if not self._revive(server):
                        return

    def _revive(self, server: Server) -> bool:
        until_s = time.monotonic() + PATIENCE_S
        while not self._ending.is_set():
            try:
                server.prepare()
                self._launch(server)
                server.await_ready(self._processes[server.name])
            except (EmbeddedError, OSError) as error:
                if time.monotonic() > until_s:
                    self._give_up(server, error)
                    return False
            else:
                log.info("an embedded server runs again", server=server.name)
                return True
            self._ending.wait(AGAIN_S)
        return False

    def _give_up(self, server: Server, error: Exception) -> None:
        if self._ending.is_set():
            return
        self.failure = EmbeddedError(f"the embedded {server.name} died and cannot be started again: {error}")
        log.error("an embedded server cannot be started again; we end too", server=server.name)
        os.kill(os.getpid(), signal.SIGTERM)
