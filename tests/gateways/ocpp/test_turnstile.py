"""When all come at once."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import orjson
import pytest
from websockets.exceptions import InvalidStatus

from domain.errors import Unavailable
from gateways.ocpp import Admission, Limits
from gateways.ocpp.turnstile import Turnstile
from tests.gateways.ocpp.wire import GUARD_S, Csms, OpenGate, counted, start

pytestmark = pytest.mark.anyio

STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}


class SlowGate(OpenGate):
    """Which counts who stands in it, and holds them while it is shut."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = self.most = 0
        self.is_open = asyncio.Event()
        self.is_open.set()

    async def admit(self, *given: Any) -> Admission:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await asyncio.sleep(0.001)
        await self.is_open.wait()
        self.inside -= 1
        return await super().admit(*given)

    async def until_inside(self, count: int) -> None:
        async with asyncio.timeout(GUARD_S):
            while self.inside != count:  # noqa: ASYNC110 - no event of the server's is worth having for this
                await asyncio.sleep(0.01)


def slowed(csms: Csms) -> SlowGate:
    gate = SlowGate()
    csms.endpoint._gate = gate
    return gate


async def came(csms: Csms, identity: str) -> str:
    """The answer to its boot, or the status and whether it is told when to come back."""
    try:
        async with csms.station(identity, open_timeout=60) as station:
            boot = [2, "b", "BootNotification", {"chargePointModel": "M", "chargePointVendor": "V"}]
            return str(orjson.loads(await station.ask(boot))[2]["status"])
    except InvalidStatus as denial:
        after_s = int(denial.response.headers["Retry-After"])
        return f"{denial.response.status_code}, come back" if 10 <= after_s <= 30 else "at any time"


async def test_of_hundreds_who_come_at_once_a_few_are_dealt_with_at_a_time_and_all_get_in() -> None:
    limits = Limits(messages_per_s=None, handshakes_at_once=4, handshake_patience_s=60)
    async with Csms.running(limits=limits) as csms:
        gate = slowed(csms)
        answers = await asyncio.gather(*(came(csms, f"CP-{number}") for number in range(300)))
    assert answers == ["Accepted"] * 300
    assert gate.most == 4


async def test_those_who_are_too_many_are_told_to_come_back_and_those_who_wait_get_in() -> None:
    before = counted("voltgraph_ocpp_handshakes_turned_away_total", reason="full")
    limits = Limits(messages_per_s=None, handshakes_at_once=2, handshakes_waiting=50, handshake_patience_s=60)
    async with Csms.running(limits=limits) as csms:
        gate = slowed(csms)
        gate.is_open.clear()
        coming = [asyncio.create_task(came(csms, f"CP-{number}")) for number in range(200)]
        async with asyncio.timeout(60):
            while sum(task.done() for task in coming) < 148:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        gate.is_open.set()
        answers = await asyncio.gather(*coming)
    assert sorted(answers) == ["503, come back"] * 148 + ["Accepted"] * 52
    assert counted("voltgraph_ocpp_handshakes_turned_away_total", reason="full") - before == 148


async def test_who_waits_too_long_is_told_to_come_back() -> None:
    limits = Limits(messages_per_s=None, handshakes_at_once=1, handshake_patience_s=0.05)
    async with Csms.running(limits=limits) as csms:
        gate = slowed(csms)
        gate.is_open.clear()
        first = asyncio.create_task(came(csms, "CP-1"))
        await gate.until_inside(1)
        others = [await coming for coming in (came(csms, "CP-2"), came(csms, "CP-3"))]
        assert others == ["503, come back"] * 2
        gate.is_open.set()
        assert await first == "Accepted"
        assert await came(csms, "CP-4") == "Accepted"


async def test_who_has_gone_meanwhile_is_not_dealt_with() -> None:
    before = counted("voltgraph_ocpp_handshakes_turned_away_total", reason="gone")
    limits = Limits(messages_per_s=None, handshakes_at_once=1, handshake_patience_s=60)
    async with Csms.running(limits=limits) as csms:
        gate = slowed(csms)
        gate.is_open.clear()
        first = asyncio.create_task(came(csms, "CP-1"))
        await gate.until_inside(1)
        with pytest.raises(TimeoutError):
            async with csms.station("CP-2", open_timeout=1):
                pass
        async with asyncio.timeout(GUARD_S):
            while counted("voltgraph_ocpp_handshakes_turned_away_total", reason="gone") == before:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        gate.is_open.set()
        assert (await first, await came(csms, "CP-3")) == ("Accepted", "Accepted")
    assert [identity for _, identity, _, _ in gate.visits] == ["CP-1", "CP-3"]


async def test_whoever_charges_passes_beside_a_queue_without_end() -> None:
    limits = Limits(messages_per_s=None, handshakes_at_once=2, handshake_patience_s=60)
    async with AsyncExitStack() as stack:
        csms = await stack.enter_async_context(Csms.running(limits=limits))
        station = await stack.enter_async_context(csms.station("RUNNING"))
        gate = slowed(csms)
        gate.is_open.clear()
        coming = [asyncio.create_task(came(csms, f"CP-{number}")) for number in range(100)]
        await gate.until_inside(2)

        assert orjson.loads(await station.ask(start("s")))[:2] == [3, "s"]
        assert orjson.loads(await station.ask([2, "h", "Heartbeat", {}]))[:2] == [3, "h"]
        await station.say([2, "n", "StatusNotification", STATUS])
        gate.is_open.set()
        assert await station.hear() == '[3,"n",{}]', "a status waits, and is not lost"
        assert await asyncio.gather(*coming) == ["Accepted"] * 100


async def test_errands_of_those_inside_and_those_outside_take_turns() -> None:
    turnstile, order = Turnstile(at_once=1, waiting=10), []

    async def handshake(name: str) -> None:
        async with turnstile.handshake():
            order.append(name)

    async def errand(name: str) -> None:
        async with turnstile.message("BootNotification"):
            order.append(name)

    async with asyncio.TaskGroup() as group, turnstile.handshake():
        for step, name in ((handshake, "new 1"), (handshake, "new 2"), (errand, "boot 1"), (errand, "boot 2")):
            group.create_task(step(name))
            await asyncio.sleep(0)
    assert order == ["boot 1", "new 1", "boot 2", "new 2"]


async def test_who_gives_up_leaves_no_place_taken() -> None:
    turnstile = Turnstile(at_once=1, waiting=10)

    async def pass_through() -> None:
        async with turnstile.handshake():
            await asyncio.sleep(0)

    for steps in range(6):  # given up in the queue, just as the turn comes, and inside
        async with turnstile.handshake():
            impatient = asyncio.create_task(pass_through())
            await asyncio.sleep(0)
        for _ in range(steps):
            await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
        async with asyncio.timeout(GUARD_S):
            await pass_through()


async def test_where_nobody_may_wait_the_next_is_too_many() -> None:
    turnstile = Turnstile(at_once=1, waiting=0)
    async with turnstile.handshake():
        with pytest.raises(Unavailable):
            async with turnstile.handshake():
                pass
