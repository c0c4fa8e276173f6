"""Computes an expression over columns: the same for one row, now, and for the rows of a year."""

from collections.abc import Mapping, Sequence

from domain.expressions.language import Apply, Expression, Number, Operation, Pattern, Reference, Value

Column = Sequence[Value]


def evaluated(
    expression: Expression, columns: Mapping[str, Column], matches: Mapping[str, Sequence[str]], *, rows: int
) -> Column:
    """`columns` by address, `matches` has the addresses of each pattern. Of a pattern that matches none there is none.

    None where a value is missing that is needed, and where the result is no number that can be kept.
    """
    stack: list[list[Column]] = []  # of each operand its columns: one, or as many as a pattern matches
    for step in expression.steps:
        match step:
            case Number(value):
                stack.append([[value] * rows])
            case Reference(address, _):
                stack.append([columns[address]])
            case Pattern(glob, _):
                stack.append([columns[address] for address in matches[glob]])
            case Apply(operation, count):
                operands = stack[-count:]
                del stack[-count:]
                stack.append(_applied(operation, operands, rows))
    ((column,),) = stack
    return column


def _applied(operation: Operation, operands: Sequence[list[Column]], rows: int) -> list[Column]:
    if operation.gathers:
        values = [column for operand in operands for column in operand]
        return [_row_by_row(operation, values) if values else [None] * rows]
    count = next((len(operand) for operand in operands if len(operand) != 1), 1)
    return [
        _row_by_row(operation, [operand[0 if len(operand) == 1 else point] for operand in operands])
        for point in range(count)
    ]


def _row_by_row(operation: Operation, columns: Sequence[Column]) -> Column:
    apply = operation.apply
    return [apply(*row) for row in zip(*columns, strict=True)]
