"""Leases on stations, in three keys per tenant: when each lease ends, who holds it, when it was last heard from.

Each step that reads and then writes is one script. The clock is Redis's, so processes need not agree on theirs.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from redis.asyncio import Redis

from domain.stations import Hold, Presence
from gateways.redis.line import in_parts, reachable

Item = TypeVar("Item", bound=tuple[Any, ...])

AT_ONCE = 500  # stations per script: Redis does nothing else while one runs

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

_CLAIM = (
    _NOW
    + """
local station, holder, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])
local previous = redis.call('HGET', KEYS[2], station)
redis.call('HSET', KEYS[2], station, holder)
redis.call('ZADD', KEYS[1], now + lease, station)
redis.call('HSET', KEYS[3], station, now)
if previous ~= holder then return previous end
return false
"""
)

_RENEW = (
    _NOW
    + """
local lost = {}
for i = 2, #ARGV, 2 do
  if redis.call('HGET', KEYS[2], ARGV[i]) == ARGV[i + 1] then
    redis.call('ZADD', KEYS[1], now + tonumber(ARGV[1]), ARGV[i])
  else
    lost[#lost + 1] = i / 2 - 1
  end
end
return lost
"""
)

_RELEASE = """
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
"""

_HOLDER = (
    _NOW
    + """
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not ends or tonumber(ends) <= now then return false end
return redis.call('HGET', KEYS[2], ARGV[1])
"""
)

_ONLINE = _NOW + "return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')"

_EXPIRED = (
    _NOW
    + """
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, tonumber(ARGV[1]))
for _, station in ipairs(gone) do
  redis.call('ZREM', KEYS[1], station)
  redis.call('HDEL', KEYS[2], station)
end
return gone
"""
)

_TOUCH = (
    _NOW
    + """
for i = 1, #ARGV do redis.call('HSET', KEYS[1], ARGV[i], now) end
"""
)


class RedisPresence(Presence):
    def __init__(self, client: Redis) -> None:
        self._client = client

    async def claim(self, tenant_id: UUID, station_id: UUID, holder: str, lease_s: float) -> str | None:
        keys = (*_keys(tenant_id), _seen_key(tenant_id))
        previous = await self._run(_CLAIM, keys, str(station_id), holder, _ms(lease_s))
        return None if previous is None else bytes(previous).decode()

    async def renew(self, items: Sequence[Hold], lease_s: float) -> list[Hold]:
        parts = [part for holds in _by_tenant(items).values() for part in in_parts(holds, AT_ONCE)]
        async with self._client.pipeline(transaction=False) as pipeline:
            for part in parts:
                arguments = [text for _, station_id, holder in part for text in (str(station_id), holder)]
                pipeline.eval(_RENEW, 2, *_keys(part[0][0]), _ms(lease_s), *arguments)
            async with reachable():
                answers: list[list[int]] = await pipeline.execute()
        return [part[place] for part, lost in zip(parts, answers, strict=True) for place in lost]

    async def release(self, tenant_id: UUID, station_id: UUID, holder: str) -> bool:
        return bool(await self._run(_RELEASE, _keys(tenant_id), str(station_id), holder))

    async def holder(self, tenant_id: UUID, station_id: UUID) -> str | None:
        holder = await self._run(_HOLDER, _keys(tenant_id), str(station_id))
        return None if holder is None else bytes(holder).decode()

    async def online(self, tenant_id: UUID) -> set[UUID]:
        return {UUID(station.decode()) for station in await self._run(_ONLINE, _keys(tenant_id))}

    async def expired(self, tenant_id: UUID) -> list[UUID]:
        """At most `AT_ONCE`; the next sweep takes the rest."""
        return [UUID(station.decode()) for station in await self._run(_EXPIRED, _keys(tenant_id), AT_ONCE)]

    async def touch(self, stations: Sequence[tuple[UUID, UUID]]) -> None:
        async with self._client.pipeline(transaction=False) as pipeline:
            for tenant_id, pairs in _by_tenant(stations).items():
                for part in in_parts(pairs, AT_ONCE):
                    pipeline.eval(_TOUCH, 1, _seen_key(tenant_id), *(str(station_id) for _, station_id in part))
            async with reachable():
                await pipeline.execute()

    async def seen(self, tenant_id: UUID, station_ids: Sequence[UUID]) -> dict[UUID, datetime]:
        if not station_ids:
            return {}
        async with reachable():
            stamps = await self._client.hmget(_seen_key(tenant_id), [str(station_id) for station_id in station_ids])
        return {
            station_id: datetime.fromtimestamp(int(stamp) / 1000, UTC)
            for station_id, stamp in zip(station_ids, stamps, strict=True)
            if stamp is not None
        }

    async def _run(self, script: str, keys: Sequence[str], *arguments: str | int) -> Any:
        """By its text and not its digest: a restarted Redis has forgotten every script."""
        async with reachable():
            return await self._client.eval(script, len(keys), *keys, *arguments)


def _by_tenant(items: Sequence[Item]) -> dict[UUID, list[Item]]:
    groups: dict[UUID, list[Item]] = defaultdict(list)
    for item in items:
        groups[item[0]].append(item)
    return groups


def _keys(tenant_id: UUID) -> tuple[str, str]:
    """The braces keep a tenant's keys on one node of a cluster."""
    return f"voltgraph:{{{tenant_id}}}:leases", f"voltgraph:{{{tenant_id}}}:holders"


def _seen_key(tenant_id: UUID) -> str:
    return f"voltgraph:{{{tenant_id}}}:seen"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
