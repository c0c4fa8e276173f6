"""The lock file of a data directory: who runs its servers, and how to reach them.

The lock itself is the kernel's and goes with the process; pid and start time name the holder to others, who must not
take the lock to look, and hold where a file system does not lock.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from pathlib import Path
from typing import Any

from voltgraph.embedded import processes
from voltgraph.embedded.errors import AlreadyRunning

Notes = dict[str, Any]


class Lock:
    """Held from `__init__` to `release`; `earlier` is what a run that did not release it has left."""

    def __init__(self, data_dir: Path) -> None:
        self._file = os.fdopen(os.open(_path(data_dir), os.O_RDWR | os.O_CREAT, 0o644), "r+", encoding="utf-8")
        try:
            self.earlier = read(data_dir)
            self._take(data_dir)
        except BaseException:
            self._file.close()
            raise
        self._writing = threading.Lock()
        self._notes: Notes = {"holder": processes.identity(os.getpid())}
        self.note()

    def note(self, **notes: Any) -> None:
        """Write down what others, or the next run, must know."""
        with self._writing:
            self._notes |= notes
            self._write(json.dumps(self._notes))

    def release(self) -> None:
        self._write("")
        self._file.close()

    def _take(self, data_dir: Path) -> None:
        holder = holder_in(self.earlier)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_held = False
        except OSError as error:
            is_held = isinstance(error, BlockingIOError)
        if is_held or (holder and processes.is_alive(holder)):
            raise AlreadyRunning(holder.pid if holder else None, data_dir)

    def _write(self, text: str) -> None:
        """Over the old text at once, since others look while we write."""
        self._file.seek(0)
        self._file.write(text)
        self._file.flush()
        self._file.truncate()


def read(data_dir: Path) -> Notes:
    """The notes of whoever holds, or held, the lock; none where it was released or is being written."""
    try:
        notes = json.loads(_path(data_dir).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}


def holder_in(notes: Notes) -> processes.Identity | None:
    return processes.Identity(*notes["holder"]) if "holder" in notes else None


def _path(data_dir: Path) -> Path:
    return data_dir / "lock"
