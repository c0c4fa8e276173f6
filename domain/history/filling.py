"""What stands in a column where nothing was measured, for whoever asks for it: by itself nothing is invented."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from domain.history.columns import Column


class Fill(StrEnum):
    NONE = "NONE"
    PREVIOUS = "PREVIOUS"
    LINEAR = "LINEAR"
    ZERO = "ZERO"


def filled(column: Column, timestamps: Sequence[datetime], fill: Fill, before: float | None, now: datetime) -> Column:
    """`before` is the last number before the column; what has not begun yet stays empty."""
    match fill:
        case Fill.PREVIOUS:
            return _previous(column, timestamps, before, now)
        case Fill.LINEAR:
            return _linear(column, timestamps)
        case Fill.ZERO:
            return [0.0 if value is None and at < now else value for value, at in zip(column, timestamps, strict=True)]
    return column


def _previous(column: Column, timestamps: Sequence[datetime], last: float | None, now: datetime) -> list[float | None]:
    found = []
    for value, at in zip(column, timestamps, strict=True):
        if value is not None:
            last = value
        found.append(last if at < now else value)
    return found


def _linear(column: Column, timestamps: Sequence[datetime]) -> list[float | None]:
    """On a straight line between two numbers; before the first and after the last there is none."""
    found = list(column)
    known = [(index, value) for index, value in enumerate(column) if value is not None]
    for (left, begins), (right, ends) in pairwise(known):
        length = timestamps[right] - timestamps[left]
        for index in range(left + 1, right):
            part = (timestamps[index] - timestamps[left]) / length
            found[index] = begins * (1 - part) + ends * part
    return found
