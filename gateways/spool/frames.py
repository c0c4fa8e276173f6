"""A delivery as bytes: its length and CRC-32, then JSON. A frame that is cut short or damaged is seen as such, and
passed over: the next is found by how it begins. None lies within another's JSON, which has no control characters.
"""

import re
import zlib
from collections.abc import Iterator
from datetime import datetime
from struct import Struct
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from domain.points import Delivery, Owner, OwnerKind, Quality, Reading, Source

_HEAD = Struct(">II")
_BODY = re.compile(rb'\["[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",')
HEAD_BYTES = _HEAD.size


class Frame(NamedTuple):
    """Where it lies in what was read."""

    start: int
    end: int


def pack(delivery: Delivery) -> bytes:
    owner = delivery.owner
    body = orjson.dumps(
        [
            str(delivery.tenant_id),  # asyncpg has a UUID of its own, which orjson does not know
            None if owner is None else [owner.kind, str(owner.id)],
            [tuple(reading) for reading in delivery.readings],
        ]
    )
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def unpack(content: memoryview) -> Iterator[tuple[Delivery, Frame]]:
    for frame in frames(content):
        yield _delivery(orjson.loads(content[frame.start + HEAD_BYTES : frame.end])), frame


def frames(content: memoryview) -> Iterator[Frame]:
    """All that are whole and sound, whatever lies between them."""
    start: int | None = 0
    while start is not None:
        end = _end(content, start)
        if end is None:
            start = _next(content, start + 1)
        else:
            yield Frame(start, end)
            start = end if end < len(content) else None


def _end(content: memoryview, start: int) -> int | None:
    """Of the frame that begins there; None where none does."""
    if start + HEAD_BYTES > len(content):
        return None
    length, checksum = _HEAD.unpack_from(content, start)
    end: int = start + HEAD_BYTES + length
    is_sound = length and end <= len(content) and zlib.crc32(content[start + HEAD_BYTES : end]) == checksum
    return end if is_sound else None


def _next(content: memoryview, start: int) -> int | None:
    """Where the next frame begins, if there is one."""
    bodies = _BODY.finditer(content, start + HEAD_BYTES)
    heads = (body.start() - HEAD_BYTES for body in bodies)
    return next((head for head in heads if _end(content, head) is not None), None)


def _delivery(parts: list[Any]) -> Delivery:
    tenant_id, owner, readings = parts
    return Delivery(
        UUID(tenant_id),
        None if owner is None else Owner(OwnerKind(owner[0]), UUID(owner[1])),
        [_reading(*reading) for reading in readings],
    )


def _reading(
    address: str,
    at: str,
    value: float | None,
    text: str | None,
    quality: str,
    unit: str | None,
    source: str,
    version: int,
) -> Reading:
    return Reading(address, datetime.fromisoformat(at), value, text, Quality(quality), unit, Source(source), version)
