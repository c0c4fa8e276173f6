"""Reads an expression. Every error names the character at which it stands, from 1.

    expression = sum [("<" | "<=" | ">" | ">=" | "==" | "!=") sum]
    sum        = product {("+" | "-") product}
    product    = signed {("*" | "/") signed}
    signed     = {"-" | "+"} operand
    operand    = number | point | function "(" expression {"," expression} ")" | "(" expression ")"
    point      = name | "'" address "'" | '"' address '"'

A name is letters, digits, underscores and dots, with no digit in front; any other address stands in quotes. Within
sum, avg, min and max an address in quotes that has a star is a pattern, see `patterns`; elsewhere a star is a star.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from math import isfinite
from typing import NamedTuple

from domain.errors import Invalid
from domain.expressions.language import (
    COMPARISONS,
    FUNCTIONS,
    MINUS,
    PRODUCTS,
    SUMS,
    Apply,
    Expression,
    Number,
    Operation,
    Pattern,
    Reference,
    Shape,
    Step,
)

LENGTH_MAX = 4_000
DEPTH_MAX = 50  # of what stands within something else
POINTS_MAX = 200  # that are named; a pattern counts as one

_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[^\W\d][\w.]*)"
    r"|(?P<quoted>'[^']*'|\"[^\"]*\")"
    r"|(?P<sign><=|>=|==|!=|[-+*/()<>,])"
)


class Token(NamedTuple):
    kind: str
    text: str
    at: int


class Part(NamedTuple):
    """What is known of what was just read."""

    shape: Shape
    pattern: Pattern | None = None  # of whose points it is computed one by one


@lru_cache(maxsize=10_000)
def parsed(text: str) -> Expression:
    """Raises `Invalid` with the `position`, from 1, of what is wrong."""
    if len(text) > LENGTH_MAX:
        raise wrong(f"an expression has at most {LENGTH_MAX} characters, not {len(text)}", LENGTH_MAX + 1)
    return _Parser(text).expression()


def wrong(what: str, at: int) -> Invalid:
    return Invalid(f"{what} (at character {at})", field="expression", position=at)


def _tokens(text: str) -> list[Token]:
    tokens = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            quoted = text[at] in "'\""
            raise wrong("an address in quotes does not end" if quoted else f"{text[at]!r} means nothing", at + 1)
        if found.lastgroup != "space":
            tokens.append(Token(str(found.lastgroup), found.group(), at + 1))
        at = found.end()
    return [*tokens, Token("end", "the end", len(text) + 1)]


class _Parser:
    """Writes the steps as it reads; each method returns what it knows of the part that it has read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0
        self._depth = 0
        self._gathering = 0  # how many sums, means, … are open, within which a star makes a pattern
        self._steps: list[Step] = []

    def expression(self) -> Expression:
        part = self._comparison()
        if self._token.kind != "end":
            raise self._unexpected("an operator or the end")
        named = [step for step in self._steps if isinstance(step, Reference | Pattern)]
        if not named:
            raise wrong("an expression is made of at least one point", 1)
        if len(named) > POINTS_MAX:
            raise wrong(f"an expression names at most {POINTS_MAX} points", named[POINTS_MAX].at)
        return Expression(self._text, tuple(self._steps), part.shape)

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _take(self, *signs: str) -> Token | None:
        """The next token, where it is one of these signs."""
        token = self._token
        if token.kind != "sign" or token.text not in signs:
            return None
        self._next += 1
        return token

    def _expect(self, sign: str, *, or_: str = "") -> None:
        if self._take(sign) is None:
            raise self._unexpected(f"{or_}{sign!r}")

    def _unexpected(self, expected: str) -> Invalid:
        token = self._token
        return wrong(f"expected {expected}, not {token.text if token.kind == 'end' else repr(token.text)}", token.at)

    def _comparison(self) -> Part:
        left = self._sum()
        sign = self._take(*COMPARISONS)
        if sign is None:
            return left
        part = self._apply(COMPARISONS[sign.text], [left, self._sum()])
        if self._token.text in COMPARISONS:
            raise wrong("comparisons do not follow each other: use parentheses", self._token.at)
        return part

    def _sum(self) -> Part:
        return self._chain(self._product, SUMS)

    def _product(self) -> Part:
        return self._chain(self._signed, PRODUCTS)

    def _chain(self, operand: Callable[[], Part], operations: Mapping[str, Operation]) -> Part:
        part = operand()
        while sign := self._take(*operations):
            part = self._apply(operations[sign.text], [part, operand()])
        return part

    def _signed(self) -> Part:
        negative = False
        while sign := self._take("-", "+"):
            negative ^= sign.text == "-"
        part = self._operand()
        return self._apply(MINUS, [part]) if negative else part

    def _operand(self) -> Part:
        token = self._token
        if self._take("("):
            return self._within(token, self._parenthesis)
        if token.kind not in ("number", "name", "quoted"):
            raise self._unexpected("a number, a point, a function or '('")
        self._next += 1
        if token.kind == "number":
            return self._number(token)
        if token.kind == "name" and self._take("("):
            return self._within(token, lambda: self._call(token))
        return self._point(token)

    def _within(self, token: Token, read: Callable[[], Part]) -> Part:
        if self._depth == DEPTH_MAX:
            raise wrong(f"an expression is at most {DEPTH_MAX} levels deep", token.at)
        self._depth += 1
        part = read()
        self._depth -= 1
        return part

    def _parenthesis(self) -> Part:
        part = self._comparison()
        self._expect(")")
        return part

    def _number(self, token: Token) -> Part:
        value = float(token.text)
        if not isfinite(value):
            raise wrong("the number is too large", token.at)
        self._steps.append(Number(value))
        return Part(Shape.CONSTANT)

    def _point(self, token: Token) -> Part:
        address = token.text
        if token.kind == "quoted":
            address = address[1:-1]
            if self._gathering:
                if "*" in address.replace("\\*", ""):
                    pattern = Pattern(address, token.at)
                    self._steps.append(pattern)
                    return Part(Shape.PROPORTIONAL, pattern)
                address = address.replace("\\*", "*")
        if not address:
            raise wrong("an address is not empty", token.at)
        self._steps.append(Reference(address, token.at))
        return Part(Shape.PROPORTIONAL)

    def _call(self, name: Token) -> Part:
        operation = FUNCTIONS.get(name.text)
        if operation is None:
            raise wrong(f"there is no function {name.text!r}: there are {', '.join(FUNCTIONS)}", name.at)
        self._gathering += operation.gathers
        parts = [self._comparison()]
        while self._take(","):
            parts.append(self._comparison())
        self._expect(")", or_="',' or ")
        self._gathering -= operation.gathers
        if len(parts) < operation.least or (operation.most is not None and len(parts) > operation.most):
            raise wrong(f"{name.text} takes {operation.takes}, not {len(parts)}", name.at)
        return self._apply(operation, parts)

    def _apply(self, operation: Operation, parts: list[Part]) -> Part:
        self._steps.append(Apply(operation, len(parts)))
        shape = operation.shape([part.shape for part in parts])
        if operation.gathers:
            return Part(shape)
        patterns = [part.pattern for part in parts if part.pattern is not None]
        if len(patterns) > 1:
            raise wrong("two patterns do not go together: sum each of them", patterns[1].at)
        return Part(shape, patterns[0] if patterns else None)
