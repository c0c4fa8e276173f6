"""Orders on a socket: on the wire or not, that is what decides whether they can be taken back and sent again."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from ocpp.v16 import call_result as result_v16

from domain.commands import CALLED_OFF, CommandKind, Miss, Outcome
from gateways.ocpp import Call, Carrier, Limits, Version, v16, v201
from tests.gateways.ocpp.test_socket import HEARTBEAT
from tests.gateways.ocpp.wire import Csms, Station

pytestmark = pytest.mark.anyio


class Desk:
    """One station's socket, and the orders for it."""

    def __init__(self, csms: Csms, station: Station) -> None:
        self.csms, self.station = csms, station
        self.carrier = Carrier()

    def ordered(
        self,
        kind: CommandKind = CommandKind.RESET,
        *,
        timeout_s: float = 30,
        send_within_s: float | None = None,
        id: UUID | None = None,
        **arguments: Any,
    ) -> "asyncio.Task[Outcome]":
        carrying = self.carrier.carry_out(
            self.csms.socket(),
            v16,
            command_id=id or uuid4(),
            kind=kind,
            arguments=arguments or {"type": "SOFT"},
            timeout_s=timeout_s,
            send_within_s=send_within_s,
        )
        return asyncio.create_task(carrying)


@pytest.fixture
async def desk(anyio_backend: str) -> AsyncIterator[Desk]:
    async with Csms.running(limits=Limits(outbox_calls=2)) as csms, csms.station() as station:
        await station.ask(HEARTBEAT)
        yield Desk(csms, station)


async def test_silence_after_the_wire_is_no_answer(desk: Desk) -> None:
    outcome = await desk.ordered(timeout_s=0.1)

    assert outcome == Outcome("TIMEOUT", None, "the station did not answer within 0.1 s", Miss.UNANSWERED)


async def test_what_waits_behind_another_until_its_deadline_was_not_heard(desk: Desk) -> None:
    desk.ordered()
    await desk.station.called()

    outcome = await desk.ordered(timeout_s=0.1)

    assert (outcome.status, outcome.miss) == ("TIMEOUT", Miss.UNHEARD)


async def test_what_comes_to_its_turn_too_late_is_not_sent(desk: Desk) -> None:
    first = desk.ordered()
    message_id, _, _ = await desk.station.called()
    late = desk.ordered(send_within_s=0.05)
    await asyncio.sleep(0.1)
    await desk.station.say([3, message_id, {"status": "Accepted"}])

    assert (await first).status == "ACCEPTED"
    assert ((await late).status, (await late).miss) == ("TIMEOUT", Miss.UNHEARD)
    assert (await desk.station.ask(HEARTBEAT.replace("h1", "h2"))).startswith('[3,"h2"')


async def test_a_lost_connection_tells_what_was_heard_and_what_was_not(desk: Desk) -> None:
    on_wire = desk.ordered()
    await desk.station.called()
    behind = desk.ordered()
    await asyncio.sleep(0)
    await desk.station.drop()

    assert await on_wire == Outcome("FAILED", None, "the station's connection was lost", Miss.UNANSWERED)
    assert await behind == Outcome("FAILED", None, "the station's connection was lost", Miss.UNHEARD)


async def test_an_order_is_taken_back_until_it_is_on_the_wire(desk: Desk) -> None:
    first, second = uuid4(), uuid4()
    on_wire = desk.ordered(id=first)
    message_id, _, _ = await desk.station.called()
    behind = desk.ordered(id=second)
    await asyncio.sleep(0.05)

    assert not desk.carrier.recall(first)
    assert desk.carrier.recall(second)
    assert not desk.carrier.recall(uuid4())

    assert await behind == CALLED_OFF
    await desk.station.say([3, message_id, {"status": "Accepted"}])
    assert (await on_wire).status == "ACCEPTED"
    assert not desk.carrier.recall(first), "it is over"
    assert (await desk.station.ask(HEARTBEAT.replace("h1", "h2"))).startswith('[3,"h2"')


async def test_too_many_for_one_station_were_not_heard_and_those_given_up_keep_no_room(desk: Desk) -> None:
    desk.ordered()
    await desk.station.called()
    for _ in range(3):
        given_up = [desk.ordered(timeout_s=0.05) for _ in range(2)]
        assert [(await one).miss for one in given_up] == [Miss.UNHEARD] * 2
    waiting = [desk.ordered() for _ in range(2)]
    await asyncio.sleep(0.05)

    outcome = await desk.ordered()

    assert (outcome.status, outcome.miss) == ("FAILED", Miss.UNHEARD)
    for one in waiting:
        one.cancel()


