"""A delivery as bytes: its length and CRC-32, then JSON. A frame that is cut short or damaged is seen as such."""

import zlib
from collections.abc import Iterator
from datetime import datetime
from struct import Struct
from typing import Any
from uuid import UUID

import orjson

from domain.points import Delivery, Owner, OwnerKind, Quality, Reading, Source

_HEAD = Struct(">II")
HEAD_BYTES = _HEAD.size


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


def whole(content: memoryview) -> int:
    """How many bytes from the beginning on are frames that are whole and sound."""
    end = 0
    for body_end in _bodies(content):
        end = body_end
    return end


def unpack(content: memoryview) -> Iterator[tuple[Delivery, int]]:
    """Each delivery, and where its frame ends."""
    start = 0
    for end in _bodies(content):
        yield _delivery(orjson.loads(content[start + HEAD_BYTES : end])), end
        start = end


def _bodies(content: memoryview) -> Iterator[int]:
    start = 0
    while start + HEAD_BYTES <= len(content):
        length, checksum = _HEAD.unpack_from(content, start)
        end = start + HEAD_BYTES + length
        if end > len(content) or zlib.crc32(content[start + HEAD_BYTES : end]) != checksum:
            return
        yield end
        start = end


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
