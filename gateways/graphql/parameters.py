"""A request's parameters as GraphQL over HTTP has them: from a JSON body, or from a URL's query."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import orjson

from gateways.graphql.engine import Call
from gateways.graphql.responses import Rejected
from gateways.graphql.trusted import document_id

_FIELDS_MAX = 50

_SHAPES: dict[str, tuple[type, str]] = {
    "query": (str, "a string"),
    "variables": (dict, "an object"),
    "operationName": (str, "a string"),
    "extensions": (dict, "an object"),
    "documentId": (str, "a string"),
}
_JSON_KINDS = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array"}


def in_body(body: bytes | bytearray) -> Call:
    """Of a POST."""
    if not body:
        raise Rejected("the body is empty")
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Rejected(f"the body is not JSON: {error}") from None
    if isinstance(given, list):
        raise Rejected("a request is one operation: batches are not taken")
    if not isinstance(given, dict):
        raise Rejected("the body must be a JSON object")
    return _call(given)


def in_url(query_string: bytes) -> Call:
    """Of a GET: `variables` and `extensions` are JSON in their turn; what is left empty is not given."""
    fields = [(name, value) for name, value in _fields(query_string) if name in _SHAPES]
    if len({name for name, _ in fields}) < len(fields):
        raise Rejected("a parameter is given twice")
    return _call({name: value if _SHAPES[name][0] is str else _decoded(name, value) for name, value in fields if value})


def _fields(query_string: bytes) -> list[tuple[str, str]]:
    try:
        text = query_string.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MAX)
    except ValueError as error:
        raise Rejected(f"the URL's query is not form-encoded UTF-8: {error}") from None


def _decoded(name: str, value: str) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise Rejected(f"{name} is not JSON: {error}") from None


def _call(given: dict[str, Any]) -> Call:
    """Other properties are not looked at, as the specification demands."""
    named = document_id(given)
    if problems := list(_problems(given, named)):
        raise Rejected(*problems)
    return Call(
        given.get("query"),
        given.get("variables"),
        given.get("operationName") or None,
        given.get("extensions"),
        document_id=named,
    )


def _problems(given: dict[str, Any], named: str | None) -> Iterator[str]:
    if given.get("query") is None and named is None:
        yield "query is missing"
    for name, (shape, wanted) in _SHAPES.items():
        value = given.get(name)
        if value is not None and type(value) is not shape:
            yield f"{name} must be {wanted}, not {_JSON_KINDS.get(type(value), 'an object')}"
