"""The latest value of each point: one hash per tenant, a field per point, the device's time in front of the value."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from uuid import UUID

import orjson
from redis.asyncio import Redis

from domain.points import Latest, LatestReading, Quality
from gateways.redis.line import in_parts, reachable

AT_ONCE = 1_000  # readings per script: Redis does nothing else while one runs
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

# Microseconds since 1970 are exact in Lua's numbers until the year 2255.
_PUT = """
local taken = {}
for i = 1, #ARGV, 3 do
  local old = redis.call('HGET', KEYS[1], ARGV[i])
  if old and tonumber(string.match(old, '^[^ ]+')) > tonumber(ARGV[i + 1]) then
    taken[#taken + 1] = 0
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1] .. ' ' .. ARGV[i + 2])
    taken[#taken + 1] = 1
  end
end
return taken
"""


class RedisLatest(Latest):
    def __init__(self, client: Redis) -> None:
        self._client = client

    async def put(self, tenant_id: UUID, readings: Sequence[LatestReading]) -> list[bool]:
        """One round trip for all of them."""
        async with self._client.pipeline(transaction=False) as pipeline:
            for part in in_parts(readings, AT_ONCE):
                pipeline.eval(_PUT, 1, _key(tenant_id), *(field for reading in part for field in _packed(reading)))
            async with reachable():
                answers: list[list[int]] = await pipeline.execute()
        return [bool(taken) for part in answers for taken in part]

    async def get(self, tenant_id: UUID, point_ids: Sequence[UUID]) -> dict[UUID, LatestReading]:
        async with self._client.pipeline(transaction=False) as pipeline:
            for part in in_parts(point_ids, AT_ONCE):
                pipeline.hmget(_key(tenant_id), [str(point_id) for point_id in part])
            async with reachable():
                answers: list[list[bytes | None]] = await pipeline.execute()
        return {
            point_id: _unpacked(point_id, value)
            for point_id, value in zip(point_ids, chain.from_iterable(answers), strict=True)
            if value is not None
        }


def _key(tenant_id: UUID) -> str:
    return f"voltgraph:{{{tenant_id}}}:latest"


def _packed(reading: LatestReading) -> tuple[str, int, bytes]:
    """The value as `repr`, since JSON knows no NaN and no infinity."""
    value = None if reading.value is None else repr(float(reading.value))
    at_us = (reading.at - EPOCH) // MICROSECOND
    return str(reading.point_id), at_us, orjson.dumps([value, reading.text, reading.quality])


def _unpacked(point_id: UUID, packed: bytes) -> LatestReading:
    at_us, _, rest = packed.partition(b" ")
    value, text, quality = orjson.loads(rest)
    return LatestReading(
        point_id=point_id,
        at=EPOCH + int(at_us) * MICROSECOND,
        value=None if value is None else float(value),
        text=text,
        quality=Quality(quality),
    )
