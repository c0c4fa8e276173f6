"""One line of the table: what was measured, beside what, and how the two relate."""

from typing import NamedTuple


class Row(NamedTuple):
    what: str
    ours: str
    beside: str
    ratio: float


def table(rows: list[Row]) -> str:
    """As Markdown."""
    lines = ["| what | ours | beside | ratio |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {row.what} | {row.ours} | {row.beside} | {row.ratio:.2f} |" for row in rows)])
