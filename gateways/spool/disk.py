"""The spool in a folder: segments that are appended to, read from the front, and removed when they are settled.

Each process writes a folder of its own, locked while it lives; what one that died has left, the next takes over.
"""

import asyncio
import fcntl
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import orjson
import structlog
from prometheus_client import Counter, Gauge

from domain.errors import Unavailable
from domain.gathering import Gathering
from domain.points import Delivery, Spool
from gateways.spool.frames import HEAD_BYTES, Frame, frames, pack, unpack

log = structlog.get_logger()

BYTES = Gauge("voltgraph_spool_bytes", "Readings that wait on disk for the history store", multiprocess_mode="livesum")
SPOOLED = Counter("voltgraph_spool_readings", "Readings that went to disk, since the history store was away")
SETTLED = Counter("voltgraph_spool_readings_settled", "Readings that the history store has got from the disk")
DAMAGED = Counter("voltgraph_spool_bytes_damaged", "Bytes on disk that belong to no whole frame, and were passed over")
LOST = Counter("voltgraph_spool_readings_lost", "Refused readings for which the file of the refused had no room")
REFUSED = Counter("voltgraph_spool_readings_refused", "Readings from the disk that cannot be recorded, put aside")

SEGMENT_BYTES = 16 * 2**20
SUFFIX = ".spool"
REFUSED_FILE = "refused.jsonl"
LOCK = "lock"


@dataclass(slots=True)
class _Segment:
    path: Path
    size: int
    read: int = 0  # up to where all is settled


