"""Things that tests need there to be, made as their owners would make them."""

from typing import Any

from uuid_utils.compat import uuid7

from domain import locations, stations, tokens
from tests.tester import Tester


async def a_station(tester: Tester, identity: str | None = None, **given: Any) -> stations.Station:
    async with tester.work() as work:
        return await stations.register(work, identity=identity or f"CP-{uuid7().hex[-8:]}", **given)


async def a_token(tester: Tester, uid: str | None = None, **given: Any) -> tokens.Token:
    async with tester.work() as work:
        return await tokens.create(work, uid=uid or uuid7().hex[-12:].upper(), **given)


async def a_group(tester: Tester, uid: str, **given: Any) -> tokens.TokenGroup:
    async with tester.work() as work:
        return await tokens.set_group(work, uid=uid, **given)


async def a_location(tester: Tester, name: str = "Depot", **given: Any) -> locations.Location:
    async with tester.work() as work:
        return await locations.create(work, name=name, **given)
