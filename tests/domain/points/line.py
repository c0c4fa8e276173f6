"""A line to a server that can be cut and mended, frozen and thawed."""

import asyncio
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit


class Line:
    """Listens on a Unix socket and passes everything on to the server that `url` names."""

    def __init__(self, url: str, socket: Path) -> None:
        self._to = urlsplit(url)
        self._socket = socket
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.accepted = 0

    def freeze(self) -> None:
        """Connections stand, and nothing comes through."""
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    async def mend(self) -> None:
        self._server = await asyncio.start_unix_server(self._pass_on, self._socket)

    async def cut(self) -> None:
        assert self._server
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()
        self._socket.unlink(missing_ok=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._to.scheme == "unix":
            far_reader, far_writer = await asyncio.open_unix_connection(self._to.path)
        else:
            far_reader, far_writer = await asyncio.open_connection(self._to.hostname, self._to.port or 6379)
        self._open |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
