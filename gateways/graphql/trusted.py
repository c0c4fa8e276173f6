"""Documents that whoever runs the server vouches for: read when it starts, kept for good, found by an id.

Clients send the id in place of the text: as `documentId`, which GraphQL over HTTP has in an appendix, or as Apollo's
clients do in their extensions. Clients cannot add to the manifest (docs/decisions/0026).
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any

import structlog
from graphql import GraphQLError, GraphQLSchema, parse, validate
from prometheus_client import Counter

from domain.errors import Forbidden, Invalid, NotFound
from gateways.graphql.documents import ERRORS_MAX, RULES, Document
from gateways.graphql.limits import Limits, Refused, wrong
from gateways.graphql.manifest import PREFIX, SHA256, BadManifest, digest_of, entries
from gateways.graphql.scan import scan

log = structlog.get_logger()

LOGGED_MAX = 1_000  # clients may invent any number of documents

ID, TEXT, UNTRUSTED, UNKNOWN = "id", "text", "untrusted", "unknown_id"
_SOURCES = Counter(
    "voltgraph_graphql_sources_total",
    "Where there is a manifest: what was asked for, by the caller's mode: id or text (of a document in the manifest), "
    "untrusted (another text), unknown_id",
    ["mode", "source"],
)
_NAMED = re.compile(r"\b(?:query|mutation|subscription)\s+([_A-Za-z]\w*)")


class Mode(StrEnum):
    """What becomes of a text that is not in the manifest: it runs, runs and is logged, or is refused unread."""

    OFF = "off"
    LOG = "log"
    ENFORCE = "enforce"


_COUNTED = {(mode, source): _SOURCES.labels(mode, source) for mode in Mode for source in (ID, TEXT, UNTRUSTED, UNKNOWN)}


class Trusted:
    """The documents of the manifests, by the ids there and by the SHA-256 of their texts."""

    def __init__(self, schema: GraphQLSchema, limits: Limits) -> None:
        self._schema = schema
        self._limits = limits
        self._by_id: dict[str, Document] = {}
        self._by_text: dict[str, Document] = {}
        self._logged: set[str] = set()

    def __len__(self) -> int:
        return len(self._by_text)

    def add(self, manifest: bytes) -> None:
        """All of it, ready to run. Raises `BadManifest` at the first that cannot."""
        for id, text in entries(manifest):
            try:
                self._add(id, text)
            except (BadManifest, Refused) as error:
                raise BadManifest(f"{_called(id, text)}: {_line(error)}") from None

    def find(self, text: str | None, id: str | None, mode: Mode) -> Document | None:
        """None where the text, if there is one, is to be read as any other. Raises `Refused`."""
        document = self._by_id.get(id) if id is not None else None
        if document is not None:
            if text and text != document.text:
                raise wrong("the query is not the document that the id stands for")
            return _counted(mode, ID, document)
        if text:
            return self._find_text(text, mode)
        if id is not None:
            _counted(mode, UNKNOWN)
            raise _unknown()
        return None

    def _find_text(self, text: str, mode: Mode) -> Document | None:
        document = self._by_text.get(text)
        if document is not None:
            return _counted(mode, TEXT, document)
        _counted(mode, UNTRUSTED)
        if mode is Mode.ENFORCE:
            raise _untrusted()
        return None

    def runs(self, document: Document, mode: Mode, principal: str) -> None:
        """One that is not of the manifest. The log has each once, to tell what is missing there."""
        if mode is not Mode.LOG or len(self._logged) >= LOGGED_MAX:
            return
        digest = digest_of(document.text)
        if digest not in self._logged:
            self._logged.add(digest)
            names = [one.name for one in document.operations]
            told = {"sha256": digest, "operations": names[:5], "principal": principal}
            log.warning("a document that is not in the manifest", **told)
            if len(self._logged) == LOGGED_MAX:
                log.warning("more documents that are not in the manifest are counted, not logged", logged=LOGGED_MAX)

    def _add(self, id: str, text: str) -> None:
        digest = digest_of(text)
        if SHA256.fullmatch(id) and id.removeprefix(PREFIX) != digest:
            raise BadManifest("the id is not the SHA-256 of the text")
        known = self._by_id.get(id)
        if known is not None and known.text != text:
            raise BadManifest("the id stands for two documents")
        document = self._by_text.get(text) or self._ready(text)
        self._by_text[text] = document
        self._by_id |= dict.fromkeys((id, digest, PREFIX + digest), document)

    def _ready(self, text: str) -> Document:
        document = read(self._schema, text, self._limits)
        for operation in document.operations:
            _ = operation.shape if operation.kind == "subscription" else None
            _ = operation.plan
        return document


def read(schema: GraphQLSchema, text: str, limits: Limits) -> Document:
    """As the store of documents does, which forgets. Raises `Refused`."""
    extents = scan(text, limits)
    try:
        node = parse(text)
    except GraphQLError as error:
        raise Refused([error]) from None
    if errors := validate(schema, node, RULES, max_errors=ERRORS_MAX):
        raise Refused(errors)
    if not extents:
        raise wrong("there is no operation in it")
    return Document(schema, text, node, extents, limits)


def document_id(given: Mapping[str, Any]) -> str | None:
    """What a request's parameters name a document by, if they do."""
    named = given.get("documentId")
    if named is not None:
        return named if isinstance(named, str) else None
    extensions = given.get("extensions")
    persisted = extensions.get("persistedQuery") if isinstance(extensions, dict) else None
    if not isinstance(persisted, dict) or persisted.get("version") != 1:
        return None
    digest = persisted.get("sha256Hash")
    return digest if isinstance(digest, str) else None


def nothing_asked(id: str | None) -> Refused:
    """Of a call without a text, where nothing is known by an id."""
    if id is None:
        return wrong("there is no query")
    # By this message Apollo's and urql's clients know that they had better send texts only.
    return _refused("PersistedQueryNotSupported", Invalid.code, "PERSISTED_QUERY_NOT_SUPPORTED")


def _unknown() -> Refused:
    """By this message the same clients know that the text is wanted."""
    status = HTTPStatus.NOT_FOUND
    return _refused("PersistedQueryNotFound", NotFound.code, "PERSISTED_QUERY_NOT_FOUND", status)


def _untrusted() -> Refused:
    message = "only documents that the server was started with are run for this caller"
    return _refused(message, Forbidden.code, "PERSISTED_QUERY_ONLY", HTTPStatus.FORBIDDEN)


def _refused(message: str, code: str, reason: str, status: int = HTTPStatus.BAD_REQUEST) -> Refused:
    return Refused([GraphQLError(message, extensions={"code": code, "reason": reason})], status=status)


def _counted(mode: Mode, source: str, document: Document | None = None) -> Document | None:
    _COUNTED[mode, source].inc()
    return document


def _called(id: str, text: str) -> str:
    named = _NAMED.search(text)
    return f"{named[1]} ({id})" if named else id


def _line(error: BadManifest | Refused) -> str:
    if isinstance(error, BadManifest):
        return str(error)
    first = error.errors[0]
    at = "".join(f" (line {one.line}, column {one.column})" for one in (first.locations or ())[:1])
    return " ".join(first.message.split()) + at
