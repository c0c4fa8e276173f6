"""What an expression is made of, in the order in which it is computed: operands, then what is done with them.

A flat list and a stack in place of a tree: however long a chain of additions is, nothing recurses into it.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import fsum, isfinite
from typing import Any, NamedTuple

Value = float | None


class Shape(IntEnum):
    """How a result goes with its values; of several the greatest counts.

    Of means the mean comes out unless it is OTHER; of amounts the amount only where it is PROPORTIONAL.
    """

    CONSTANT = 0
    PROPORTIONAL = 1  # a sum of values, each times a number
    AFFINE = 2  # and a constant
    OTHER = 3


class Number(NamedTuple):
    value: float


class Reference(NamedTuple):
    """A point, and at which character of the text it is named, from 1."""

    address: str
    at: int


class Pattern(NamedTuple):
    """All points whose addresses it matches, see `patterns`."""

    glob: str
    at: int


@dataclass(frozen=True, slots=True)
class Operation:
    """What is done with `least` to `most` values. What `gathers` takes each point of a pattern as a value.

    Without all of its values there is no result, unless it is `lenient` and looks at them itself; nor is there where
    the result is no number that can be kept, as of a division by zero.
    """

    compute: Callable[..., Any]
    least: int
    most: int | None = None
    shape: Callable[[Sequence[Shape]], Shape] = lambda shapes: Shape.OTHER if any(shapes) else Shape.CONSTANT
    gathers: bool = False
    lenient: bool = False

    def apply(self, *values: Value) -> Value:
        if not self.lenient and None in values:
            return None
        try:
            result: Value = self.compute(*values)
        except (ArithmeticError, ValueError):
            return None
        return result if result is None or isfinite(result) else None

    @property
    def takes(self) -> str:
        count = str(self.least) if self.least == self.most else f"at least {self.least}"
        return f"{count} value{'' if count.endswith('1') else 's'}"


class Apply(NamedTuple):
    """An operation on as many of the values before it."""

    operation: Operation
    operands: int


Step = Number | Reference | Pattern | Apply


@dataclass(frozen=True, slots=True)
class Expression:
    text: str
    steps: tuple[Step, ...]
    shape: Shape

    @property
    def references(self) -> list[Reference]:
        return [step for step in self.steps if isinstance(step, Reference)]

    @property
    def patterns(self) -> list[Pattern]:
        return [step for step in self.steps if isinstance(step, Pattern)]


def _added(shapes: Sequence[Shape]) -> Shape:
    if Shape.OTHER in shapes or len(set(shapes)) == 1:
        return max(shapes)
    return Shape.AFFINE


def _multiplied(shapes: Sequence[Shape]) -> Shape:
    return max(shapes) if Shape.CONSTANT in shapes else Shape.OTHER


def _divided(shapes: Sequence[Shape]) -> Shape:
    return shapes[0] if shapes[1] is Shape.CONSTANT else Shape.OTHER


def _mean(*values: float) -> float:
    return fsum(values) / len(values)


def _clamped(value: float, low: float, high: float) -> float:
    return max(low, min(value, high))


def _first(*values: Value) -> Value:
    return next((value for value in values if value is not None), None)


def _chosen(condition: Value, then: Value, otherwise: Value) -> Value:
    """The value that is not chosen may be missing."""
    if condition is None:
        return None
    return then if condition else otherwise


def _comparison(compare: Callable[[float, float], bool]) -> Operation:
    return Operation(lambda left, right: float(compare(left, right)), 2, 2)


MINUS = Operation(operator.neg, 1, 1, max)
SUMS = {"+": Operation(operator.add, 2, 2, _added), "-": Operation(operator.sub, 2, 2, _added)}
PRODUCTS = {"*": Operation(operator.mul, 2, 2, _multiplied), "/": Operation(operator.truediv, 2, 2, _divided)}
COMPARISONS = {
    "<": _comparison(operator.lt),
    "<=": _comparison(operator.le),
    ">": _comparison(operator.gt),
    ">=": _comparison(operator.ge),
    "==": _comparison(operator.eq),
    "!=": _comparison(operator.ne),
}
FUNCTIONS = {
    "sum": Operation(lambda *values: fsum(values), 1, shape=_added, gathers=True),
    "avg": Operation(_mean, 1, shape=_added, gathers=True),
    "min": Operation(lambda *values: min(values), 1, gathers=True),
    "max": Operation(lambda *values: max(values), 1, gathers=True),
    "abs": Operation(abs, 1, 1),
    "clamp": Operation(_clamped, 3, 3),
    "coalesce": Operation(_first, 2, lenient=True),
    "if": Operation(_chosen, 3, 3, lenient=True),
}
