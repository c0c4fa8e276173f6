"""The judge of answers judges: each of these is wrong in one way."""

from typing import Any

import pytest
from graphql import build_schema, parse

from tests.conformance.answers import faults

SDL = build_schema("""
    scalar DateTime
    enum Kind { A B }
    type Row { id: ID!, kind: Kind!, at: DateTime, values: [Float]!, count: Int, next: Row }
    type Query { rows: [Row!], row: Row! }
""")
ROWS = parse("{ rows { __typename id kind at values n: count next { id } } }")
GOOD = {"__typename": "Row", "id": "1", "kind": "A", "at": "2026-01-01T00:00:00Z", "values": [1, 0.5, None], "n": 1}
GOOD |= {"next": None}
LOST = {"message": "it is gone", "path": ["rows", 0, "next"], "extensions": {"code": "NOT_FOUND"}}
UNSAID = {"message": "no", "path": ["rows"], "extensions": {"code": "INTERNAL"}}


def test_what_is_allowed_has_no_faults() -> None:
    assert faults(SDL, ROWS, {"data": {"rows": [GOOD, GOOD | {"next": {"id": "2"}}]}}) == []
    assert faults(SDL, ROWS, {"data": {"rows": [GOOD]}, "errors": [LOST]}) == []
    assert faults(SDL, ROWS, {"data": {"rows": None}, "errors": [LOST]}) == []
    assert faults(SDL, ROWS, {"errors": [LOST]}) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"__typename": "Rows"},
        {"id": 1},
        {"id": None},
        {"kind": "C"},
        {"at": "2026-01-01T00:00:00"},
        {"at": "2026-01-01T00:00:00+00:00"},
        {"values": None},
        {"values": ["1"]},
        {"values": 1.0},
        {"n": 2**31},
        {"n": 0.5},
        {"n": True},
        {"next": []},
        {"next": {}},
        {"more": 1},
    ],
)
def test_a_wrong_row_is_a_fault(wrong: dict[str, Any]) -> None:
    assert faults(SDL, ROWS, {"data": {"rows": [GOOD | wrong]}}) != []


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"data": None},
        {"data": {"rows": []}, "errors": []},
        {"data": {"rows": []}, "trace": []},
        {"data": {"rows": None}, "errors": [UNSAID]},
        {"data": {"rows": None}, "errors": [{"message": "no", "path": ["rows"]}]},
        {"data": {"rows": [GOOD | {"next": {"id": "2"}}]}, "errors": [LOST]},
        {"data": {"rows": [dict(reversed(GOOD.items()))]}},
        {"data": {}},
    ],
)
def test_a_wrong_answer_is_a_fault(answer: Any) -> None:
    assert faults(SDL, ROWS, answer) != []


def test_a_null_that_may_not_be_is_a_fault() -> None:
    assert faults(SDL, parse("{ row { id } }"), {"data": {"row": None}}) != []
