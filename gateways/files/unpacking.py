"""A body as the file that it is, in parts of a bounded size: gzip is unpacked, whether or not it is told of."""

import zlib
from collections.abc import AsyncIterator, Iterator

from starlette.requests import ClientDisconnect, Request

from domain.errors import Invalid, Unavailable
from gateways.files.doors import Unsupported

PART_BYTES = 65_536
_MAGIC = b"\x1f\x8b"
_GZIP = zlib.MAX_WBITS | 16
_ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip"})


def file_in(request: Request) -> AsyncIterator[bytes]:
    """Raises `Unsupported` for what is no file; later `Invalid` where it is broken, `Unavailable` where the line is."""
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise Unsupported(f"a file comes as it is, or with Content-Encoding gzip, not {encoding}")
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        raise Unsupported("the body is the file itself, not a form that holds it")
    return _parts(request)


async def _parts(request: Request) -> AsyncIterator[bytes]:
    unpacking = Unpacking()
    try:
        async for body in request.stream():
            for part in unpacking.parts(body):
                yield part
    except ClientDisconnect:
        raise Unavailable("the upload was cut off") from None
    for part in unpacking.end():
        yield part


class Unpacking:
    """What begins as gzip does is unpacked; several files of it one after the other are one."""

    def __init__(self) -> None:
        self._head = b""
        self._is_packed: bool | None = None
        self._gunzip = zlib.decompressobj(_GZIP)

    def parts(self, body: bytes) -> Iterator[bytes]:
        if self._is_packed is None:
            self._head += body
            if len(self._head) < len(_MAGIC):
                return
            self._is_packed = self._head.startswith(_MAGIC)
            body, self._head = self._head, b""
        if self._is_packed:
            yield from self._unpacked(body)
        else:
            yield from (body[start : start + PART_BYTES] for start in range(0, len(body), PART_BYTES))

    def end(self) -> Iterator[bytes]:
        if self._is_packed and not self._gunzip.eof:
            raise Invalid("the gzip file ends before its end")
        if self._head:
            yield self._head

    def _unpacked(self, body: bytes) -> Iterator[bytes]:
        while body:
            if self._gunzip.eof:
                if not body.strip(b"\0"):
                    return  # it is padded
                self._gunzip = zlib.decompressobj(_GZIP)
            try:
                part = self._gunzip.decompress(body, PART_BYTES)
            except zlib.error as error:
                raise Invalid(f"the gzip file is broken: {error}") from None
            body = self._gunzip.unused_data if self._gunzip.eof else self._gunzip.unconsumed_tail
            if part:
                yield part
