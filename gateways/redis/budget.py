"""What each caller has left to spend: one key per caller, on Redis's clock."""

from redis.asyncio import Redis

from gateways.redis.line import reachable

_WITHIN_S = 0.5  # a query is waiting for it, and can do without

# The key is the moment, in milliseconds, at which the bucket will be full again; when it is, the key is gone.
_DRAW = """
local amount, at_least = tonumber(ARGV[1]), tonumber(ARGV[2])
local per_ms, burst = tonumber(ARGV[3]) / 1000, tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local left = math.floor(burst - (full_at - now) * per_ms)
local needed = math.min(at_least, burst)
if left < needed then return {0, left, math.ceil((needed - left) / per_ms)} end
local granted = math.max(math.min(amount, left), at_least)
full_at = full_at + granted / per_ms
redis.call('SET', KEYS[1], string.format('%.3f', full_at), 'PX', math.ceil(full_at - now))
return {granted, left - granted, 0}
"""


class RedisBudget:
    """The `Budget` of `gateways.graphql`."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def draw(
        self, principal: str, amount: int, *, at_least: int, per_s: int, burst: int
    ) -> tuple[int, int, float]:
        async with reachable(within_s=_WITHIN_S):
            granted, left, wait_ms = await self._client.eval(
                _DRAW, 1, f"voltgraph:budget:{principal}", amount, at_least, per_s, burst
            )
        return granted, left, wait_ms / 1000