async def test_orders_go_by_the_priority_of_their_kind(desk: Desk) -> None:
    first = desk.ordered()
    message_id, _, _ = await desk.station.called()
    reading = desk.ordered(CommandKind.GET_CONFIGURATION, keys=[])
    stopping = desk.ordered(CommandKind.REMOTE_STOP, transaction_id="1")
    await asyncio.sleep(0.05)

    actions = []
    for _ in range(2):
        await desk.station.say([3, message_id, {"status": "Accepted"}])
        message_id, action, _ = await desk.station.called()
        actions.append(action)
    await desk.station.say([3, message_id, {}])

    assert actions == ["RemoteStopTransaction", "GetConfiguration"]
    assert [(await one).miss for one in (first, reading, stopping)] == [None] * 3


async def test_a_socket_has_caught_up_when_what_it_heard_is_answered(desk: Desk) -> None:
    """So that an order goes out behind the answer to a boot."""
    heard, may_answer = asyncio.Event(), asyncio.Event()

    async def slowly(call: Call, _m: Any) -> Any:
        heard.set()
        await may_answer.wait()
        return result_v16.BootNotification(current_time=call.received_at, interval=300, status="Accepted")

    desk.csms.on("BootNotification", slowly)
    await desk.station.say([2, "b1", "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"}])
    await heard.wait()
    catching_up = asyncio.create_task(desk.csms.socket().caught_up())
    await asyncio.sleep(0.05)
    assert not catching_up.done()

    may_answer.set()
    await catching_up
    order = desk.ordered()

    assert (await desk.station.hear()).startswith('[3,"b1"')
    assert (await desk.station.called())[1] == "Reset"
    order.cancel()


async def test_an_order_of_several_messages_was_heard_when_one_of_them_was(anyio_backend: str) -> None:
    variables = [{"component": "OCPPCommCtrlr", "variable": f"V{number}"} for number in range(2)]
    async with Csms.running() as csms, csms.station(version=Version.V201) as station:
        await station.ask(HEARTBEAT)
        carrying = Carrier().carry_out(
            csms.socket(),
            v201,
            command_id=uuid4(),
            kind=CommandKind.GET_VARIABLES,
            arguments={"variables": variables, "items_per_message": 1},
            timeout_s=30,
            send_within_s=0.2,
        )
        order = asyncio.create_task(carrying)
        message_id, _, _ = await station.called()
        await asyncio.sleep(0.3)
        told = {"attributeStatus": "Accepted", "component": {"name": "A"}, "variable": {"name": "B"}}
        await station.say([3, message_id, {"getVariableResult": [told]}])

        outcome = await order
        assert (outcome.status, outcome.miss) == ("TIMEOUT", Miss.UNANSWERED)
        assert outcome.error is not None
        assert outcome.error.endswith("; 1 of 2 messages were answered")
        assert [one["variable"] for one in (outcome.result or {})["variables"]] == ["B"], "what was answered is shown"
        assert (await station.ask(HEARTBEAT.replace("h1", "h2"))).startswith('[3,"h2"'), "the rest came too late"


async def test_of_an_order_of_several_messages_what_was_answered_is_kept_where_another_is_refused(
    anyio_backend: str,
) -> None:
    variables = [{"component": "C", "variable": f"V{number}", "value": "1"} for number in range(2)]
    async with Csms.running() as csms, csms.station(version=Version.V201) as station:
        await station.ask(HEARTBEAT)
        how: dict[str, Any] = {"kind": CommandKind.SET_VARIABLES, "command_id": uuid4(), "timeout_s": 30}
        arguments = {"variables": variables, "items_per_message": 1}
        order = asyncio.create_task(Carrier().carry_out(csms.socket(), v201, arguments=arguments, **how))
        message_id, _, _ = await station.called()
        told = {"attributeStatus": "Accepted", "component": {"name": "C"}, "variable": {"name": "V0"}}
        await station.say([3, message_id, {"setVariableResult": [told]}])
        message_id, _, _ = await station.called()
        await station.say([4, message_id, "InternalError", "", {}])

        outcome = await order

    assert (outcome.status, outcome.miss) == ("FAILED", None)
    result = outcome.result or {}
    assert result["error_code"] == "InternalError"
    assert [(one["variable"], one["status"]) for one in result["variables"]] == [("V0", "Accepted")]
