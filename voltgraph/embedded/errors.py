"""What can go wrong with the embedded servers, said to the person who started them."""

from __future__ import annotations

from pathlib import Path


class EmbeddedError(Exception):
    """The embedded servers cannot run; the message says why and, where there is one, shows the log's end."""


class AlreadyRunning(EmbeddedError):
    """Another process runs the servers of this data directory."""

    def __init__(self, pid: int | None, data_dir: Path) -> None:
        self.pid = pid
        self.data_dir = data_dir
        who = "as another process" if pid is None else f"as process {pid}"
        super().__init__(f"already running {who} with the data directory {data_dir}")
