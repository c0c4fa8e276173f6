"""The latest value of each point: one hash per tenant, a field per point, the device's time in front of the value.

A batch goes to Redis as one string of records of equal length, and its texts as another: what an argument per value
would cost is more than the script itself.
"""

from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from struct import Struct
from uuid import UUID

from redis.asyncio import Redis

from domain.points import Ids, Latest, LatestReading, LatestReadings, Quality, are_all, lay
from gateways.redis.line import in_parts, reachable

AT_ONCE = 1_000  # readings per script: Redis does nothing else while one runs; and Lua has a stack of 8,000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

_RECORD = Struct(">16sqBd")  # point, microseconds since 1970 (exact in Lua until 2255), flags, value
_VALUE = Struct(">qBd")  # and then the text
_AT, _FLAGS, _NUMBER = 16, 24, 25  # where each begins in a record
_LENGTH = Struct(">I")
_QUALITIES = tuple(Quality)  # the two lowest bits of the flags
_CODE = {quality: code for code, quality in enumerate(_QUALITIES)}
_HAS_VALUE, _HAS_TEXT = 4, 8

# Answers the positions of those that are older than what is there.
_PUT = """
local records, lengths, texts = ARGV[1], ARGV[2], ARGV[3]
local fields = {}
for i = 1, #records / 33 do fields[i] = string.sub(records, 33 * i - 32, 33 * i - 17) end
local known, newer = redis.call('HMGET', KEYS[1], unpack(fields)), {}
local taken, late, n, start = {}, {}, 0, 1
for i, field in ipairs(fields) do
  local value = string.sub(records, 33 * i - 16, 33 * i)
  local old = newer[field] or known[i]
  if lengths ~= '' then
    local length = struct.unpack('>I4', lengths, 4 * i - 3)
    value = value .. string.sub(texts, start, start + length - 1)
    start = start + length
  end
  if old and struct.unpack('>i8', old) > struct.unpack('>i8', value) then
    late[#late + 1] = i - 1
  else
    taken[n + 1], taken[n + 2] = field, value
    newer[field] = value
    n = n + 2
  end
end
if n > 0 then redis.call('HSET', KEYS[1], unpack(taken)) end
return late
"""


class RedisLatest(Latest):
    def __init__(self, client: Redis) -> None:
        self._client = client

    async def put(self, tenant_id: UUID, readings: Sequence[LatestReading]) -> list[bool]:
        """One round trip for all of them."""
        if not readings:
            return []
        async with self._client.pipeline(transaction=False) as pipeline:
            for part in in_parts(LatestReadings.of(readings), AT_ONCE):
                pipeline.eval(_PUT, 1, _key(tenant_id), *_packed(LatestReadings.of(part)))
            async with reachable():
                answers: list[list[int]] = await pipeline.execute()
        taken = [True] * len(readings)
        for start, late in zip(range(0, len(readings), AT_ONCE), answers, strict=True):
            for position in late:
                taken[start + position] = False
        return taken

    async def get(self, tenant_id: UUID, point_ids: Sequence[UUID]) -> dict[UUID, LatestReading]:
        async with self._client.pipeline(transaction=False) as pipeline:
            for part in in_parts(point_ids, AT_ONCE):
                pipeline.hmget(_key(tenant_id), [point_id.bytes for point_id in part])
            async with reachable():
                answers: list[list[bytes | None]] = await pipeline.execute()
        return {
            point_id: _unpacked(point_id, value)
            for point_id, value in zip(point_ids, chain.from_iterable(answers), strict=True)
            if value is not None
        }


def _key(tenant_id: UUID) -> str:
    return f"voltgraph:{{{tenant_id}}}:values"


def _packed(readings: LatestReadings) -> tuple[bytes, bytes, bytes]:
    """Records, and of each the length of its text, and the texts; without any text neither."""
    ids, moments, values, texts, qualities = readings.columns
    numbers = values if isinstance(values, array) else array("d", [0.0 if value is None else value for value in values])
    records = bytearray(_RECORD.size * len(readings))
    for place in range(Ids.SIZE):
        records[place :: _RECORD.size] = ids.packed[place :: Ids.SIZE]
    lay(records, _AT, _RECORD.size, moments.microseconds)
    records[_FLAGS :: _RECORD.size] = _flags(values, texts, qualities)
    lay(records, _NUMBER, _RECORD.size, numbers)
    if are_all(texts, None):
        return bytes(records), b"", b""
    encoded = [(text or "").encode() for text in texts]
    return bytes(records), b"".join([_LENGTH.pack(len(text)) for text in encoded]), b"".join(encoded)


def _flags(values: Sequence[float | None], texts: Sequence[str | None], qualities: Sequence[Quality]) -> bytes:
    if isinstance(values, array) and are_all(texts, None) and are_all(qualities, qualities[0]):
        return bytes([_CODE[qualities[0]] | _HAS_VALUE]) * len(values)
    return bytes(
        [
            _CODE[quality] | (value is not None and _HAS_VALUE) | (text is not None and _HAS_TEXT)
            for value, text, quality in zip(values, texts, qualities, strict=True)
        ]
    )


def _unpacked(point_id: UUID, packed: bytes) -> LatestReading:
    at_us, flags, value = _VALUE.unpack_from(packed)
    return LatestReading(
        point_id=point_id,
        at=EPOCH + at_us * MICROSECOND,
        value=value if flags & _HAS_VALUE else None,
        text=packed[_VALUE.size :].decode() if flags & _HAS_TEXT else None,
        quality=_QUALITIES[flags & 3],
    )
