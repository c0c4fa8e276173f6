"""Documents as anybody might write them, and what they ask for as graphql-core's own tree of them says."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    Lexer,
    OperationDefinitionNode,
    SelectionSetNode,
    Source,
    TokenKind,
    Visitor,
    parse,
    visit,
)

from gateways.graphql.scan import Extent

NAMES = ("a", "b", "on", "fragment", "query", "mutation", "__typename", "__schema", "onward", "é_not".strip("é"), "_1")
TEXTS = ("", "}", '"""', "{ a @b (c: d)", "#", "...F0", '"', "\\", "\n", "größer 😀", "()", ":", "@", "\\u0041")
GAPS = (" ", "\n", "\t", ",", "\ufeff", "\r\n", "  , ", "# }\n", '# "\r', '#"""\n', "#@a:b(\n# ...\n", "#\n")
FRAGMENTS = 4


class Writer:
    """Writes one document; chance decides."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance

    def document(self) -> str:
        definitions = [self._fragment(number) for number in range(self._chance.randrange(FRAGMENTS + 1))]
        definitions += [self._operation() for _ in range(self._chance.randrange(4))]
        self._chance.shuffle(definitions)
        if not definitions:
            definitions = [self._operation()]
        return self._joined([token for definition in definitions for token in definition])

    def _operation(self) -> list[str]:
        if self._often(0.3):
            return self._braces(0, 0)
        kind = self._chance.choice(["query", "mutation", "subscription"])
        name = [self._name()] if self._often(0.5) else []
        return [*self._description(), kind, *name, *self._variables(), *self._directives(), *self._braces(0, 0)]

    def _fragment(self, number: int) -> list[str]:
        """It spreads none but those that come after it, so that none spreads itself."""
        head = [*self._description(), "fragment", f"F{number}", "on", self._name()]
        return [*head, *self._directives(), *self._braces(0, number + 1)]

    def _description(self) -> list[str]:
        return [self._string()] if self._often(0.1) else []

    def _variables(self) -> list[str]:
        if self._often(0.7):
            return []
        default = ["=", *self._value(0)] if self._often(0.5) else []
        return ["(", "$", "v", ":", "[", "T", "!", "]", *default, *self._directives(), ")"]

    def _braces(self, depth: int, first: int) -> list[str]:
        count = self._chance.randrange(4 if depth < 5 else 1)
        return ["{", *(token for _ in range(count) for token in self._selection(depth, first)), "}"]

    def _selection(self, depth: int, first: int) -> list[str]:
        kind = self._chance.random()
        if kind < 0.15:
            return ["...", f"F{self._chance.randrange(first, FRAGMENTS + 1)}", *self._directives()]
        if kind < 0.3:
            on = ["on", self._name()] if self._often(0.6) else []
            return ["...", *on, *self._directives(), *self._braces(depth + 1, first)]
        alias = [self._name(), ":"] if self._often(0.2) else []
        within = self._braces(depth + 1, first) if self._often(0.5) else []
        return [*alias, self._name(), *self._arguments(), *self._directives(), *within]

    def _directives(self) -> list[str]:
        if self._often(0.85):
            return []
        return ["@", self._name(), *self._arguments(), *self._directives()]

    def _arguments(self) -> list[str]:
        if self._often(0.7):
            return []
        count = self._chance.randrange(1, 3)
        return ["(", *(token for _ in range(count) for token in [self._name(), ":", *self._value(0)]), ")"]

    def _value(self, depth: int) -> list[str]:
        kind = self._chance.randrange(7 if depth < 3 else 5)
        match kind:
            case 0 | 1:
                return [self._string()]
            case 2:
                return [self._chance.choice(["0", "-1", "20", "1.5", "-0.25e-3", "6E+9"])]
            case 3:
                return [self._chance.choice(["true", "null", "ENUM"])]
            case 4:
                return [
                    "[",
                    *(token for _ in range(self._chance.randrange(3)) for token in self._value(depth + 1)),
                    "]",
                ]
            case 5:
                return ["{", *(token for _ in range(2) for token in [self._name(), ":", *self._value(depth + 1)]), "}"]
        return ["[", "]"]

    def _string(self) -> str:
        text = "".join(self._chance.choices(TEXTS, k=self._chance.randrange(4)))
        if self._often(0.6):
            return json.dumps(text, ensure_ascii=self._often(0.5))
        return '"""' + text.replace('"""', '\\"""') + '\n"""'

    def _joined(self, tokens: list[str]) -> str:
        text = self._gap()
        for before, after in zip(tokens, [*tokens[1:], ""], strict=True):
            text += before
            if _run_together(before, after) or self._often(0.4):
                text += self._gap()
        return text

    def _gap(self) -> str:
        return "".join(self._chance.choices(GAPS, k=self._chance.randrange(1, 3)))

    def _name(self) -> str:
        return self._chance.choice(NAMES)

    def _often(self, share: float) -> bool:
        return self._chance.random() < share


def _run_together(before: str, after: str) -> bool:
    if before.endswith('"'):
        return after.startswith('"')
    return (before[-1].isalnum() or before[-1] == "_") and bool(after) and (after[0].isalnum() or after[0] in "_-.")


@dataclass(frozen=True)
class Asked:
    """What a document asks for. Fragments are unfolded one by one, so it must not have many."""

    tokens: int
    aliases: int
    directives: int
    definitions: int
    repeats: int
    nesting: int
    extents: list[Extent]


def asked(text: str) -> Asked:
    document = parse(text)
    counts = _Counts()
    visit(document, counts)
    fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
    roots = [
        one.selection_set
        for one in document.definitions
        if isinstance(one, OperationDefinitionNode | FragmentDefinitionNode)
    ]
    return Asked(
        tokens=_tokens(text),
        aliases=counts.aliases,
        directives=counts.directives,
        definitions=len(document.definitions),
        repeats=sum(_repeats(root) for root in roots),
        nesting=max((_nesting(root) for root in roots), default=0),
        extents=list(_extents(document, fragments)),
    )


class _Counts(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.aliases = 0
        self.directives = 0

    def enter_field(self, node: FieldNode, *_: object) -> None:
        self.aliases += node.alias is not None

    def enter_directive(self, _node: DirectiveNode, *_: object) -> None:
        self.directives += 1


def _tokens(text: str) -> int:
    """Comments among them."""
    lexer = Lexer(Source(text))
    token = lexer.token
    while lexer.advance().kind is not TokenKind.EOF:
        pass
    count = -1
    while token.kind is not TokenKind.EOF:
        count += 1
        assert token.next
        token = token.next
    return count


def _flat(selected: SelectionSetNode | None) -> Iterator[FieldNode | FragmentSpreadNode]:
    """What is selected, as if inline fragments were not there."""
    for one in selected.selections if selected else ():
        if isinstance(one, InlineFragmentNode):
            yield from _flat(one.selection_set)
        else:
            assert isinstance(one, FieldNode | FragmentSpreadNode)
            yield one


def _key(one: FieldNode | FragmentSpreadNode) -> str:
    if isinstance(one, FragmentSpreadNode):
        return f"...{one.name.value}"
    return (one.alias or one.name).value


def _repeats(selected: SelectionSetNode | None) -> int:
    flat = list(_flat(selected))
    within = sum(_repeats(one.selection_set) for one in flat if isinstance(one, FieldNode))
    return len(flat) - len({_key(one) for one in flat}) + within


def _nesting(selected: SelectionSetNode) -> int:
    within = [getattr(one, "selection_set", None) for one in selected.selections]
    return 1 + max((_nesting(one) for one in within if one), default=0)


Fragments = dict[str, FragmentDefinitionNode]


def _extents(document: DocumentNode, fragments: Fragments) -> Iterator[Extent]:
    for one in document.definitions:
        if isinstance(one, OperationDefinitionNode):
            root = one.selection_set
            yield Extent(_depth(root, fragments), _fields(root, fragments), _roots(root, fragments, set()))


def _depth(selected: SelectionSetNode | None, fragments: Fragments) -> int:
    deepest = 0
    for one in _flat(selected):
        if isinstance(one, FragmentSpreadNode):
            fragment = fragments.get(one.name.value)
            deepest = max(deepest, _depth(fragment.selection_set, fragments) if fragment else 0)
        else:
            introspects = one.name.value.startswith("__")
            deepest = max(deepest, 1 if introspects else 1 + _depth(one.selection_set, fragments))
    return deepest


def _fields(selected: SelectionSetNode | None, fragments: Fragments) -> int:
    count = 0
    for one in _flat(selected):
        if isinstance(one, FragmentSpreadNode):
            fragment = fragments.get(one.name.value)
            count += _fields(fragment.selection_set, fragments) if fragment else 0
        else:
            count += 1 + _fields(one.selection_set, fragments)
    return count


def _roots(selected: SelectionSetNode, fragments: Fragments, seen: set[str]) -> int:
    count = 0
    for one in _flat(selected):
        if isinstance(one, FieldNode):
            count += 1
        elif one.name.value in fragments and one.name.value not in seen:
            seen.add(one.name.value)
            count += _roots(fragments[one.name.value].selection_set, fragments, seen)
    return count
