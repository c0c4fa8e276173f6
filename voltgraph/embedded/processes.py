"""Server processes: each in a session of its own, and none outlives the process that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from voltgraph.embedded.errors import EmbeddedError

POLL_S = 0.02
TAIL_LINES = 15
LARGEST_LOG_BYTES = 8 << 20

# Becomes the server: gives up root, asks the kernel for a signal when the parent dies (prctl 1 is PR_SET_PDEATHSIG,
# lost when the user changes, hence after it), and leaves if that has already happened.
# Not a `preexec_fn`: those may deadlock, and warn, where the parent has threads.
LAUNCHER = """
import ctypes, os, sys
parent, death_signal, uid, gid, *command = sys.argv[1:]
if os.geteuid() != int(uid):
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
os.umask(0o077)
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, int(death_signal), 0, 0, 0)
if os.getppid() != int(parent):
    sys.exit("the process that wanted this server is gone")
os.execv(command[0], command)
"""


class Account(NamedTuple):
    """The user that servers run as."""

    uid: int
    gid: int


class Identity(NamedTuple):
    """A process for good: its number alone is used again, also after a restart of the machine."""

    pid: int
    started: str


class Log:
    """A server's output; `tail` shows what came since this object was made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and path.stat().st_size > LARGEST_LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        self.file = path.open("ab")
        self._begin = self.file.tell()

    def tail(self) -> str:
        with self.path.open("rb") as file:
            file.seek(self._begin)
            lines = file.read().decode(errors="replace").splitlines()
        return "\n".join([f"The end of {self.path}:", *(f"  {line}" for line in lines[-TAIL_LINES:])])


def identity(pid: int) -> Identity | None:
    """`None` where no such process runs; one that is dead but not yet collected does not run."""
    started = _started_linux(pid) if sys.platform == "linux" else _started_elsewhere(pid)
    return None if started is None else Identity(pid, started)


def is_alive(process: Identity) -> bool:
    return identity(process.pid) == process


def attached_to(shared_memory: int) -> int:
    """How many processes hold a System V segment; 0 where that cannot be seen."""
    try:
        rows = Path("/proc/sysvipc/shm").read_text("ascii").splitlines()
    except OSError:
        return 0
    names, *segments = (row.split() for row in rows)
    identifier, holders = names.index("shmid"), names.index("nattch")
    return next((int(row[holders]) for row in segments if int(row[identifier]) == shared_memory), 0)


def command_line(pid: int) -> str:
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    return _ps(pid, "command=")


def launch(
    command: list[str], *, account: Account, death_signal: signal.Signals, folder: Path, log: Log, reads: bool = False
) -> subprocess.Popen[bytes]:
    """Start a server that gets `death_signal` when the thread that calls this ends, however it ends."""
    numbers = [str(number) for number in (os.getpid(), int(death_signal), account.uid, account.gid)]
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", LAUNCHER, *numbers, *command],
        stdin=subprocess.PIPE if reads else subprocess.DEVNULL,
        stdout=log.file,
        stderr=log.file,
        cwd=folder,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        start_new_session=True,
    )


def run(command: list[str], *, account: Account, folder: Path, log: Log, text: str = "") -> None:
    """Run to the end, feeding it `text`."""
    process = launch(command, account=account, death_signal=signal.SIGKILL, folder=folder, log=log, reads=True)
    try:
        process.communicate(text.encode())
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode:
        raise EmbeddedError(f"{Path(command[0]).name} failed. {log.tail()}")


def await_ready(process: subprocess.Popen[bytes], is_ready: Callable[[], bool], *, name: str, log: Log) -> None:
    """Recovery may take its time; only an end of the process, or a very long silence, is a failure."""
    for _ in ticks(300.0):
        if process.poll() is not None:
            raise EmbeddedError(f"{name} did not start. {log.tail()}")
        if is_ready():
            return
    raise EmbeddedError(f"{name} is not ready after five minutes. {log.tail()}")


def end(process: subprocess.Popen[bytes], signals: tuple[signal.Signals, ...]) -> None:
    """Ask ever less politely until it is gone."""
    for number in signals:
        process.send_signal(number)
        try:
            process.wait(30.0)
        except subprocess.TimeoutExpired:
            continue
        return
    process.wait()


def end_leftover(process: Identity, signals: tuple[signal.Signals, ...]) -> None:
    """As `end`, for a process that is no child of ours; its own parent's death has told it to stop already."""
    for number in signals:
        if is_alive(process):
            os.kill(process.pid, number)
        for _ in ticks(30.0):
            if not is_alive(process):
                return
    raise EmbeddedError(f"process {process.pid}, left by an earlier run, does not end")


def ticks(limit_s: float) -> Iterator[None]:
    begin_s = time.monotonic()
    while time.monotonic() - begin_s < limit_s:
        yield
        time.sleep(POLL_S)


def _started_linux(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()
    if state in "ZX":
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return f"{boot} {fields[18]}"


def _started_elsewhere(pid: int) -> str | None:
    state, _, started = _ps(pid, "state=,lstart=").partition(" ")
    return None if not state or state.startswith("Z") else started.strip()


def _ps(pid: int, columns: str) -> str:
    return subprocess.run(
        ["ps", "-o", columns, "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
