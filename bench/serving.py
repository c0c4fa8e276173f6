"""A server of one worker in a process of its own, on one core; the client keeps the other."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

SERVER_CORE = 0
CLIENT_CORES = {1} if (os.cpu_count() or 1) > 1 else {0}
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Server:
    """`pid` is that of the worker, which for one worker is the server itself."""

    port: int
    pid: int
    data_dir: Path
    secret: str = ""
    end: Callable[[], object] = lambda: None
    """Before the block that it runs in does."""

    @property
    def graphql(self) -> str:
        return f"ws://127.0.0.1:{self.port}/graphql"

    def ocpp(self, identity: str) -> str:
        return f"ws://127.0.0.1:{self.port}/ocpp/bench/{identity}"

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def wanted_s(self) -> float:
        """Time on its core, and time that it waited for it while others had it."""
        on_core_ns, waited_ns, _ = Path(f"/proc/{self.pid}/schedstat").read_text().split()
        return (int(on_core_ns) + int(waited_ns)) / 1e9

    def memory_kib(self) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1])
        raise LookupError("VmRSS")


@contextmanager
def data_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="voltgraph-bench-") as folder:
        yield Path(folder) / "data"


@contextmanager
def server(
    data_dir: Path, *, port: int = 0, program: str = "voltgraph.cli", settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Server]:
    """`voltgraph serve`, or another program's, with the tenant `bench`."""
    _open_files()
    environment = {**os.environ, "VOLTGRAPH_DATA_DIR": str(data_dir), "VOLTGRAPH_STATION_POLICY": "auto"}
    environment |= {"VOLTGRAPH_LOG_LEVEL": "warning", "VOLTGRAPH_HEARTBEAT_INTERVAL_S": "3600", **settings}
    command = [sys.executable, "-m", "voltgraph.cli"]
    process = subprocess.Popen(
        [sys.executable, "-m", program, "serve", "--port", str(port)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "serves on" in line, line
        found = Server(int(line.rpartition(":")[2]), process.pid, data_dir, end=lambda: _end(process))
        os.sched_setaffinity(
            process.pid, {SERVER_CORE}
        )  # the worker alone: PostgreSQL and Valkey run where there is room
        subprocess.run([*command, "tenant", "create", "bench"], env=environment, check=False, capture_output=True)
        credential = [*command, "credential", "create", "--tenant", "bench", "--role", "ADMIN"]
        found.secret = subprocess.run(
            credential, env=environment, check=True, capture_output=True, text=True
        ).stdout.strip()
        os.sched_setaffinity(0, CLIENT_CORES)
        yield found
    finally:
        os.sched_setaffinity(0, set(range(os.cpu_count() or 1)))
        _end(process)


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    process.wait(60)


@contextmanager
def echo_server() -> Iterator[Server]:
    """The least that a websocket server on the same stack can do: every frame comes back."""
    code = (
        "import uvicorn, socket\n"
        "from starlette.applications import Starlette\n"
        "from starlette.routing import WebSocketRoute\n"
        "async def echo(ws):\n"
        "    await ws.accept(ws.scope['subprotocols'][0])\n"
        "    async for text in ws.iter_text():\n"
        "        await ws.send_text(text)\n"
        "s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)\n"
        "uvicorn.Server(uvicorn.Config(Starlette(routes=[WebSocketRoute('/ocpp/bench/{i}', echo)]), loop='uvloop',"
        " ws='websockets-sansio', ws_per_message_deflate=False, log_level='error')).run(sockets=[s])\n"
    )
    with _other("-c", code) as running:
        yield running


@contextmanager
def bare_server() -> Iterator[Server]:
    """`bench.bare`."""
    _open_files()
    with _other("-m", "bench.bare") as running:
        yield running


@contextmanager
def _other(*program: str) -> Iterator[Server]:
    """A program of Python's that prints its port."""
    process = subprocess.Popen([sys.executable, *program], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        os.sched_setaffinity(process.pid, {SERVER_CORE})
        time.sleep(1.0)
        os.sched_setaffinity(0, CLIENT_CORES)
        yield Server(port, process.pid, Path())
    finally:
        os.sched_setaffinity(0, set(range(os.cpu_count() or 1)))
        process.terminate()
        process.wait(30)


def _open_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
