"""`voltgraph serve` as an operator starts it: a process of its own, told by environment, seen through its port."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx2

GUARD_S = 60.0
_READY = re.compile(r"http://127\.0\.0\.1:(\d+)")

T = TypeVar("T")


def command(*arguments: str, environment: dict[str, str], stdin: Any = subprocess.DEVNULL, **given: Any) -> Any:
    """`voltgraph …` in a process that ends with this one, whatever becomes of it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VOLTGRAPH_")}
    return subprocess.Popen(
        [sys.executable, "-m", "voltgraph.child", str(os.getpid()), *arguments],
        env={**inherited, "PYTHONUNBUFFERED": "1", "COLUMNS": "200", **environment},
        stdin=stdin,
        start_new_session=True,
        **given,
    )


def run(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A command until its end."""
    process = command(*arguments, environment=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = process.communicate(timeout=GUARD_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


class Server:
    """One `serve` (or `demo`) from start to end; `environment` is what it was told."""

    def __init__(self, folder: Path, *arguments: str, **environment: str | None) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.arguments = arguments or ("serve", "--port", "0")
        told = {
            "VOLTGRAPH_DATA_DIR": str(self.data_dir),
            "VOLTGRAPH_STATION_POLICY": "auto",
            "VOLTGRAPH_STATION_PING_S": "0",  # chargers here count what they are asked
            "VOLTGRAPH_LOG_FORMAT": "json",
            **environment,
        }
        self.environment = {name: value for name, value in told.items() if value is not None}
        self.log = folder / "server.log"
        self.port = 0
        self._process: Any = None

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    @property
    def up(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ocpp(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ocpp"

    @property
    def graphql(self) -> str:
        return f"{self.url}/graphql"

    def launch(self) -> None:
        """Without a look at what becomes of it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = command(*self.arguments, environment=self.environment, stdout=log, stderr=log)

    def start(self) -> None:
        """Until it answers that it is well."""
        begin = self.log.stat().st_size if self.log.exists() else 0
        self.launch()

        def address() -> int | None:
            assert self._process.poll() is None, f"the server ended:\n{self.tail()}"
            told = _READY.search(self.log.read_bytes()[begin:].decode())
            return int(told[1]) if told else None

        self.port = awaited(address, f"the server's address in {self.log}")
        awaited(self.healthy, "a healthy server")

    def healthy(self) -> bool:
        assert self._process.poll() is None, f"the server ended:\n{self.tail()}"
        try:
            return httpx2.get(f"{self.url}/health", timeout=5).status_code == 200
        except httpx2.HTTPError:
            return False

    def with_workers(self, count: int) -> None:
        """Up with so many, if it is not already."""
        wanted = ("serve", "--port", "0", "--workers", str(count))
        if self.up and self.arguments != wanted:
            self.stop()
        self.arguments = wanted
        if not self.up:
            self.start()

    def signal(self, number: signal.Signals) -> None:
        """To the one that was started; a SIGKILL to those too that serve for it, for it cannot tell them."""
        if number is signal.SIGKILL:
            for pid in self.workers():
                os.kill(pid, number)
        os.kill(self.pid, number)

    def wait(self) -> int:
        return int(self._process.wait(GUARD_S))

    def stop(self) -> int:
        """As an operator does; what it answers."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def workers(self) -> set[int]:
        """Its child processes that serve."""
        return self.children("\0worker\0")

    def children(self, command: str) -> set[int]:
        """Those with this in their command line."""
        pids = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        found = set()
        for pid in pids:
            with suppress(FileNotFoundError):
                if command in Path(f"/proc/{pid}/cmdline").read_text():
                    found.add(int(pid))
        return found

    def holder(self, client_port: int) -> int:
        """The process at the other end of a connection from this port of ours."""
        inode = awaited(lambda: self._inode(client_port), f"the server's end of port {client_port}")
        for pid in self.workers() or {self.pid}:
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(FileNotFoundError):
                    if str(descriptor.readlink()) == f"socket:[{inode}]":
                        return pid
        raise AssertionError(f"no process of the server holds the connection of port {client_port}")

    def line_to(self, pid: int) -> socket.socket:
        """A connection that one worker of several holds; nothing was said on it yet."""
        for _ in range(200):
            line = socket.create_connection(("127.0.0.1", self.port))
            if self.holder(line.getsockname()[1]) == pid:
                return line
            line.close()
        raise AssertionError(f"no connection reaches process {pid}")

    def _inode(self, client_port: int) -> str | None:
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, local, remote, _, _, _, _, _, _, inode, *_ = line.split()
            ours = (int(local.rpartition(":")[2], 16), int(remote.rpartition(":")[2], 16))
            if ours == (self.port, client_port) and inode != "0":
                return inode
        return None

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A `voltgraph` command beside it."""
        return run(*arguments, environment={**self.environment, **environment})

    def said(self, *arguments: str) -> str:
        """What a command beside it prints when all is well."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def tail(self) -> str:
        return "\n".join(self.log.read_text().splitlines()[-30:])


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Started, and stopped however it ends."""
    try:
        server.start()
        yield server
    finally:
        if server.up:
            server.stop()


def awaited(look: Callable[[], T | None], what: str, *, within_s: float = GUARD_S) -> T:
    """What a look shows, as soon as it shows anything; for what does not tell of itself."""
    until = time.monotonic() + within_s
    while not (seen := look()):
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.02)
    return seen
