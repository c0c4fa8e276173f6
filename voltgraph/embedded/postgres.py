"""The embedded PostgreSQL: one cluster with the owner's role, the application's role and their database."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from sqlalchemy import URL

from voltgraph.embedded import places, processes
from voltgraph.embedded.errors import EmbeddedError

# Smart shutdown (SIGTERM) would wait for clients; fast, then immediate, then none at all.
STOP_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)

OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_checkpoints": "off",
    "cluster_name": "voltgraph",
    # Many small statements on few cores: compiling and spreading them costs more than it gains.
    "jit": "off",
    "io_method": "sync",
    "max_parallel_workers_per_gather": "0",
}
_MEMORY_LINE = 6  # of postmaster.pid: key and id of its shared memory
_ORPHANS_S = 30.0

FAST_OPTIONS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

CLUSTER_OPTIONS = (
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
)
ROLES = """
create role voltgraph_owner login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
create role voltgraph login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
create database voltgraph owner voltgraph_owner;
revoke all on database voltgraph from public;
grant connect, temporary on database voltgraph to voltgraph;
"""
SCHEMA = """
alter schema public owner to voltgraph_owner;
grant usage on schema public to voltgraph;
"""


class Postgres:
    """One server; `prepare`, `launch`, `await_ready`, `end`."""

    name = "postgres"

    def __init__(
        self, home: Path, *, binaries: places.Binaries, account: processes.Account, log: processes.Log, fast: bool
    ) -> None:
        self.home = home
        self.data = home / "postgres"
        self.binaries = binaries
        self.account = account
        self.log = log
        self.fast = fast

    def prepare(self) -> None:
        if self.data.is_dir():
            self._clear_pid_file()
        else:
            self._make_cluster()

    def launch(self, sockets: Path) -> subprocess.Popen[bytes]:
        (sockets / f"{places.SOCKET_NAME}.lock").unlink(missing_ok=True)  # with an old pid, as the one in the data
        quoted = str(sockets).replace('"', '""')
        options = OPTIONS | {"unix_socket_directories": f'"{quoted}"'} | (FAST_OPTIONS if self.fast else {})
        return processes.launch(
            [
                str(self.binaries.postgres),
                "-D",
                str(self.data),
                *(f"--{key}={value}" for key, value in options.items()),
            ],
            account=self.account,
            death_signal=STOP_SIGNALS[0],
            folder=self.home,
            log=self.log,
        )

    def await_ready(self, process: subprocess.Popen[bytes]) -> None:
        processes.await_ready(process, lambda: self._is_ready(process.pid), name="PostgreSQL", log=self.log)

    def end(self, process: subprocess.Popen[bytes]) -> None:
        processes.end(process, STOP_SIGNALS)

    def _make_cluster(self) -> None:
        """Made under another name, so that an interrupted beginning is no half a cluster."""
        for interrupted in self.home.glob("postgres.draft-*"):
            shutil.rmtree(interrupted, ignore_errors=True)
        draft = places.own_folder(self.home / f"postgres.draft-{os.getpid()}", self.account)
        durability = ["--no-sync"] if self.fast else []
        self._run([str(self.binaries.initdb), f"--pgdata={draft}", *CLUSTER_OPTIONS, *durability])
        # Whoever can open the socket's folder is us; there is no other way in.
        (draft / "pg_hba.conf").write_text("local all all trust\n", "ascii")
        self._single_user(draft, "postgres", ROLES)
        self._single_user(draft, "voltgraph", SCHEMA)
        draft.rename(self.data)

    def _single_user(self, data: Path, database: str, statements: str) -> None:
        single = [str(self.binaries.postgres), "--single", "-D", str(data), "-c", "exit_on_error=on", database]
        self._run(single, text=statements)

    def _run(self, command: list[str], *, text: str = "") -> None:
        processes.run(command, account=self.account, folder=self.home, log=self.log, text=text)

    def _clear_pid_file(self) -> None:
        """PostgreSQL takes any process with the number in its old pid file for itself; only we know better."""
        file = self.data / "postmaster.pid"
        try:
            pid = int(file.read_text("ascii").split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            file.unlink(missing_ok=True)
            return
        if processes.identity(pid) is not None and str(self.data) in processes.command_line(pid):
            raise EmbeddedError(f"another PostgreSQL, process {pid}, runs on {self.data}")
        self._await_orphans(file)
        file.unlink()

    def _await_orphans(self, pid_file: Path) -> None:
        """What a killed PostgreSQL was busy with ends by and by, and would ruin the data beside a new one.

        PostgreSQL looks for them itself, but not without its pid file, which we remove.
        """
        lines = pid_file.read_text("utf-8").splitlines()
        memory = lines[_MEMORY_LINE].split()[-1:] if len(lines) > _MEMORY_LINE else []
        for _ in processes.ticks(_ORPHANS_S):
            if not memory or not processes.attached_to(int(memory[0])):
                return
        raise EmbeddedError(f"processes of an earlier PostgreSQL still work on {self.data}")

    def _is_ready(self, pid: int) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text("utf-8").splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


def url(role: str, sockets: Path) -> str:
    return URL.create(
        "postgresql+asyncpg", username=role, database="voltgraph", query={"host": str(sockets)}
    ).render_as_string()
