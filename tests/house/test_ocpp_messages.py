"""The page of OCPP's messages says what is so."""

import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from gateways.ocpp.frames import Version
from gateways.ocpp.schemas import actions
from tests.gateways.ocpp.test_every_order import EACH, requests
from voltgraph.wiring import OCPP

PAGE: Final = Path(__file__).parents[2] / "docs/reference/ocpp-messages.md"

Table = dict[str, dict[str, str]]  # message, version, cell


@cache
def tables() -> tuple[Table, Table]:
    """From stations, to stations."""
    _, inward, outward = re.split(r"^## .*$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return _table(inward), _table(outward)


def _table(text: str) -> Table:
    names, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:1] == "|"]
    told = [row for row in rows if row[0].startswith("`")]
    found = {row[0].strip("`"): dict(zip(names[1:4], row[1:4], strict=True)) for row in told}
    assert len(found) == len(told), "a message is told of twice"
    assert list(found) == sorted(found)
    return found


@cache
def ordered(version: Version) -> set[str]:
    return {
        type(request).__name__
        for spoken, kind, arguments, *_ in EACH
        if spoken is version
        for request in requests(version, kind, arguments)
    }


def expected(version: Version, message: str, *, is_done: bool) -> str:
    if message not in actions(version):
        return ""
    return "yes" if is_done else "no"


def test_the_page_has_every_message() -> None:
    inward, outward = tables()
    assert set(inward) | set(outward) == set().union(*map(actions, OCPP))
    assert set(inward) & set(outward) == {"DataTransfer"}  # goes either way


@pytest.mark.parametrize("version", OCPP)
def test_the_page_says_what_is_handled(version: Version) -> None:
    handled = OCPP[version].HANDLERS
    inward, _ = tables()
    assert set(handled) <= set(inward)
    for message, cells in inward.items():
        assert cells[version.number] == expected(version, message, is_done=message in handled), message


@pytest.mark.parametrize("version", OCPP)
def test_the_page_says_what_can_be_ordered(version: Version) -> None:
    _, outward = tables()
    assert ordered(version) <= set(outward)
    for message, cells in outward.items():
        assert cells[version.number] == expected(version, message, is_done=message in ordered(version)), message
