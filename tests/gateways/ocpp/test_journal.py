"""Frames as the station log has them: whose they are, what they answer, and how long that took."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.station_log import Draft, Scribe, StationLogRules
from gateways.ocpp import Version, frames
from gateways.ocpp.journal import Journal

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Paper:
    """A recorder that everything is asked of at once."""

    def __init__(self, *, heartbeats: bool = True) -> None:
        self.rules = StationLogRules(heartbeats=heartbeats)
        self.drafts: list[Draft] = []

    def take(self, scribe: Scribe, said: Any, characters: int) -> None:
        assert characters > 0
        draft = scribe.put(said)
        if draft is not None:
            self.drafts.append(draft)


class Line:
    def __init__(self, version: Version = Version.V16, **rules: bool) -> None:
        self.paper = Paper(**rules)
        self.version = version
        self.journal = Journal(
            self.paper,  # type: ignore[arg-type]
            tenant_id=UUID(int=1),
            station_id=UUID(int=2),
            clock=lambda: NOON,
        )

    def hears(self, message: Any) -> None:
        text = message if isinstance(message, str) else orjson.dumps(message).decode()
        self.journal.heard(text, frames.parse(text, self.version))

    def says(self, *message: Any) -> None:
        self.journal.said(orjson.dumps(list(message)).decode())

    @property
    def entries(self) -> list[tuple[Any, ...]]:
        return [
            (*map(str, (draft.direction, draft.kind)), draft.action, draft.message_id, draft.payload)
            for draft in self.paper.drafts
        ]


def test_a_call_and_its_answer_share_id_and_action() -> None:
    line = Line()

    line.hears([2, "a", "StatusNotification", {"connectorId": 1}])
    line.says(3, "a", {})
    line.says(2, "b", "Reset", {"type": "Soft"})
    line.hears([3, "b", {"status": "Accepted"}])

    assert line.entries == [
        ("IN", "CALL", "StatusNotification", "a", {"connectorId": 1}),
        ("OUT", "RESULT", "StatusNotification", "a", {}),
        ("OUT", "CALL", "Reset", "b", {"type": "Soft"}),
        ("IN", "RESULT", "Reset", "b", {"status": "Accepted"}),
    ]
    assert [draft.duration_ms is not None for draft in line.paper.drafts] == [False, True, False, True]


def test_the_directions_do_not_mix_though_their_ids_do() -> None:
    line = Line()

    line.hears([2, "1", "Authorize", {"idTag": "DEMO"}])
    line.says(2, "1", "Reset", {"type": "Soft"})
    line.hears([3, "1", {"status": "Accepted"}])
    line.says(3, "1", {"idTagInfo": {"status": "Accepted"}})

    assert [entry[2] for entry in line.entries] == ["Authorize", "Reset", "Reset", "Authorize"]


def test_errors_tell_their_code_and_details() -> None:
    line = Line(Version.V21)

    line.hears([2, "a", "Invented", {}])
    line.says(4, "a", "NotImplemented", "what?", {})
    line.says(2, "b", "Reset", {"type": "Immediate"})
    line.hears([4, "b", "InternalError", "no", {"why": 5}])
    line.hears([5, "a", "FormatViolation", "your answer", {}])
    line.hears([6, "c", "NotifyPeriodicEventStream", {"id": 1}])

    assert line.entries[1] == ("OUT", "ERROR", "Invented", "a", {"description": "what?", "details": {}})
    assert line.entries[3] == ("IN", "ERROR", "Reset", "b", {"description": "no", "details": {"why": 5}})
    assert line.entries[4][:3] == ("IN", "ERROR", None)
    assert line.entries[5][:3] == ("IN", "SEND", "NotifyPeriodicEventStream")
    assert [draft.error_code for draft in line.paper.drafts] == [
        *(None, "NotImplemented", None, "InternalError", "FormatViolation", None)
    ]


def test_a_heartbeat_and_its_answer_are_one_entry() -> None:
    line = Line()

    line.hears([2, "a", "Heartbeat", {}])
    line.says(3, "a", {"currentTime": "2026-03-01T12:00:00Z"})

    assert line.entries == [("OUT", "RESULT", "Heartbeat", "a", {"currentTime": "2026-03-01T12:00:00Z"})]


def test_a_house_may_do_without_heartbeats_but_sees_those_that_fail() -> None:
    line = Line(heartbeats=False)

    line.hears([2, "a", "Heartbeat", {}])
    line.says(3, "a", {"currentTime": "2026-03-01T12:00:00Z"})
    line.hears([2, "b", "Heartbeat", {}])
    line.says(4, "b", "InternalError", "", {})

    assert [entry[:4] for entry in line.entries] == [("OUT", "ERROR", "Heartbeat", "b")]


def test_what_is_no_frame_is_told_as_it_came_and_cut_short() -> None:
    line = Line()

    line.hears("x" * 5_000)
    line.hears("[1,2")
    line.hears('[2,"1","ChangeConfiguration",{"value":"hunter22-hunter22","key":"Auth')

    assert [entry[:3] for entry in line.entries] == [("IN", "EVENT", "unreadable")] * 3
    assert line.entries[0][4] == "x" * 1_000 + "…"
    assert line.entries[1][4] == "[1,2"
    assert "hunter22" not in line.entries[2][4]


def test_what_happens_is_told_with_what_is_known_of_it() -> None:
    line = Line()

    line.journal.happened("disconnected", code=1006, reason="")

    assert line.entries == [("NONE", "EVENT", "disconnected", None, {"code": 1006})]


def test_without_a_recorder_nothing_is_kept() -> None:
    journal = Journal(None, tenant_id=uuid4(), station_id=uuid4(), clock=lambda: NOON)

    journal.heard("[]", frames.parse("[]", Version.V16))
    journal.said("[3]")
    journal.happened("closed")


@settings(max_examples=25)
@given(
    st.lists(st.text(max_size=60) | st.recursive(st.none() | st.integers() | st.text(max_size=4), st.lists).map(repr))
)
def test_whatever_a_station_says_is_put_down(texts: list[str]) -> None:
    line = Line(Version.V21)

    for text in texts:
        line.hears(text)
        line.hears([2, text, text, {text: text}])
        line.hears([4, text, text, text, text])

    assert len(line.entries) == 3 * len(texts) - sum(text == "Heartbeat" for text in texts)
