"""The embedded Valkey: on one Unix socket, with everything it holds on disk."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
from pathlib import Path
from urllib.parse import quote

from voltgraph.embedded import places, processes

STOP_SIGNALS = (signal.SIGTERM, signal.SIGKILL)
SOCKET_NAME = "valkey.sock"


class Valkey:
    """One server; `prepare`, `launch`, `await_ready`, `end`."""

    name = "valkey"

    def __init__(
        self, home: Path, *, binaries: places.Binaries, account: processes.Account, log: processes.Log, fast: bool
    ) -> None:
        self.data = home / "valkey"
        self.binaries = binaries
        self.account = account
        self.log = log
        self.fast = fast
        self.socket = Path()

    def prepare(self) -> None:
        places.own_folder(self.data, self.account)

    def launch(self, sockets: Path) -> subprocess.Popen[bytes]:
        self.socket = sockets / SOCKET_NAME
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.data),
            "appendonly": "no" if self.fast else "yes",
            "save": "",
            "daemonize": "no",
        }
        return processes.launch(
            [str(self.binaries.valkey), *(word for key, value in options.items() for word in (f"--{key}", value))],
            account=self.account,
            death_signal=STOP_SIGNALS[0],
            folder=self.data,
            log=self.log,
        )

    def await_ready(self, process: subprocess.Popen[bytes]) -> None:
        processes.await_ready(process, lambda: self._ask(b"PING") == b"+PONG\r\n", name="Valkey", log=self.log)

    def end(self, process: subprocess.Popen[bytes]) -> None:
        if self._ask(b"SHUTDOWN NOSAVE" if self.fast else b"SHUTDOWN SAVE") == b"":
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30.0)
                return
        processes.end(process, STOP_SIGNALS)

    def _ask(self, command: bytes) -> bytes | None:
        """One answer: empty where the server hangs up instead, `None` where it is not there."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5.0)
            connection.connect(str(self.socket))
            connection.sendall(command + b"\r\n")
            return connection.recv(1024)
        return None


def url(sockets: Path) -> str:
    return f"unix://{quote(str(sockets / SOCKET_NAME))}"
