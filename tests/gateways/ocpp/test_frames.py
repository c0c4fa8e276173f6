"""OCPP-J frames, byte for byte."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateways.ocpp import frames
from gateways.ocpp.frames import CallFrame, Code, ErrorFrame, Fault, ResultFrame, Unreadable, Version

V16, V201, V21 = Version.V16, Version.V201, Version.V21

NOT_JSON = '[4,"-1","RpcFrameworkError","the message is not JSON",{}]'
NO_ARRAY = '[4,"-1","RpcFrameworkError","the message is not the JSON array of an OCPP frame",{}]'
NO_ID = '[4,"-1","RpcFrameworkError","the message id cannot be read",{}]'
NO_TYPE = '[4,"-1","MessageTypeNotSupported","the message type is not supported",{}]'
FOUR = "a CALL has four elements: type, message id, action, payload"


def test_a_call_is_understood() -> None:
    frame = frames.parse('[2,"19223201","Heartbeat",{}]', V16)
    assert frame == CallFrame("19223201", "Heartbeat", {})


def test_answers_are_understood() -> None:
    assert frames.parse('[3,"7",{"status":"Accepted"}]', V16) == ResultFrame("7", {"status": "Accepted"})
    assert frames.parse('[4,"7","NotSupported","no",{"a":1}]', V16) == ErrorFrame("7", "NotSupported", "no", {"a": 1})


def test_what_is_left_out_of_an_answer_is_empty() -> None:
    assert frames.parse('[3,"7"]', V16) == ResultFrame("7", {})
    assert frames.parse('[3,"7",null]', V16) == ResultFrame("7", {})
    assert frames.parse('[4,"7"]', V16) == ErrorFrame("7", "GenericError", "", {})


def test_only_2_1_knows_sends_and_errors_about_results() -> None:
    send = '[6,"9","NotifyPeriodicEventStream",{"id":1}]'
    assert frames.parse(send, V21) == CallFrame("9", "NotifyPeriodicEventStream", {"id": 1}, unconfirmed=True)
    assert frames.parse('[5,"9","GenericError","",{}]', V21) == ErrorFrame("9", "GenericError", "", {}, of_result=True)
    assert frames.parse(send, V201) == Unreadable(
        "the message type is not supported",
        '[4,"9","MessageTypeNotSupported","the message type is not supported",{}]',
    )
    assert frames.parse('[6,"9","X"]', V21) == Unreadable(FOUR), "nobody answers a SEND"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("}{not json at all!!", NOT_JSON),
        ('[2,"1","BootNotification",{', NOT_JSON),
        ("[" * 3000, NOT_JSON),
        ("{}", NO_ARRAY),
        ("[]", NO_ARRAY),
        ('"2"', NO_ARRAY),
        ("2", NO_ARRAY),
        ("[2]", NO_ID),
        ('[2,null,"Heartbeat",{}]', NO_ID),
        ('[2,{"a":1},"Heartbeat",{}]', NO_ID),
        ('[2,true,"Heartbeat",{}]', NO_ID),
        ("[null]", NO_TYPE),
        ("[true]", NO_TYPE),
        ('["CALL","1"]', '[4,"1","MessageTypeNotSupported","the message type is not supported",{}]'),
        ('[99,"1","Foo",{}]', '[4,"1","MessageTypeNotSupported","the message type is not supported",{}]'),
        ('[5,"1","GenericError","",{}]', '[4,"1","MessageTypeNotSupported","the message type is not supported",{}]'),
    ],
)
def test_what_has_no_readable_id_or_type_is_ignored_in_1_6_and_refused_in_2_x(text: str, answer: str) -> None:
    old, new = frames.parse(text, V16), frames.parse(text, V201)
    assert isinstance(old, Unreadable)
    assert isinstance(new, Unreadable)
    assert (old.answer, new.answer) == (None, answer)


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ('[2,"1"]', f'[4,"1","ProtocolError","{FOUR}",{{}}]', f'[4,"1","ProtocolError","{FOUR}",{{}}]'),
        ('[2,"1","Heartbeat"]', f'[4,"1","ProtocolError","{FOUR}",{{}}]', f'[4,"1","ProtocolError","{FOUR}",{{}}]'),
        ('[2,"1",7,{}]', f'[4,"1","ProtocolError","{FOUR}",{{}}]', f'[4,"1","ProtocolError","{FOUR}",{{}}]'),
        (
            '[2,"1","Heartbeat","NotAnObject"]',
            '[4,"1","TypeConstraintViolation","the payload is not a JSON object",{}]',
            '[4,"1","TypeConstraintViolation","the payload is not a JSON object",{}]',
        ),
        (
            '[2,"1","Heartbeat",' + '{"a":' * 40 + "1" + "}" * 40 + "]",
            '[4,"1","FormationViolation","the payload is nested too deeply",{}]',
            '[4,"1","FormatViolation","the payload is nested too deeply",{}]',
        ),
    ],
)
def test_a_call_with_an_id_is_told_what_is_wrong_with_it(text: str, old: str, new: str) -> None:
    for version, answer in ((V16, old), (V201, new), (V21, new)):
        frame = frames.parse(text, version)
        assert isinstance(frame, Unreadable)
        assert frame.answer == answer


@pytest.mark.parametrize("text", ["", "  \r\n", "\x00"])
def test_an_empty_message_is_nobodys_business(text: str) -> None:
    assert frames.parse(text, V201) == Unreadable("an empty message")


@pytest.mark.parametrize("text", ["[3]", "[3,null,{}]", '[4,{"a":1},"X","",{}]'])
def test_an_error_about_an_answer_is_not_answered(text: str) -> None:
    frame = frames.parse(text, V201)
    assert isinstance(frame, Unreadable)
    assert frame.answer is None


@pytest.mark.parametrize(
    ("text", "message_id", "oddities"),
    [
        ('[2,12345,"StatusNotification",{"a":1}]', 12345, ("numeric message id",)),
        ('[2,1.5,"StatusNotification",{"a":1}]', 1.5, ("numeric message id",)),
        (f'[2,"{"x" * 40}","StatusNotification",{{"a":1}}]', "x" * 40, ("long message id",)),
        ('["2","1","StatusNotification",{"a":1}]', "1", ("message type",)),
        ('[2.0,"1","StatusNotification",{"a":1}]', "1", ("message type",)),
        ('[2,"1","StatusNotification",{"a":1},"and more"]', "1", ("extra elements",)),
        ('\ufeff[2,"1","StatusNotification",{"a":1}]\x00\x00', "1", ()),
    ],
)
def test_a_call_that_can_be_answered_is_kept(text: str, message_id: Any, oddities: tuple[str, ...]) -> None:
    for version in Version:
        assert frames.parse(text, version) == CallFrame(message_id, "StatusNotification", {"a": 1}, oddities)


@pytest.mark.parametrize("payload", ["null", "[]"])
def test_an_empty_payload_may_be_written_in_other_ways(payload: str) -> None:
    assert frames.parse(f'[2,"1","Heartbeat",{payload}]', V16) == CallFrame("1", "Heartbeat", {}, ("payload",))


def test_a_transaction_with_message_type_1_is_not_lost() -> None:
    start = '[1,"6OUouvaV6M","StartTransaction",{"connectorId":1}]'
    assert frames.parse(start, V16) == CallFrame(
        "6OUouvaV6M", "StartTransaction", {"connectorId": 1}, ("message type",)
    )
    assert isinstance(frames.parse('[1,"2","Heartbeat",{}]', V16), Unreadable)


def test_json_that_is_nearly_right_is_read() -> None:
    text = '[2,"1","DataTransfer",{"nan":NaN,"lines":"a\nb","half":"\\ud800","padded":"SN1\\u0000\\u0000"}]'
    frame = frames.parse(text, V16)
    assert isinstance(frame, CallFrame)
    assert frame.payload["lines"] == "a\nb"
    assert frame.payload["half"] == "?"
    assert frame.payload["padded"] == "SN1"
    assert frame.payload["nan"] != frame.payload["nan"]


def test_zero_bytes_in_text_are_taken_out_for_no_database_takes_them() -> None:
    frame = frames.parse('[2,"1","BootNotification",{"chargePointVendor":"ACME\\u0000\\u0000","a":["\\u0000"]}]', V16)
    assert isinstance(frame, CallFrame)
    assert frame.payload == {"chargePointVendor": "ACME", "a": [""]}


def test_an_id_is_sent_back_as_it_came() -> None:
    assert frames.parse('[2,"\\u0000é","Heartbeat",{}]', V16) == CallFrame("\x00é", "Heartbeat", {})
    assert frames.result("\x00é", {}) == '[3,"\\u0000é",{}]'


def test_frames_are_written_compactly_and_byte_for_byte() -> None:
    assert frames.call("a-1", "Reset", {"type": "Soft"}) == '[2,"a-1","Reset",{"type":"Soft"}]'
    assert frames.result("a-1", {}) == '[3,"a-1",{}]'
    assert frames.result(17, {"currentTime": "ä"}) == '[3,17,{"currentTime":"ä"}]'
    assert frames.error(V16, "a-1", Fault(Code.INTERNAL_ERROR, "no", errorId="x")) == (
        '[4,"a-1","InternalError","no",{"errorId":"x"}]'
    )


def test_a_description_has_at_most_255_characters() -> None:
    text = frames.error(V201, "1", Fault(Code.GENERIC_ERROR, "x" * 300))
    assert orjson.loads(text)[3] == "x" * 255


def test_details_that_json_cannot_hold_do_not_cost_the_answer() -> None:
    text = frames.error(V201, "1", Fault(Code.GENERIC_ERROR, "", what={1, 2}))
    assert orjson.loads(text)[:4] == [4, "1", "GenericError", ""]


@pytest.mark.parametrize(
    ("code", "old"),
    [
        (Code.FORMAT_VIOLATION, "FormationViolation"),
        (Code.OCCURRENCE_CONSTRAINT_VIOLATION, "OccurenceConstraintViolation"),
        (Code.RPC_FRAMEWORK_ERROR, "GenericError"),
        (Code.MESSAGE_TYPE_NOT_SUPPORTED, "GenericError"),
        (Code.NOT_IMPLEMENTED, "NotImplemented"),
        (Code.SECURITY_ERROR, "SecurityError"),
    ],
)
def test_each_version_has_its_own_words_for_errors(code: Code, old: str) -> None:
    assert (code.word(V16), code.word(V201), code.word(V21)) == (old, code.value, code.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=10,
)
NEARLY_FRAMES = st.lists(JSON, max_size=6) | st.tuples(
    st.sampled_from([1, 2, 3, 4, 5, 6, "2", 2.0]), st.text() | JSON, st.sampled_from(["Heartbeat", "X"]) | JSON, JSON
).map(list)


@given(st.text(), st.sampled_from(Version))
def test_no_text_can_make_the_parser_fail(text: str, version: Version) -> None:
    assert isinstance(frames.parse(text, version), CallFrame | ResultFrame | ErrorFrame | Unreadable)


@given(NEARLY_FRAMES, st.sampled_from(Version))
def test_whatever_is_not_an_answer_is_answered_where_the_standard_wants_it(items: list[Any], version: Version) -> None:
    frame = frames.parse(json.dumps(items), version)
    match frame:
        case CallFrame():
            text = frames.result(frame.message_id, {})
            assert orjson.loads(text) == [3, frame.message_id, {}]
        case Unreadable(answer=None):
            is_answer = bool(items) and items[0] in (3, 4, "3", "4", *((5, 6) if version is V21 else ()))
            assert version is V16 or is_answer
        case Unreadable(answer=str(text)):
            kind, message_id, code, description, details = orjson.loads(text)
            assert kind == 4
            assert message_id == "-1" or message_id == items[1]
            assert code in {known.word(version) for known in Code}
            assert len(description) <= 255
            assert details == {}
        case _:
            assert items[0] in (3, 4, 5, "3", "4", "5")
