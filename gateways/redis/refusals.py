"""What stations would not have: a key for each, which is gone after some days, for firmware changes."""

from redis.asyncio import Redis

from gateways.ocpp.memory import StationKey
from gateways.redis.line import reachable

FORGOTTEN_AFTER_S = 7 * 24 * 3600


class RedisRefusals:
    """The `Refusals` of `gateways.ocpp`."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def refuses(self, station: StationKey, wish: str) -> bool:
        async with reachable():
            return bool(await self._client.exists(_key(station, wish)))

    async def note(self, station: StationKey, wish: str) -> None:
        async with reachable():
            await self._client.set(_key(station, wish), 1, ex=FORGOTTEN_AFTER_S)


def _key(station: StationKey, wish: str) -> str:
    tenant_id, station_id = station
    return f"voltgraph:{{{tenant_id}}}:refuses:{station_id}:{wish}"
