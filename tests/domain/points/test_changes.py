"""What a process remembers of points, and when it does so no longer."""

import asyncio
from typing import Any

import pytest

from domain import points
from domain.bus import Bus
from domain.points import changes
from domain.points.changes import ADDRESSES_PER_MESSAGE, changed
from domain.points.known import DIRECTORY, Addresses, Known
from domain.work import Workplace
from gateways.redis import Patience, RedisBus
from tests.domain.points.line import Line
from tests.tester import Tester

pytestmark = pytest.mark.anyio

QUICK = Patience(connect_s=1, answer_s=5, silence_s=0.2, backoff_min_s=0.01, backoff_max_s=0.1)


def remembering(tester: Tester, *addresses: str) -> Addresses:
    known = DIRECTORY.of(tester.tenant_id)
    for series, address in enumerate(addresses):
        known.put(address, Known(tester.tenant_id, series, None, None))
    return known


async def forgets(known: Addresses, address: str) -> None:
    async with asyncio.timeout(30):
        while known.get(address) is not None:  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0.01)


async def heeded(tester: Tester, bus: Bus) -> None:
    """Returns when the house listens: a change is heard, or all was forgotten as it began to."""
    known = remembering(tester, "first")
    async with asyncio.timeout(30):
        while known.get("first") is not None:
            await bus.publish(changed(tester.tenant_id, ["first"]))
            await asyncio.sleep(0.01)


async def test_a_point_that_has_changed_is_forgotten_and_no_other(acme: Tester, rival: Tester) -> None:
    bus = acme.workplace.port(Bus)  # type: ignore[type-abstract]
    await heeded(acme, bus)
    addresses = [f"a/{number}" for number in range(ADDRESSES_PER_MESSAGE + 1)]
    mine, other = remembering(acme, *addresses, "b"), remembering(rival, *addresses)

    await bus.publish(changed(acme.tenant_id, addresses))

    for address in addresses:
        await forgets(mine, address)
    assert mine.get("b") is not None
    assert all(other.get(address) is not None for address in addresses)


async def test_a_process_that_may_have_missed_a_change_asks_for_all_again(
    acme: Tester, redis_line: tuple[Line, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "_PAUSE_S", 0.01)
    line, url = redis_line
    async with RedisBus(url, patience=QUICK) as bus:
        ports: dict[Any, Any] = {**acme.workplace._ports, Bus: bus}
        known = remembering(acme, "a")
        heeding = asyncio.create_task(points.heed_changes(Workplace(acme.workplace.engine, ports=ports)))
        await forgets(known, "a")  # as it begins to listen
        remembering(acme, "a")

        await line.cut()
        await line.mend()

        await forgets(known, "a")
        heeding.cancel()
        await asyncio.gather(heeding, return_exceptions=True)
