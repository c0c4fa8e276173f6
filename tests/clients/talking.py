"""A client in Node.js that is told what to do while it runs, and a line to the server that can be cut."""

import asyncio
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import orjson

HERE = Path(__file__).parent
GUARD_S = 30.0
LINE_MAX_BYTES = 1024 * 1024


class Talker:
    """`heard` is all that it has said of, in order."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.heard: list[Any] = []

    @classmethod
    @asynccontextmanager
    async def running(cls, script: str, *arguments: str, **options: Any) -> AsyncIterator[Self]:
        command = ("node", str(HERE / script), *arguments, orjson.dumps(options).decode())
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=LINE_MAX_BYTES)
        try:
            yield cls(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def say(self, **order: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps(order) + b"\n")
        await self._process.stdin.drain()

    async def run(self, id: str, query: str, /, **variables: Any) -> None:
        await self.say(id=id, run=query, variables=variables)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It reads nothing."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    async def until(self, wanted: Callable[[Any], object]) -> Any:
        """The first of what happens from here on that is wanted, in time."""
        assert self._process.stdout is not None
        async with asyncio.timeout(GUARD_S):
            while line := await self._process.stdout.readline():
                self.heard.append(orjson.loads(line))
                if wanted(self.heard[-1]):
                    return self.heard[-1]
        raise AssertionError(f"it has ended; it said {self.heard[-5:]}")

    async def until_it_tells(self, **said: Any) -> Any:
        """What has these among its members."""
        return await self.until(lambda one: said.items() <= one.items())

    async def item(self, id: str, wanted: Callable[[Any], object] = bool) -> Any:
        """The next item of an operation that is wanted, the one field's value."""
        return alone(await self.until(lambda one: one.get("id") == id and "next" in one and wanted(alone(one))))

    def items(self, id: str) -> list[Any]:
        return [alone(one) for one in self.heard if one.get("id") == id and "next" in one]

    def told(self, what: str) -> list[Any]:
        """Of every happening of that kind, what is said of it."""
        return [one[what] for one in self.heard if what in one]


def alone(told: Any) -> Any:
    return next(iter((told["next"] or {"": None}).values()))


class Cable:
    """A line to a port of this machine. Unplugged, it refuses whoever comes."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    @classmethod
    @asynccontextmanager
    async def to(cls, port: int) -> AsyncIterator[Self]:
        cable = cls(port)
        await cable.plug()
        try:
            yield cable
        finally:
            await cable.unplug()

    async def plug(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def unplug(self) -> None:
        """In the middle of whatever is said."""
        if self._server is not None:
            self._server.close()
            self.cut()
            await self._server.wait_closed()
            self._server = None

    def cut(self) -> None:
        """Whoever comes again is joined again."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        self._writers |= {writer, far_writer}
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass(reader, far_writer))
                both.create_task(_pass(far_reader, writer))
        finally:
            self._writers -= {writer, far_writer}


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while part := await reader.read(65_536):
            writer.write(part)
            await writer.drain()
    writer.close()
