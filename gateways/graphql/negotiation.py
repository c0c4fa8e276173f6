"""Which media type answers: the `Accept` header as RFC 9110 (12.5.1) and GraphQL over HTTP read it."""

import re
from enum import Enum
from functools import lru_cache
from typing import NamedTuple


class Medium(Enum):
    """What we can answer in. Where a client has no preference, the first of these that it takes."""

    JSON = b"application/json"
    GRAPHQL_RESPONSE = b"application/graphql-response+json"
    HTML = b"text/html"
    EVENTS = b"text/event-stream"


class _Wish(NamedTuple):
    """How much a medium is wanted; among equals the one that is named, then the one that is named first."""

    quality: float
    is_named: bool
    place: int


_QUALITY = re.compile(rb"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")
_UTF_8 = (b"utf-8", b"utf8")
_REMEMBERED_CHARACTERS_MAX = 512
_RANGES_MAX = 100


def negotiate(accept: bytes | None, *, page: bool) -> Medium | None:
    """The best of what is offered; `page` offers HTML too. None: the client takes nothing of it.

    Who takes anything gets `application/json`, whose clients came first.
    """
    if accept is None:
        return Medium.JSON
    if len(accept) > _REMEMBERED_CHARACTERS_MAX:
        return _negotiate.__wrapped__(accept, page)
    return _negotiate(accept, page)


@lru_cache(maxsize=256)
def _negotiate(accept: bytes, page: bool) -> Medium | None:
    ranges = _ranges(accept)
    offered = [medium for medium in Medium if page or medium is not Medium.HTML]
    wishes = [(wish, medium) for medium in offered if (wish := _wish(ranges, medium)) is not None and wish.quality > 0]
    return max(wishes, key=lambda one: one[0])[1] if wishes else None


def _wish(ranges: dict[bytes, tuple[float, int]], medium: Medium) -> _Wish | None:
    """The most specific range that a medium is in decides, whatever the others say."""
    kind = medium.value.partition(b"/")[0]
    for name in (medium.value, kind + b"/*", b"*/*"):
        if name in ranges:
            quality, place = ranges[name]
            return _Wish(quality, name == medium.value, -place)
    return None


def _ranges(accept: bytes) -> dict[bytes, tuple[float, int]]:
    """The media ranges of a header: how much each is wanted, and where it stands."""
    ranges: dict[bytes, tuple[float, int]] = {}
    for place, part in enumerate(accept.lower().split(b",")[:_RANGES_MAX]):
        name, *parameters = (piece.strip() for piece in part.split(b";"))
        quality = next((one[2:] for one in parameters if one.startswith(b"q=")), b"1")
        if _QUALITY.fullmatch(quality):
            ranges.setdefault(name, (float(quality), place))
    return ranges


def is_json(content_type: bytes | None) -> bool:
    """Whether a body is said to be JSON in UTF-8, which is what JSON without a charset is in."""
    if content_type == b"application/json":
        return True
    if content_type is None:
        return False
    name, *parameters = (piece.strip() for piece in content_type.lower().split(b";"))
    charsets = [one.removeprefix(b"charset=").strip(b'"') for one in parameters if one.startswith(b"charset=")]
    return name == b"application/json" and all(one in _UTF_8 for one in charsets)
