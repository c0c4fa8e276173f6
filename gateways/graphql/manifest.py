"""Files of documents that clients name by an id: what the build tools of clients write, and we too."""

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

import orjson

APOLLO = "apollo-persisted-query-manifest"
PREFIX = "sha256:"
SHA256 = re.compile(f"(?:{PREFIX})?[0-9a-f]{{64}}")


class BadManifest(Exception):
    """One line that names what is wrong."""


def entries(manifest: bytes) -> Iterator[tuple[str, str]]:
    """Ids and texts, of Apollo's format or of an object that has just those, as Relay and GraphQL Codegen write it."""
    try:
        given = orjson.loads(manifest)
    except orjson.JSONDecodeError as error:
        raise BadManifest(f"is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise BadManifest("is not an object of ids and documents")
    pairs = _of_apollo(given) if "format" in given else given.items()
    for id, text in pairs:
        if not (isinstance(id, str) and id and isinstance(text, str)):
            raise BadManifest(f"{id}: is not the id of a text")
        yield id, text


def written(texts: Mapping[str, tuple[str, str]]) -> bytes:
    """A manifest in Apollo's format, of each operation's kind and text by its name."""
    operations = [
        {"id": digest_of(text), "name": name, "type": kind, "body": text}
        for name, (kind, text) in sorted(texts.items())
    ]
    manifest = {"format": APOLLO, "version": 1, "operations": operations}
    return orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def digest_of(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()


def _of_apollo(given: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    operations = given.get("operations")
    if given["format"] != APOLLO or given.get("version") != 1 or not isinstance(operations, list):
        raise BadManifest(f"is neither {APOLLO} 1 nor an object of ids and documents")
    for operation in operations:
        if not isinstance(operation, dict):
            raise BadManifest("an operation is an object with an id and a body")
        yield operation.get("id"), operation.get("body")
