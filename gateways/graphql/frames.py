"""Messages of graphql-transport-ws: what is none, and the few that are made by hand."""

from typing import Any

import orjson

from gateways.graphql.trusted import document_id

_SHAPES: dict[str, tuple[type, str]] = {  # of what an operation is asked with
    "query": (str, "a string"),
    "documentId": (str, "a string"),
    "variables": (dict, "an object"),
    "operationName": (str, "a string"),
    "extensions": (dict, "an object"),
}


def prefix(operation_id: str) -> bytes:
    """Of every result of an operation; the result itself and a brace follow."""
    return b'{"id":' + orjson.dumps(operation_id) + b',"type":"next","payload":'


def encoded(message: Any) -> str:
    return orjson.dumps(message).decode()


def problem(frame: Any) -> str | None:
    """What is wrong with the shape of a frame."""
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        return "a message is an object with a type"
    if frame["type"] in ("subscribe", "complete") and not (isinstance(frame.get("id"), str) and frame["id"]):
        return f"{frame['type']} needs an id"
    if frame["type"] in ("ping", "pong") and not isinstance(frame.get("payload"), dict | None):
        return f"the payload of a {frame['type']} is an object"
    return _problem_of_operation(frame.get("payload")) if frame["type"] == "subscribe" else None


def _problem_of_operation(payload: Any) -> str | None:
    if not isinstance(payload, dict) or (payload.get("query") is None and document_id(payload) is None):
        return "subscribe needs a payload with a query, or with the id of a document"
    for name, (shape, wanted) in _SHAPES.items():
        if not isinstance(payload.get(name), shape | None):
            return f"{name} must be {wanted}"
    return None
