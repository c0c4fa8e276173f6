"""One station's conversation, byte for byte, on a real server."""

import asyncio
from typing import Any

import orjson
import pytest
from ocpp.v16 import call as v16
from ocpp.v16 import call_result as result_v16
from ocpp.v21 import call as v21
from websockets.exceptions import ConnectionClosed

from domain.errors import (
    Conflict,
    DomainError,
    Forbidden,
    Invalid,
    LimitExceeded,
    NotFound,
    TimedOut,
    Unavailable,
)
from gateways.ocpp import Call, Code, Fault, Limits, Priority, ProcessMemory, Refused, Version
from tests.gateways.ocpp.wire import GUARD_S, NOW, NOW_TEXT, TENANT, Csms, counted, start, station_id

pytestmark = pytest.mark.anyio

HEARTBEAT = '[2,"h1","Heartbeat",{}]'
QUICK = Limits(messages_per_s=None, retry_delays_s=(0.01, 0.01), close_grace_s=5.0)


class Latch:
    """A handler that has begun, and goes on when it is let."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.ended = asyncio.Event()
        self.count = 0

    async def __call__(self, _call: Call, _message: Any) -> Any:
        self.count += 1
        self.begun.set()
        await self.go_on.wait()
        self.ended.set()
        return self.answer


async def within(event: asyncio.Event) -> None:
    async with asyncio.timeout(GUARD_S):
        await event.wait()


async def until_sockets(csms: Csms, count: int) -> None:
    async with asyncio.timeout(GUARD_S):
        while len(csms.endpoint.sockets) != count:  # noqa: ASYNC110 - no event of the server's is worth having for this
            await asyncio.sleep(0.01)


def begun(number: int) -> result_v16.StartTransaction:
    return result_v16.StartTransaction(transaction_id=number, id_tag_info={"status": "Accepted"})


# --- answers -----------------------------------------------------------------------------------------------------


async def test_a_call_is_answered_with_compact_json_and_times_in_utc(csms: Csms) -> None:
    async with csms.station() as station:
        boot = [2, "b", "BootNotification", {"chargePointModel": "M", "chargePointVendor": "V"}]
        assert await station.ask(boot) == (f'[3,"b",{{"currentTime":"{NOW_TEXT}","interval":300,"status":"Accepted"}}]')
        assert await station.ask(start("s", idTag="DEMO")) == (
            '[3,"s",{"transactionId":1,"idTagInfo":{"status":"Accepted"}}]'
        )
    assert csms.handled[-1][1] == v16.StartTransaction(
        connector_id=1, id_tag="DEMO", meter_start=0, timestamp="2026-11-21T08:00:00Z"
    )


@pytest.mark.parametrize(
    ("version", "unknown", "unhandled"),
    [
        (Version.V16, "NotImplemented", "NotSupported"),
        (Version.V201, "NotImplemented", "NotSupported"),
        (Version.V21, "NotImplemented", "NotSupported"),
    ],
)
async def test_unknown_actions_are_not_implemented_and_unhandled_ones_not_supported(
    version: Version, unknown: str, unhandled: str
) -> None:
    async with Csms.running(versions=(version,)) as csms, csms.station(version=version) as station:
        assert await station.ask('[2,"1","NoSuchAction",{}]') == (
            f'[4,"1","{unknown}","NoSuchAction is not known to OCPP {version.number}",{{}}]'
        )
        assert await station.ask('[2,"2","Reset",{"type":"Soft"}]') == (
            f'[4,"2","{unhandled}","Reset is not supported",{{}}]'
        )
        assert await station.ask('[2,"3","heartbeat",{}]') == (
            f'[4,"3","{unknown}","heartbeat is not known to OCPP {version.number}",{{}}]'
        )


async def test_a_message_that_cannot_be_used_is_refused_in_the_words_of_its_version(csms: Csms) -> None:
    async with csms.station() as station:
        answer = orjson.loads(await station.ask('[2,"1","StatusNotification",{"connectorId":1,"status":"Available"}]'))
        assert answer == [
            4, "1", "OccurenceConstraintViolation", 'StatusNotification: "errorCode" is a required property', {}
        ]  # fmt: skip
    async with csms.station("CP-2", Version.V201) as station:
        answer = orjson.loads(await station.ask('[2,"1","TransactionEvent",{"eventType":"Started"}]'))
        assert answer[:3] == [4, "1", "OccurrenceConstraintViolation"]
        assert await station.ask("}{") == '[4,"-1","RpcFrameworkError","the message is not JSON",{}]'
    assert csms.handled == []


async def test_1_6_answers_nothing_to_what_is_no_frame_and_goes_on(csms: Csms) -> None:
    async with csms.station() as station:
        await station.say("}{not json at all!!", "[]", "", '[99,"1","Foo",{}]', '[3,"nobody",{}]', HEARTBEAT)
        assert await station.hear() == f'[3,"h1",{{"currentTime":"{NOW_TEXT}"}}]'


async def test_binary_messages_are_read_as_the_text_they_hold(csms: Csms) -> None:
    async with csms.station() as station:
        assert await station.ask(HEARTBEAT.encode()) == f'[3,"h1",{{"currentTime":"{NOW_TEXT}"}}]'


async def test_a_numeric_id_is_refused_where_nothing_is_lost_and_forgiven_where_something_is(csms: Csms) -> None:
    async with csms.station() as station:
        assert await station.ask([2, 12345, "Heartbeat", {}]) == (
            '[4,12345,"ProtocolError","the message id is not a string",{}]'
        )
        assert orjson.loads(await station.ask(start(12346)))[:2] == [3, 12346]
        assert await station.ask([2, 12347, "Heartbeat", {}]) == f'[3,12347,{{"currentTime":"{NOW_TEXT}"}}]'


async def test_deviations_are_counted_and_the_message_is_kept(csms: Csms) -> None:
    labels = {"version": "1.6", "action": "StartTransaction", "kind": "type"}
    before = counted("voltgraph_ocpp_deviations_total", **labels)
    async with csms.station() as station:
        assert orjson.loads(await station.ask(start("1", meter_start="5.5", acme={"x": 1})))[0] == 3
    assert csms.handled[0][1].meter_start == 6
    assert counted("voltgraph_ocpp_deviations_total", **labels) - before == 1


async def test_the_raw_payload_has_what_the_dataclass_has_not(csms: Csms) -> None:
    seen: list[Call] = []

    async def status(call: Call, _m: Any) -> Any:
        seen.append(call)

    csms.on("StatusNotification", status)
    payload = {"connectorId": 1, "errorCode": "NoError", "status": "Available", "acmeKey": {"FooBar": None}}
    async with csms.station() as station:
        assert await station.ask([2, "1", "StatusNotification", payload]) == '[3,"1",{}]'
    (call,) = seen
    assert call.raw == payload
    assert (call.identity, call.tenant_id, call.station_id) == ("CP-1", TENANT, station_id("CP-1"))
    assert (call.version, call.action, call.message_id, call.received_at) == (
        Version.V16, "StatusNotification", "1", NOW
    )  # fmt: skip
    assert call.actor.name == "CP-1"


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (Invalid("wrong"), '[4,"1","PropertyConstraintViolation","wrong",{}]'),
        (NotFound("gone"), '[4,"1","PropertyConstraintViolation","gone",{}]'),
        (Forbidden("never"), '[4,"1","SecurityError","never",{}]'),
        (Conflict("later"), '[4,"1","GenericError","later",{}]'),
        (Unavailable("away"), '[4,"1","InternalError","away",{}]'),
        (TimedOut("slow"), '[4,"1","InternalError","slow",{}]'),
        (DomainError("odd"), '[4,"1","InternalError","odd",{}]'),
        (Fault(Code.FORMAT_VIOLATION, "mine", a=1), '[4,"1","FormationViolation","mine",{"a":1}]'),
    ],
)
async def test_what_a_handler_raises_is_told_in_the_words_of_the_standard(error: Exception, answer: str) -> None:
    async def status(_call: Call, _m: Any) -> Any:
        raise error

    async with Csms.running(limits=QUICK) as csms, csms.station() as station:
        csms.on("Heartbeat", status)
        assert await station.ask('[2,"1","Heartbeat",{}]') == answer


async def test_an_unexpected_error_is_told_by_an_id_alone_and_the_next_message_is_handled(csms: Csms) -> None:
    async def broken(_call: Call, _m: Any) -> Any:
        raise KeyError("secret")

    csms.on("StatusNotification", broken)
    async with csms.station() as station:
        payload = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
        kind, message_id, code, description, details = orjson.loads(
            await station.ask([2, "1", "StatusNotification", payload])
        )
        assert (kind, message_id, code) == (4, "1", "InternalError")
        assert description == f"internal error {details['errorId']}"
        assert orjson.loads(await station.ask(HEARTBEAT))[0] == 3


async def test_an_answer_of_ours_that_breaks_the_schema_is_counted_and_sent(csms: Csms) -> None:
    async def begin(_call: Call, _m: Any) -> Any:
        return result_v16.StartTransaction(transaction_id=1, id_tag_info={"status": "Perhaps"})

    csms.on("StartTransaction", begin)
    labels = {"version": "1.6", "action": "StartTransaction"}
    before = counted("voltgraph_ocpp_invalid_answers_total", **labels)
    async with csms.station() as station:
        assert await station.ask(start("1")) == '[3,"1",{"transactionId":1,"idTagInfo":{"status":"Perhaps"}}]'
    assert counted("voltgraph_ocpp_invalid_answers_total", **labels) - before == 1


async def test_sends_of_2_1_are_handled_and_never_answered() -> None:
    async with Csms.running(versions=(Version.V21,)) as csms, csms.station(version=Version.V21) as station:
        stream = {"id": 1, "pending": 0, "basetime": "2026-11-21T08:00:00Z", "data": [{"t": 1, "v": "2"}]}
        await station.say([6, "s1", "NotifyPeriodicEventStream", stream], [6, "s2", "NotifyPeriodicEventStream", {}])
        assert orjson.loads(await station.ask(HEARTBEAT))[:2] == [3, "h1"]
        assert csms.actions() == ["NotifyPeriodicEventStream", "Heartbeat"]


async def test_a_message_of_2_1_that_is_only_ever_sent_is_answered_when_it_is_called() -> None:
    async with Csms.running(versions=(Version.V21,)) as csms, csms.station(version=Version.V21) as station:
        stream = {"id": 1, "pending": 0, "basetime": "2026-11-21T08:00:00Z", "data": [{"t": 1, "v": "2"}]}
        assert await station.ask([2, "c1", "NotifyPeriodicEventStream", stream]) == '[3,"c1",{}]'


async def test_2_1_hears_what_a_station_could_not_use_and_goes_on() -> None:
    labels = {"direction": "received", "code": "FormatViolation"}
    before = counted("voltgraph_ocpp_result_errors_total", **labels)
    odd = counted("voltgraph_ocpp_result_errors_total", direction="received", code="unknown")
    async with Csms.running(versions=(Version.V21,)) as csms, csms.station(version=Version.V21) as station:
        answer = orjson.loads(await station.ask(HEARTBEAT))
        await station.say([5, answer[1], "FormatViolation", "no such time", {"currentTime": answer[2]["currentTime"]}])
        await station.say([5, "nobody"], [5, "x", "Invented", None, "text"], [5])
        assert orjson.loads(await station.ask(HEARTBEAT.replace("h1", "h2")))[:2] == [3, "h2"]
    assert counted("voltgraph_ocpp_result_errors_total", **labels) - before == 1
    assert counted("voltgraph_ocpp_result_errors_total", direction="received", code="unknown") - odd == 1


@pytest.mark.parametrize(
    ("answer", "objection"),
    [
        ({}, '"OccurrenceConstraintViolation","ClearCache: \\"status\\" is a required property",{}]'),
        ("yes", '"FormatViolation","it is not a JSON object",{}]'),
    ],
)
async def test_2_1_tells_a_station_that_its_answer_cannot_be_used(answer: Any, objection: str) -> None:
    async with Csms.running(versions=(Version.V21,)) as csms, csms.station(version=Version.V21) as station:
        await station.ask(HEARTBEAT)
        calling = asyncio.create_task(csms.socket().call(v21.ClearCache()))
        message_id, _, _ = await station.called()
        assert await station.ask([3, message_id, answer]) == f'[5,"{message_id}",{objection}'
        with pytest.raises(Refused):
            await calling
        assert orjson.loads(await station.ask(HEARTBEAT))[:2] == [3, "h1"]


# --- order -------------------------------------------------------------------------------------------------------


async def test_messages_that_come_at_once_are_handled_one_at_a_time_in_order() -> None:
    running, most = 0, 0

    async def slow(_call: Call, _m: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return begun(1)

    limits = Limits(messages_per_s=None, inbox_messages=4)  # far fewer than come: they wait, none is dropped
    async with Csms.running(limits=limits) as csms, csms.station() as station:
        csms.on("StartTransaction", slow)
        await station.say(*(start(f"m{number}", meter_start=number) for number in range(60)))
        answers = [orjson.loads(await station.hear()) for _ in range(60)]
        assert [answer[1] for answer in answers] == [f"m{number}" for number in range(60)]
        assert [message.meter_start for _, message in csms.handled] == list(range(60))
        assert most == 1


async def test_a_station_that_is_too_fast_waits_and_loses_nothing() -> None:
    limits = Limits(messages_per_s=500.0, burst_messages=5)
    async with Csms.running(limits=limits) as csms, csms.station() as station:
        await station.say(*(start(f"m{number}", meter_start=number) for number in range(25)))
        answers = [orjson.loads(await station.hear())[:2] for _ in range(25)]
        assert answers == [[3, f"m{number}"] for number in range(25)]


async def test_a_charge_waits_for_no_chatter_of_its_station_and_order_is_kept() -> None:
    """At the pace of the chatter it would take minutes."""
    limits = Limits(messages_per_s=0.1, burst_messages=1, inbox_messages=64)
    async with Csms.running(limits=limits) as csms, csms.station() as station:
        await station.say(*([2, f"h{number}", "Heartbeat", {}] for number in range(40)), start("s"))
        heard = [orjson.loads(await station.hear())[1] for _ in range(41)]
        assert heard == [*(f"h{number}" for number in range(40)), "s"]
        await station.say([2, "later", "Heartbeat", {}])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await station.connection.recv()


async def test_a_flood_delays_a_charge_by_what_stands_before_it_alone() -> None:
    limits = Limits(messages_per_s=400.0, burst_messages=1, inbox_messages=4)
    async with Csms.running(limits=limits) as csms, csms.station() as station:
        flood = [[2, f"h{number}", "Heartbeat", {}] for number in range(200)]
        await station.say(*flood[:100], start("s1"), *flood[100:], start("s2", meter_start=7))
        answers = [orjson.loads(await station.hear()) for _ in range(202)]
        assert [answer[0] for answer in answers] == [3] * 202
        assert (answers[100][1], answers[201][1]) == ("s1", "s2")


# --- repeats -----------------------------------------------------------------------------------------------------


async def test_an_exact_repeat_gets_the_same_bytes_and_happens_once(csms: Csms) -> None:
    async with csms.station() as station:
        first = await station.ask(start("s1"))
        reordered = f'[2,"s1","StartTransaction",{orjson.dumps(dict(reversed(start("s1")[3].items()))).decode()}]'
        assert [await station.ask(start("s1")), await station.ask(reordered)] == [first, first]
        assert csms.actions() == ["StartTransaction"]


async def test_any_message_repeated_at_once_happens_once(csms: Csms) -> None:
    status = [2, "1", "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}]
    async with csms.station() as station:
        assert await station.ask(status) == await station.ask(status) == '[3,"1",{}]'
        assert await station.ask(HEARTBEAT) == await station.ask(HEARTBEAT)
    assert csms.actions() == ["StatusNotification", "Heartbeat"]


async def test_a_repeat_waits_for_the_answer_to_the_first(csms: Csms) -> None:
    latch = Latch(begun(9))
    csms.on("StartTransaction", latch)
    async with csms.station() as station:
        await station.say(start("s1"))
        await within(latch.begun)
        await station.say(start("s1"))
        latch.go_on.set()
        assert (
            await station.hear()
            == await station.hear()
            == ('[3,"s1",{"transactionId":9,"idTagInfo":{"status":"Accepted"}}]')
        )
        assert latch.count == 1


async def test_a_repeat_on_the_next_socket_waits_for_the_answer_that_the_first_could_not_get(csms: Csms) -> None:
    latch = Latch(begun(9))
    csms.on("StartTransaction", latch)
    async with csms.station() as station:
        await station.say(start("s1"))
        await within(latch.begun)
        await station.drop()
    async with csms.station() as station:
        await station.say(start("s1"))
        await until_sockets(csms, 1)
        latch.go_on.set()
        assert await station.hear() == '[3,"s1",{"transactionId":9,"idTagInfo":{"status":"Accepted"}}]'
        assert latch.count == 1


async def test_a_used_id_with_another_payload_is_a_mistake_but_never_costs_a_transaction(csms: Csms) -> None:
    status = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
    async with csms.station() as station:
        await station.ask([2, "1", "StatusNotification", status])
        assert await station.ask([2, "1", "StatusNotification", status | {"status": "Faulted"}]) == (
            '[4,"1","GenericError","the message id was used before with another payload",{}]'
        )
        assert orjson.loads(await station.ask(start("1")))[0] == 3
        assert orjson.loads(await station.ask(start("1", meter_start=7)))[0] == 3
    assert csms.actions() == ["StatusNotification", "StartTransaction", "StartTransaction"]


async def test_2_x_calls_a_used_id_a_framework_error(csms: Csms) -> None:
    status = {"timestamp": "2026-11-21T08:00:00Z", "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
    async with csms.station(version=Version.V201) as station:
        assert await station.ask([2, "1", "StatusNotification", status]) == '[3,"1",{}]'
        answer = orjson.loads(await station.ask([2, "1", "StatusNotification", status | {"evseId": 2}]))
        assert answer[:3] == [4, "1", "RpcFrameworkError"]


async def test_a_charger_that_numbers_its_messages_anew_after_a_boot_is_heard_anew(csms: Csms) -> None:
    """Ids from 1 after every reconnect: the same words are new questions, but a charge is still the same charge."""
    boot = [2, "1", "BootNotification", {"chargePointModel": "M", "chargePointVendor": "V"}]
    for _ in range(2):
        async with csms.station() as station:
            await station.ask(boot)
            await station.ask([2, "2", "Heartbeat", {}])
            assert orjson.loads(await station.ask(start("3"))) == [
                3, "3", {"transactionId": 1, "idTagInfo": {"status": "Accepted"}}
            ]  # fmt: skip
    async with csms.station() as station:
        await station.ask(boot)
        assert orjson.loads(await station.ask(start("3", meter_start=500)))[2]["transactionId"] == 2
    assert csms.actions() == [
        *("BootNotification", "Heartbeat", "StartTransaction"),
        *("BootNotification", "Heartbeat"),
        *("BootNotification", "StartTransaction"),
    ]


async def test_a_boot_begins_the_numbering_of_messages_anew(csms: Csms) -> None:
    status = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
    async with csms.station() as station:
        await station.ask([2, "2", "StatusNotification", status])
        await station.ask([2, "1", "BootNotification", {"chargePointModel": "M", "chargePointVendor": "V"}])
        assert await station.ask([2, "2", "StatusNotification", status | {"status": "Faulted"}]) == '[3,"2",{}]'


async def test_an_error_is_not_remembered_so_that_a_retry_has_a_chance(csms: Csms) -> None:
    tries = iter([Conflict("not yet"), None])

    async def begin(_call: Call, _m: Any) -> Any:
        error = next(tries)
        if error is not None:
            raise error
        return begun(5)

    csms.on("StartTransaction", begin)
    async with csms.station() as station:
        assert await station.ask(start("1")) == '[4,"1","GenericError","not yet",{}]'
        assert orjson.loads(await station.ask(start("1")))[2]["transactionId"] == 5


async def test_a_memory_that_is_away_costs_no_answer() -> None:
    class Away(ProcessMemory):
        async def recall(self, *_args: Any, **_more: Any) -> None:
            raise Unavailable("Redis is away")

        async def remember(self, *_args: Any) -> None:
            raise Unavailable("Redis is away")

    async with Csms.running(answers=Away()) as csms, csms.station() as station:
        assert orjson.loads(await station.ask(start("1")))[0] == 3


@pytest.mark.parametrize(("age_s", "elsewhere"), [(60.0, True), (-3_600.0, False)])
async def test_only_who_came_lately_may_have_been_answered_elsewhere(age_s: float, elsewhere: bool) -> None:
    asked: list[bool] = []

    class Asked(ProcessMemory):
        async def recall(self, *_args: Any, elsewhere: bool) -> None:
            asked.append(elsewhere)

    async with Csms.running(answers=Asked(age_s=age_s)) as csms, csms.station() as station:
        await station.ask(HEARTBEAT)
        await station.ask(start("1"))
    assert asked == [elsewhere], "a heartbeat is looked up nowhere"


# --- nothing is lost ---------------------------------------------------------------------------------------------


async def test_a_stop_is_recorded_though_the_charger_is_gone(csms: Csms) -> None:
    latch = Latch(begun(1))
    csms.on("StartTransaction", latch)
    async with csms.station() as station:
        await station.say(start("1"), start("2", meter_start=1), start("3", meter_start=2))
        await within(latch.begun)
        await station.drop()
    latch.go_on.set()
    await csms.diary.until("CP-1 disconnected")
    assert [message.meter_start for _, message in csms.handled] == [0, 1, 2]


async def test_what_a_charge_is_made_of_is_tried_again_while_something_is_unavailable() -> None:
    tries = iter([Unavailable("a"), Unavailable("b"), None])

    async def begin(_call: Call, _m: Any) -> Any:
        error = next(tries)
        if error is not None:
            raise error
        return begun(5)

    async with Csms.running(limits=QUICK) as csms, csms.station() as station:
        csms.on("StartTransaction", begin)
        assert orjson.loads(await station.ask(start("1")))[2]["transactionId"] == 5


async def test_what_shows_is_tried_again_too_for_nobody_says_it_twice() -> None:
    tries = iter([Unavailable("a"), Unavailable("b"), None])

    async def status(_call: Call, _m: Any) -> Any:
        error = next(tries)
        if error is not None:
            raise error

    async with Csms.running(limits=QUICK) as csms, csms.station() as station:
        csms.on("StatusNotification", status)
        payload = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
        assert orjson.loads(await station.ask([2, "1", "StatusNotification", payload])) == [3, "1", {}]


async def test_a_handler_that_never_ends_is_ended_and_the_next_message_is_handled() -> None:
    async with Csms.running(limits=Limits(messages_per_s=None, handle_timeout_s=0.05)) as csms:
        csms.on("StatusNotification", Latch(None))
        async with csms.station() as station:
            payload = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
            answer = orjson.loads(await station.ask([2, "1", "StatusNotification", payload]))
            assert answer[:3] == [4, "1", "InternalError"]
            assert orjson.loads(await station.ask(HEARTBEAT))[0] == 3


async def test_a_graceful_close_answers_what_is_in_flight_first(csms: Csms) -> None:
    latch = Latch(begun(3))
    csms.on("StartTransaction", latch)
    async with csms.station() as station:
        await station.say(start("1"), HEARTBEAT)
        await within(latch.begun)
        socket = csms.socket()
        closing = asyncio.create_task(socket.close(1012, "the server restarts"))
        await until_sockets(csms, 0)
        await station.say(start("late"))
        async with asyncio.timeout(GUARD_S):
            while csms.diary.seen_count < 3:  # noqa: ASYNC110 - until it has arrived
                await asyncio.sleep(0.01)
        latch.go_on.set()
        assert orjson.loads(await station.hear())[:2] == [3, "1"]
        assert orjson.loads(await station.hear())[:2] == [3, "h1"], "and nothing that came after"
        assert await station.closed() == (1012, "the server restarts")
        await closing
    assert not socket.open


# --- ends --------------------------------------------------------------------------------------------------------


async def test_silence_ends_the_socket() -> None:
    limits = Limits(messages_per_s=None, heartbeat_interval_s=0.02, idle_grace_s=0.05)
    async with Csms.running(limits=limits) as csms, csms.station() as station:
        assert (await station.called())[1:] == ("TriggerMessage", {"requestedMessage": "Heartbeat"})
        assert await station.closed() == (1001, "no message for too long")
    await csms.diary.until("CP-1 disconnected")


async def test_the_interval_that_a_boot_answers_is_what_silence_is_measured_by() -> None:
    async def boot(call: Call, _m: Any) -> Any:
        call.socket.heartbeat_interval_s = 0.01
        return result_v16.BootNotification(current_time=NOW, interval=1, status="Accepted")

    async with Csms.running(limits=Limits(idle_grace_s=0.05)) as csms, csms.station() as station:
        csms.on("BootNotification", boot)
        await station.ask([2, "b", "BootNotification", {"chargePointModel": "M", "chargePointVendor": "V"}])
        assert (await station.called())[1] == "TriggerMessage"
        assert await station.closed() == (1001, "no message for too long")


@pytest.mark.parametrize("version", Version)
async def test_a_station_that_says_nothing_on_its_own_lives_as_long_as_it_answers(version: Version) -> None:
    limits = Limits(messages_per_s=None, heartbeat_interval_s=0.02, idle_grace_s=GUARD_S)
    async with Csms.running(versions=(version,), limits=limits) as csms, csms.station(version=version) as station:
        for answer in ([3, {"status": "Accepted"}], [4, "NotImplemented", "", {}], [4, "NotSupported", "", {}]):
            message_id, action, payload = await station.called()
            assert (action, payload) == ("TriggerMessage", {"requestedMessage": "Heartbeat"})
            await station.say([answer[0], message_id, *answer[1:]])
        message_id, _, _ = await station.called()
        assert len(csms.endpoint.sockets) == 1


@pytest.mark.parametrize("filling", ["x", "€"])
async def test_a_message_beyond_the_limit_closes_the_socket(csms: Csms, filling: str) -> None:
    async with csms.station() as station:
        await station.say([2, "1", "DataTransfer", {"data": filling * (200_000 // len(filling.encode()))}])
        assert await station.closed() == (1009, "message too big")


async def test_a_message_within_the_limit_is_handled(csms: Csms) -> None:
    async with csms.station() as station:
        values = [{"timestamp": "2026-11-21T08:00:00Z", "sampledValue": [{"value": "1"}] * 6_000}]
        assert await station.ask([2, "1", "MeterValues", {"connectorId": 1, "meterValue": values}]) == '[3,"1",{}]'


# --- calls -------------------------------------------------------------------------------------------------------


async def test_a_station_is_called_and_its_answer_understood(csms: Csms) -> None:
    async with csms.station() as station:
        await station.ask(HEARTBEAT)
        sent: list[str] = []
        calling = asyncio.create_task(
            csms.socket().call(
                v16.ChangeAvailability(connector_id=0, type="Inoperative"), on_sent=lambda: sent.append("x")
            )
        )
        message_id, action, payload = await station.called()
        assert (action, payload, len(message_id)) == (
            "ChangeAvailability",
            {"connectorId": 0, "type": "Inoperative"},
            36,
        )
        assert sent == ["x"]
        await station.say([3, message_id, {"status": "Scheduled"}])
        assert await calling == result_v16.ChangeAvailability(status="Scheduled")


async def test_one_call_is_outstanding_and_stopping_comes_before_the_rest(csms: Csms) -> None:
    async with csms.station() as station:
        await station.ask(HEARTBEAT)
        line = csms.socket()
        tasks = [asyncio.create_task(line.call(v16.ClearCache()))]
        message_id, _, _ = await station.called()
        requests = [
            v16.GetDiagnostics(location="ftp://x"),
            v16.GetLocalListVersion(),
            v16.RemoteStartTransaction(id_tag="DEMO"),
            v16.RemoteStopTransaction(transaction_id=1),
        ]
        tasks += [asyncio.create_task(line.call(request)) for request in requests]
        tasks += [asyncio.create_task(line.call(v16.GetConfiguration(), priority=Priority.STOP))]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await station.hear()
        order = []
        for _ in [*requests, v16.GetConfiguration()]:
            await station.say([3, message_id, {"status": "Accepted", "listVersion": 0}])
            message_id, action, _ = await station.called()
            order.append(action)
        await station.say([3, message_id, {}])
        await asyncio.gather(*tasks)
        assert order == [
            "RemoteStopTransaction",
            "GetConfiguration",
            "RemoteStartTransaction",
            "GetLocalListVersion",
            "GetDiagnostics",
        ]


async def test_a_deadline_frees_the_place_and_a_late_answer_is_dropped(csms: Csms) -> None:
    async with csms.station() as station:
        await station.ask(HEARTBEAT)
        with pytest.raises(TimedOut, match="Reset"):
            await csms.socket().call(v16.Reset(type="Soft"), deadline_s=0.05)
        late_id, action, _ = await station.called()
        assert action == "Reset"
        calling = asyncio.create_task(csms.socket().call(v16.ClearCache()))
        message_id, action, _ = await station.called()
        assert action == "ClearCache"
        await station.say([3, late_id, {"status": "Accepted"}], [3, message_id, {"status": "Rejected"}])
        assert await calling == result_v16.ClearCache(status="Rejected")


async def test_a_call_that_waited_too_long_is_never_sent(csms: Csms) -> None:
    async with csms.station() as station:
        await station.ask(HEARTBEAT)
        first = asyncio.create_task(csms.socket().call(v16.ClearCache()))
        message_id, _, _ = await station.called()
        with pytest.raises(TimedOut):
            await csms.socket().call(v16.Reset(type="Hard"), deadline_s=0.05)
        await station.say([3, message_id, {"status": "Accepted"}])
        await first
        assert orjson.loads(await station.ask(HEARTBEAT.replace("h1", "h2")))[:2] == [3, "h2"]


async def test_a_caller_who_leaves_takes_a_waiting_call_along_but_a_sent_one_keeps_its_place(csms: Csms) -> None:
    async with csms.station() as station:
        await station.ask(HEARTBEAT)
        sent = asyncio.create_task(csms.socket().call(v16.ClearCache()))
        message_id, _, _ = await station.called()
        waiting = asyncio.create_task(csms.socket().call(v16.Reset(type="Hard")))
        third = asyncio.create_task(csms.socket().call(v16.GetConfiguration()))
        await asyncio.sleep(0)
        sent.cancel()
        waiting.cancel()
        assert orjson.loads(await station.ask(HEARTBEAT.replace("h1", "h2")))[:2] == [3, "h2"]
        await station.say([3, message_id, {"status": "Accepted"}])
        message_id, action, _ = await station.called()
        assert action == "GetConfiguration"
        await station.say([3, message_id, {}])
        assert await third == result_v16.GetConfiguration()


async def test_inbound_is_never_blocked_by_an_outbound_call(csms: Csms) -> None:
    async with csms.station() as station:
        await station.ask(HEARTBEAT)
        calling = asyncio.create_task(csms.socket().call(v16.ClearCache()))
        message_id, _, _ = await station.called()
        assert orjson.loads(await station.ask(start("s1")))[:2] == [3, "s1"]
        await station.say([3, message_id, {"status": "Accepted"}])
        await calling


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ([4, "{}", "NotSupported", "no", {}], "NotSupported"),
        ([4, "{}"], "GenericError"),
        ([3, "{}", {}], "OccurenceConstraintViolation"),
        ([3, "{}", "yes"], "FormationViolation"),
    ],
)
async def test_a_refusal_is_told_to_the_caller(csms: Csms, answer: list[Any], code: str) -> None:
    async with csms.station() as station:
        await station.ask(HEARTBEAT)
        calling = asyncio.create_task(csms.socket().call(v16.ClearCache()))
        message_id, _, _ = await station.called()
        await station.say([answer[0], message_id, *answer[2:]])
        with pytest.raises(Refused) as refused:
            await calling
        assert (refused.value.details["action"], refused.value.details["error_code"]) == ("ClearCache", code)


async def test_a_status_of_a_stations_own_is_told_as_it_is(csms: Csms) -> None:
    async with csms.station() as station:
        await station.ask(HEARTBEAT)
        calling = asyncio.create_task(csms.socket().call(v16.ClearCache()))
        message_id, _, _ = await station.called()
        await station.say([3, message_id, {"status": "Whatever", "acme": 1}])
        assert await calling == result_v16.ClearCache(status="Whatever")


async def test_a_request_that_breaks_the_standard_is_not_sent(csms: Csms) -> None:
    async with csms.station() as station:
        await station.ask(HEARTBEAT)
        with pytest.raises(Invalid, match="key"):
            await csms.socket().call(v16.ChangeConfiguration(key="k" * 51, value="1"))
        assert orjson.loads(await station.ask(HEARTBEAT.replace("h1", "h2")))[:2] == [3, "h2"]


async def test_too_many_waiting_calls_are_refused() -> None:
    async with Csms.running(limits=Limits(outbox_calls=2)) as csms, csms.station() as station:
        await station.ask(HEARTBEAT)
        line = csms.socket()
        tasks = [asyncio.create_task(line.call(v16.ClearCache()))]
        await station.called()
        tasks += [asyncio.create_task(line.call(v16.ClearCache())) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(LimitExceeded):
            await line.call(v16.ClearCache())
        await station.drop()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [Unavailable] * 3
        with pytest.raises(Unavailable):
            await line.call(v16.ClearCache())


async def test_a_handler_calls_its_station_after_the_answer(csms: Csms) -> None:
    learned: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def read_configuration(call: Call) -> None:
        learned.set_result(await call.socket.call(v16.GetConfiguration(key=["NumberOfConnectors"])))

    async def boot(call: Call, _m: Any) -> Any:
        call.after(read_configuration(call))
        return result_v16.BootNotification(current_time=NOW, interval=300, status="Accepted")

    csms.on("BootNotification", boot)
    async with csms.station() as station:
        await station.say([2, "b", "BootNotification", {"chargePointModel": "M", "chargePointVendor": "V"}])
        assert orjson.loads(await station.hear())[:2] == [3, "b"]
        message_id, action, payload = await station.called()
        assert (action, payload) == ("GetConfiguration", {"key": ["NumberOfConnectors"]})
        assert orjson.loads(await station.ask(HEARTBEAT))[:2] == [3, "h1"], "the next message does not wait"
        await station.say([3, message_id, {"configurationKey": [{"key": "NumberOfConnectors", "readonly": True}]}])
        async with asyncio.timeout(GUARD_S):
            answer = await learned
        assert answer.configuration_key == [{"key": "NumberOfConnectors", "readonly": True}]


async def test_even_a_handler_that_waits_for_its_station_blocks_nobody_for_ever(csms: Csms) -> None:
    async def boot(call: Call, _m: Any) -> Any:
        await call.socket.call(v16.ClearCache())
        return result_v16.BootNotification(current_time=NOW, interval=300, status="Accepted")

    csms.on("BootNotification", boot)
    async with csms.station() as station:
        await station.say([2, "b", "BootNotification", {"chargePointModel": "M", "chargePointVendor": "V"}])
        message_id, _, _ = await station.called()
        await station.say([3, message_id, {"status": "Accepted"}])
        assert orjson.loads(await station.hear())[:2] == [3, "b"]


async def test_what_was_to_follow_a_failed_handler_does_not(csms: Csms) -> None:
    followed: list[str] = []

    async def follow() -> None:
        followed.append("x")

    async def broken(call: Call, _m: Any) -> Any:
        call.after(follow())
        raise Conflict("no")

    csms.on("Heartbeat", broken)
    async with csms.station() as station:
        assert await station.ask(HEARTBEAT) == '[4,"h1","GenericError","no",{}]'
    await csms.diary.until("CP-1 disconnected")
    assert followed == []


# --- two sockets -------------------------------------------------------------------------------------------------


async def test_the_newest_socket_wins_and_what_the_old_one_said_is_answered_first(csms: Csms) -> None:
    latch = Latch(begun(1))
    csms.on("StartTransaction", latch)
    async with csms.station() as old:
        await old.say(start("1"))
        await within(latch.begun)
        orphaned = asyncio.create_task(csms.socket().call(v16.ClearCache()))
        await old.called()
        async with csms.station() as new:
            await new.say(HEARTBEAT)
            with pytest.raises(Unavailable):
                await orphaned
            calling = asyncio.create_task(csms.socket().call(v16.ClearCache()))
            message_id, action, _ = await new.called()
            assert action == "ClearCache", "commands go to the newest socket"
            await new.say([3, message_id, {"status": "Accepted"}])
            await calling
            assert csms.actions() == ["StartTransaction"], "the heartbeat waits its turn"
            latch.go_on.set()
            assert orjson.loads(await old.hear())[:2] == [3, "1"]
            assert await old.closed() == (1000, "replaced by a newer connection")
            assert orjson.loads(await new.hear())[:2] == [3, "h1"]
            await csms.diary.until("CP-1 disconnected replaced")
            assert csms.socket().open
    await csms.diary.until("CP-1 disconnected")
    assert csms.endpoint.sockets.get(TENANT, station_id("CP-1")) is None


async def test_many_sockets_of_one_station_end_in_one(csms: Csms) -> None:
    async def visit(number: int) -> bool:
        try:
            async with csms.station() as station:
                await station.say([2, f"h{number}", "Heartbeat", {}])
                while True:
                    await station.hear()
        except ConnectionClosed:
            return True

    visits = [asyncio.create_task(visit(number)) for number in range(20)]
    async with asyncio.timeout(GUARD_S):
        while sum(visit.done() for visit in visits) < 19:  # noqa: ASYNC110 - nineteen of twenty is no event
            await asyncio.sleep(0.01)
    assert len(csms.endpoint.sockets) == 1
    await csms.endpoint.sockets.shutdown(over_s=0.0)
    assert all(await asyncio.gather(*visits))


async def test_sockets_and_messages_are_counted(csms: Csms) -> None:
    open_before = counted("voltgraph_ocpp_sockets", version="1.6")
    labels = {"version": "1.6", "action": "unknown", "result": "NotImplemented"}
    before = counted("voltgraph_ocpp_messages_total", **labels)
    timed = counted("voltgraph_ocpp_handle_seconds_count", version="1.6", action="Heartbeat")
    async with csms.station() as station:
        await station.ask('[2,"1","InventedByTheStation",{}]')
        await station.ask(HEARTBEAT)
        assert counted("voltgraph_ocpp_sockets", version="1.6") - open_before == 1
        assert csms.diary.seen_count == 2
    await csms.diary.until("CP-1 disconnected")
    assert counted("voltgraph_ocpp_sockets", version="1.6") == open_before
    assert counted("voltgraph_ocpp_messages_total", **labels) - before == 1
    assert counted("voltgraph_ocpp_handle_seconds_count", version="1.6", action="Heartbeat") - timed == 1
