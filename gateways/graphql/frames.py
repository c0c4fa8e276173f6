"""Messages of graphql-transport-ws: what is none, and the few that are made by hand."""

from typing import Any

import orjson

from gateways.graphql.trusted import document_id


def prefix(operation_id: str) -> str:
    """Of every result of an operation; the result itself and a brace follow."""
    return f'{{"id":{orjson.dumps(operation_id).decode()},"type":"next","payload":'


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
    if not isinstance(payload, dict):
        return "subscribe needs a payload"
    if not isinstance(payload.get("query"), str | None) or not isinstance(payload.get("documentId"), str | None):
        return "query and documentId are strings"
    if payload.get("query") is None and document_id(payload) is None:
        return "subscribe needs a payload with a query, or the id of a document"
    if not isinstance(payload.get("variables"), dict | None):
        return "variables are an object"
    if not isinstance(payload.get("operationName"), str | None):
        return "operationName is a string"
    if not isinstance(payload.get("extensions"), dict | None):
        return "extensions are an object"
    return None
