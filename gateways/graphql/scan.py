"""What a document asks for, told from its text before anything is built of it.

graphql-core's parser takes 2 µs for a token, validation ten times that; what asks for too much must not cost as much as
what does not. Regular expressions read the text in hundredths of a microsecond per token. They need not judge it: where
the text is no document, they may say anything, since the parser says why it is none.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from gateways.graphql.limits import Limits, too_much

_IGNORED = " \t\n\r,\ufeff"
_SPACE = f"[{_IGNORED}]*+"
_NAME = "[_A-Za-z][_0-9A-Za-z]*+"
_NUMBER = r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+"
# One that has no end goes on to where it would have to have one, so that nothing is read twice.
_STRING = r'"""(?:[^"]++|(?<=\\)"""|"(?!""))*+(?:"""|\Z)|"(?:[^"\\\n\r]++|\\[^\n\r])*+"?+'
_COMMENT = r"#[^\n\r]*+"
_TOKEN = rf"(?:{_NAME}|[!$&()\[\]{{}}:=@|]|\.\.\.|{_STRING}|{_COMMENT}|{_NUMBER}|.)"  # the last is none

_UNREAD = re.compile(f"{_STRING}|{_COMMENT}")
_ARGUMENTS = re.compile(r"\((?:[^()]++|\([^()]*+\))*+\)")  # within: those of a variable's directive
_DIRECTIVE = re.compile(f"@{_SPACE}{_NAME}")
_PIECE = re.compile(
    rf"[{{}}]|{_NAME}(?:{_SPACE}:{_SPACE}{_NAME})?|\.\.\.{_SPACE}(?:on(?![_0-9A-Za-z]){_SPACE}{_NAME}|{_NAME})?"
)
_OPERATIONS = frozenset({"query", "mutation", "subscription"})


@dataclass(frozen=True, slots=True)
class Extent:
    """Of an operation, its fragments unfolded."""

    depth: int
    fields: int
    root_fields: int  # those of a fragment count once, as they are answered once


@dataclass(frozen=True, slots=True)
class Measures:
    """Of a document as it is written."""

    parts: "Sequence[_Part]"
    aliases: int
    directives: int
    definitions: int
    repeats: int
    nesting: int

    def extents(self) -> list[Extent]:
        """Of its operations, in their order."""
        fragments = {part.fragment: part for part in self.parts if part.fragment is not None}
        known: dict[str, tuple[int, int]] = {}
        return [
            Extent(*_unfolded(part, fragments, known), _root_fields(part, fragments))
            for part in self.parts
            if part.fragment is None
        ]


_MESSAGES = {
    "aliases": "the document has more than {} aliases",
    "directives": "the document has more than {} directives",
    "definitions": "the document has more than {} operations and fragments",
    "repeats": "the document names what it has already named beside it, more than {} times",
    "nesting": "braces are nested more than {} levels deep",
}
_MESSAGES_OF_OPERATIONS = {
    "depth": "fields are nested more than {} levels deep",
    "root_fields": "an operation has more than {} fields at its root",
    "fields": "an operation has more than {} fields, fragments unfolded",
}


def scan(text: str, limits: Limits) -> list[Extent] | None:
    """Raises `Refused` where the text asks for too much; None where it is not made of operations and fragments."""
    if len(text) > limits.characters:
        raise too_much("characters", f"the document has more than {limits.characters} characters")
    if _more_tokens_than(limits.tokens).match(text):
        raise too_much("tokens", f"the document has more than {limits.tokens} tokens")
    measures = measured(text)
    if measures is None:
        return None
    _check(measures, limits, _MESSAGES)
    try:
        extents = measures.extents()
    except RecursionError:
        raise too_much("depth", "fragments are spread in each other too deep to follow") from None
    for extent in extents:
        _check(extent, limits, _MESSAGES_OF_OPERATIONS)
    return extents