class DiskSpool(Spool):
    """`async with DiskSpool(folder, limit_bytes=…) as spool`. `limit_bytes` is of this process."""

    def __init__(self, folder: Path, *, limit_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._home = folder
        self._folder = folder / f"{os.getpid()}-{time.time_ns()}"
        self._limit, self._segment_bytes = limit_bytes, segment_bytes
        self._segments: deque[_Segment] = deque()
        self._bytes = 0
        self._gathering = Gathering(self._write, at_once=segment_bytes, size=len)
        self._appending = False
        self._stirred = asyncio.Event()
        self._lock: int | None = None
        self._handed_out: _Segment | None = None
        self._frames: list[Frame] = []  # that `oldest` has handed out, by where they lie in their segment
        self._readings: list[int] = []  # in each of them

    @property
    def behind(self) -> bool:
        return self._bytes > 0

    @property
    def waiting_bytes(self) -> int:
        return self._bytes

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._open)
        self._changed(0)
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._gathering.drained()
        await asyncio.to_thread(self._close)

    async def keep(self, delivery: Delivery) -> None:
        frame = pack(delivery)
        if self._bytes + len(frame) > self._limit:
            raise Unavailable("the history store is not reachable, and the disk's share for readings is used up")
        self._changed(len(frame))
        await self._gathering.ask(frame)
        SPOOLED.inc(len(delivery.readings))

    async def oldest(self, readings: int) -> Sequence[Delivery]:
        self._frames, self._readings = [], []
        deliveries: list[Delivery] = []
        count = 0
        while not deliveries and (segment := next((one for one in self._segments if one.read < one.size), None)):
            start, end = segment.read, segment.size
            content = await asyncio.to_thread(_content, segment.path, start, end)
            for delivery, frame in unpack(memoryview(content)):
                if deliveries and count + len(delivery.readings) > readings:
                    break
                count += len(delivery.readings)
                deliveries.append(delivery)
                self._frames.append(Frame(start + frame.start, start + frame.end))
                self._readings.append(len(delivery.readings))
            self._handed_out = segment
            if not deliveries:
                self._pass(segment, to=end, damaged=end - start)
        return deliveries

    async def settled(self, deliveries: int) -> None:
        segment = self._handed_out
        if segment is None or not deliveries:
            return
        done, self._frames = self._frames[:deliveries], self._frames[deliveries:]
        SETTLED.inc(sum(self._readings[:deliveries]))
        self._readings = self._readings[deliveries:]
        end = done[-1].end
        self._pass(segment, to=end, damaged=end - segment.read - sum(end - start for start, end in done))

    def _pass(self, segment: _Segment, *, to: int, damaged: int) -> None:
        """All up to there is done with."""
        if damaged:
            _tell_damaged(segment.path, damaged)
        self._changed(segment.read - to)
        segment.read = to
        self._prune()

    async def refused(self, delivery: Delivery, reason: str) -> None:
        REFUSED.inc(len(delivery.readings))
        line = orjson.dumps({"reason": reason, "delivery": pack(delivery)[HEAD_BYTES:].decode()}) + b"\n"
        if not await asyncio.to_thread(self._put_aside, line):
            LOST.inc(len(delivery.readings))
            log.error("no room to put readings aside", tenant=str(delivery.tenant_id), count=len(delivery.readings))

    def _put_aside(self, line: bytes) -> bool:
        """All processes share the file."""
        path = self._home / REFUSED_FILE
        with _locked(self._home / LOCK):
            size = path.stat().st_size if path.exists() else 0
            if size + len(line) > self._limit:
                return False
            _append(path, size, line)
        return True

    async def stirred(self) -> None:
        while not any(segment.read < segment.size for segment in self._segments):
            self._stirred.clear()
            await self._stirred.wait()

    async def _write(self, frames: Sequence[bytes]) -> Sequence[None]:
        content = b"".join(frames)
        self._appending = True
        try:
            segment = await self._segment_with_room()
            await asyncio.to_thread(_append, segment.path, segment.size, content)
        except OSError as error:
            log.error("readings not kept on disk", reason=str(error))
            self._changed(-len(content))
            raise Unavailable("the history store is not reachable, nor is the disk") from error
        else:
            segment.size += len(content)
            self._stirred.set()
        finally:
            self._appending = False
            self._prune()
        return [None] * len(frames)

    async def _segment_with_room(self) -> _Segment:
        if self._segments and self._segments[-1].size < self._segment_bytes:
            return self._segments[-1]
        segment = _Segment(self._folder / f"{time.time_ns():020}{SUFFIX}", 0)
        await asyncio.to_thread(_create, segment.path)
        self._segments.append(segment)
        return segment

    def _prune(self) -> None:
        """A segment that is settled goes, unless it is about to be appended to."""
        while self._segments and self._segments[0].read == self._segments[0].size:
            if self._appending and len(self._segments) == 1:
                return
            self._segments.popleft().path.unlink(missing_ok=True)

    def _changed(self, by: int) -> None:
        self._bytes += by
        BYTES.set(self._bytes)

    def _open(self) -> None:
        """Under the home's lock, so that nobody takes over a folder that is just being made."""
        self._home.mkdir(parents=True, exist_ok=True)
        with _locked(self._home / LOCK):
            self._folder.mkdir()
            self._lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in sorted(path for path in self._home.iterdir() if path.is_dir() and path != self._folder):
                with suppress(BlockingIOError), _locked(left / LOCK, wait=False):
                    self._take_over(left)
        if self._segments:
            log.warning("readings of an earlier process wait on disk", bytes=self._bytes)

    def _take_over(self, left: Path) -> None:
        """Read again from its beginning, though some of it may be stored: written twice is written once."""
        for path in sorted(left.glob(f"*{SUFFIX}")):
            found = list(frames(memoryview(path.read_bytes())))
            end = found[-1].end if found else 0  # what is damaged before that is told when it is passed
            if end < path.stat().st_size:
                _tell_damaged(path, path.stat().st_size - end)
            if not end:
                path.unlink()
                continue
            self._segments.append(_Segment(path.rename(self._folder / path.name), end))
            self._bytes += end
        (left / LOCK).unlink()
        left.rmdir()

    def _close(self) -> None:
        self._prune()
        with _locked(self._home / LOCK):
            if not self._segments:
                (self._folder / LOCK).unlink()
                self._folder.rmdir()
            if self._lock is not None:
                os.close(self._lock)
        BYTES.set(0)


def _tell_damaged(path: Path, size: int) -> None:
    """Damaged, or cut short as what was written when a process died, and never acknowledged."""
    DAMAGED.inc(size)
    log.error("a part of a spooled file is not whole", path=str(path), bytes=size)


def _content(path: Path, start: int, end: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(end - start)


def _create(path: Path) -> None:
    """The name is on disk too, or a loss of power would take the file with what is in it."""
    path.touch(0o600)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _append(path: Path, at: int, content: bytes) -> None:
    """At `at`, where an earlier try that failed may have left something."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.seek(at)
        file.truncate()
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)
