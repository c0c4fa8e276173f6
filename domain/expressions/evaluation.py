"""Computes an expression over columns: the same for one row, now, and for the rows of a year."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from domain.expressions.language import Apply, Expression, Number, Operation, Pattern, Reference, Value

Column = Sequence[Value]


class Operand(NamedTuple):
    """A column of which the rows before `since` are of a time when its point was not there yet."""

    column: Column
    since: int = 0


def evaluated(
    expression: Expression,
    columns: Mapping[str, Column],
    matches: Mapping[str, Sequence[str]],
    *,
    rows: int,
    since: Mapping[str, int],
) -> Column:
    """`columns` by address; `matches` has the addresses of each pattern, of which a point counts from row `since` on.

    None where a value is missing that is needed, where a pattern has no points, and where the result is no number that
    can be kept.
    """
    stack: list[list[Operand]] = []  # one operand, or as many as a pattern has points
    for step in expression.steps:
        match step:
            case Number(value):
                stack.append([Operand([value] * rows)])
            case Reference(address, _):
                stack.append([Operand(columns[address])])
            case Pattern(glob, _):
                stack.append([Operand(columns[address], since.get(address, 0)) for address in matches[glob]])
            case Apply(operation, count):
                operands = stack[-count:]
                del stack[-count:]
                stack.append(_applied(operation, operands, rows))
    ((found,),) = stack
    return found.column


def _applied(operation: Operation, operands: Sequence[list[Operand]], rows: int) -> list[Operand]:
    if operation.gathers:
        return [Operand(_gathered(operation, [one for operand in operands for one in operand], rows))]
    count = next((len(operand) for operand in operands if len(operand) != 1), 1)
    return [
        _point_by_point(operation, [operand[0 if len(operand) == 1 else point] for operand in operands])
        for point in range(count)
    ]


def _point_by_point(operation: Operation, operands: Sequence[Operand]) -> Operand:
    return Operand(_row_by_row(operation, [one.column for one in operands]), max(operand.since for operand in operands))


def _gathered(operation: Operation, operands: Sequence[Operand], rows: int) -> Column:
    """Of each row those that are there by then."""
    found: list[Value] = []
    starts = sorted({0, *(one.since for one in operands if one.since < rows)})
    for start, end in pairwise([*starts, rows]):
        there = [one.column[start:end] for one in operands if one.since <= start]
        found += _row_by_row(operation, there) if there else [None] * (end - start)
    return found


def _row_by_row(operation: Operation, columns: Sequence[Column]) -> Column:
    apply = operation.apply
    return [apply(*row) for row in zip(*columns, strict=True)]