def measured(text: str) -> Measures | None:
    read = _UNREAD.sub(" ", text) if '"' in text or "#" in text else text
    directives = read.count("@")
    read = _DIRECTIVE.sub(" ", _ARGUMENTS.sub(" ", read))
    parts = _parts(read)
    if parts is None:
        return None
    return Measures(
        parts=parts,
        aliases=read.count(":"),
        directives=directives,
        definitions=len(parts),
        repeats=sum(part.repeats for part in parts),
        nesting=max((part.nesting for part in parts), default=0),
    )


def _check(measures: Measures | Extent, limits: Limits, messages: Mapping[str, str]) -> None:
    for limit, message in messages.items():
        maximum = getattr(limits, limit)
        if getattr(measures, limit) > maximum:
            raise too_much(limit, message.format(maximum))


@dataclass(slots=True)
class _Part:
    """An operation or a fragment, as it is written. A level is how many fields and the root lie around, from 1."""

    fragment: str | None
    fields: int = 0
    root_fields: int = 0
    depth: int = 0
    nesting: int = 1
    repeats: int = 0
    spreads: list[tuple[str, int]] = field(default_factory=list)  # at which level; 0 within introspection


def _parts(read: str) -> list[_Part] | None:
    parts: list[_Part] = []
    header: list[str] = []
    around: list[tuple[int, set[str]]] = []
    part: _Part | None = None
    level, seen, last = 0, set[str](), ""
    for piece in _PIECE.findall(read):
        if piece == "{":
            if part is None:
                part = _begun(header)
                if part is None:
                    return None
                parts.append(part)
                header = []
                level, seen = 1, set()
            else:
                around.append((level, seen))
                level, seen = _within(last, level, seen)
                part.nesting = max(part.nesting, len(around) + 1)
        elif part is None:
            header.append(piece)
        elif piece == "}":
            if around:
                level, seen = around.pop()
            else:
                part = None
        else:
            last = piece
            key = _selected(part, piece, level)
            if key in seen:
                part.repeats += 1
            elif key:
                seen.add(key)
    return None if header or part else parts


def _begun(header: list[str]) -> _Part | None:
    match header:
        case []:
            return _Part(None)
        case [kind] | [kind, _] if kind in _OPERATIONS:
            return _Part(None)
        case ["fragment", name, "on", _]:
            return _Part(name)
    return None


def _selected(part: _Part, piece: str, level: int) -> str:
    """What a selection adds, and by what name it is known beside others; an inline fragment is known by none."""
    if piece[0] == ".":
        name = piece[3:].lstrip(_IGNORED)
        if not name.isidentifier():  # on a type, or nothing
            return ""
        part.spreads.append((name, level))
        return f"...{name}"
    part.fields += 1
    part.depth = max(part.depth, level)
    if level == 1:
        part.root_fields += 1
    return piece.partition(":")[0].rstrip(_IGNORED) if ":" in piece else piece


def _within(selection: str, level: int, seen: set[str]) -> tuple[int, set[str]]:
    """The level of what stands in the braces behind a selection, and what is known there already."""
    if selection.startswith("."):
        return level, seen  # an inline fragment's selections are those around it
    introspects = selection.rpartition(":")[2].lstrip(_IGNORED).startswith("__")
    return 0 if introspects or not level else level + 1, set()


def _unfolded(part: _Part, fragments: Mapping[str, _Part], known: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """Depth and fields; each fragment is looked into once, since chained ones unfold to 2**n."""
    depth, fields = part.depth, part.fields
    for name, level in part.spreads:
        if name not in known:
            known[name] = 0, 0  # where it spreads itself, validation says so
            known[name] = _unfolded(fragments[name], fragments, known) if name in fragments else (0, 0)
        deeper, more = known[name]
        fields += more
        if level:
            depth = max(depth, level - 1 + deeper)
    return depth, fields


def _root_fields(part: _Part, fragments: Mapping[str, _Part]) -> int:
    found = part.root_fields
    todo, seen = [part], set[str]()
    while todo:
        for name, level in todo.pop().spreads:
            if level == 1 and name in fragments and name not in seen:
                seen.add(name)
                todo.append(fragments[name])
                found += fragments[name].root_fields
    return found


@cache
def _more_tokens_than(count: int) -> re.Pattern[str]:
    return re.compile(f"(?:{_SPACE}{_TOKEN}){{{count + 1}}}+")
