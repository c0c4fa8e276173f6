"""Several settings at once."""

from typing import Any
from uuid import uuid4

import pytest

from domain import commands
from domain.commands import Outcome
from domain.commands.configuring import written
from domain.errors import Conflict, Invalid, NotFound
from tests.domain.commands.test_life import Station, beside
from tests.factories import a_station
from tests.tester import Tester

pytestmark = pytest.mark.anyio


def taking(*keys: str) -> Station:
    """Whatever else is written, is refused."""

    async def answer(order: dict[str, Any]) -> Outcome:
        taken = order["arguments"]["key"] in keys
        return Outcome("ACCEPTED", {}, None) if taken else Outcome("REJECTED", {}, "the station answered NotSupported")

    return Station(answer)


@pytest.mark.parametrize(
    ("value", "text"),
    [("x y", "x y"), (60, "60"), (0.5, "0.5"), (True, "true"), (False, "false"), (["A", "B"], "A,B"), ([1, 2], "1,2")],
)
def test_values_are_written_as_stations_read_them(value: object, text: str) -> None:
    assert written("Key", value) == text


@pytest.mark.parametrize("value", [None, {"a": 1}, [None], [{"a": 1}], [["A"]]])
def test_values_that_no_station_could_read_are_refused(value: object) -> None:
    with pytest.raises(Invalid, match="Key"):
        written("Key", value)


async def test_settings_are_written_in_their_order(acme: Tester) -> None:
    station, line = await a_station(acme), taking("B", "A", "C")

    changed = await commands.configure(
        beside(acme, line), acme.actor, station_id=station.id, wanted={"B": 2, "A": True, "C": "x"}
    )

    assert [order["arguments"] for order in line.heard] == [
        {"key": "B", "value": "2"},
        {"key": "A", "value": "true"},
        {"key": "C", "value": "x"},
    ]
    assert changed.configuration == {"B": "2", "A": "true", "C": "x"}


async def test_more_settings_than_a_station_could_take_in_time_are_refused(acme: Tester) -> None:
    station, line = await a_station(acme), taking()
    with pytest.raises(Invalid, match="config"):
        await commands.configure(
            beside(acme, line), acme.actor, station_id=station.id, wanted={f"K{number}": 1 for number in range(101)}
        )
    assert line.heard == []


async def test_those_that_were_not_taken_are_named(acme: Tester) -> None:
    station, line = await a_station(acme), taking("B")

    with pytest.raises(Conflict, match="A: the station answered NotSupported") as refused:
        await commands.configure(beside(acme, line), acme.actor, station_id=station.id, wanted={"A": 1, "B": 2})

    assert refused.value.details["refused"] == {"A": "the station answered NotSupported"}
    assert len(line.heard) == 2


async def test_nothing_is_written_where_one_value_is_none(acme: Tester) -> None:
    station, line = await a_station(acme), taking("A", "B")

    with pytest.raises(Invalid):
        await commands.configure(beside(acme, line), acme.actor, station_id=station.id, wanted={"A": 1, "B": None})
    with pytest.raises(NotFound):
        await commands.configure(beside(acme, line), acme.actor, station_id=uuid4(), wanted={"A": 1})

    assert line.heard == []


async def test_nothing_wanted_changes_nothing(acme: Tester) -> None:
    station, line = await a_station(acme), taking()

    assert (await commands.configure(beside(acme, line), acme.actor, station_id=station.id, wanted={})).id == station.id
    assert line.heard == []
