import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import points
from tests.factories import a_station
from tests.live import assert_live
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RECORD = """
mutation ($readings: [ReadingInput!]!) { recordReadings(readings: $readings) { recorded errors { index message } } }
"""
UPDATES = """
subscription ($addresses: [String!]) { pointUpdates(addresses: $addresses) { address at value text quality } }
"""
POWER = 'point(address: "meter/power") { address unit latest { at value text quality } }'


def reading(address: str, minutes: int, **given: Any) -> dict[str, Any]:
    return {"address": address, "at": (NOON + timedelta(minutes=minutes)).isoformat(), **given}


async def record(tester: Tester, *readings: dict[str, Any]) -> Any:
    return (await tester.gql(RECORD, {"readings": list(readings)}))["recordReadings"]


async def test_a_reading_becomes_a_point_with_a_latest_value(acme: Tester) -> None:
    recorded = await record(
        acme,
        reading("meter/power", 0, value=1.5, unit="kW"),
        reading("meter/mode", 0, text="AUTO", quality="UNCERTAIN"),
        reading("", 0, value=1),
    )

    assert recorded["recorded"] == 2
    assert [error["index"] for error in recorded["errors"]] == [2]
    assert await acme.gql(f"{{ {POWER} }}") == {
        "point": {
            "address": "meter/power",
            "unit": "W",
            "latest": {"at": "2026-03-01T12:00:00Z", "value": 1500.0, "text": None, "quality": "GOOD"},
        }
    }
    listed = await acme.gql('{ points(filter: {prefix: "meter/m"}) { totalCount nodes { latest { text quality } } } }')
    assert listed["points"] == {"totalCount": 1, "nodes": [{"latest": {"text": "AUTO", "quality": "UNCERTAIN"}}]}


async def test_history_answers_columns(acme: Tester) -> None:
    await record(
        acme,
        *(reading("meter/power", minutes, value=minutes * 10.0) for minutes in (0, 5, 10, 15)),
        reading("meter/voltage", 5, value=230.0),
    )
    query = """
    query ($resolution: String) {
      history(points: ["meter/power", "meter/voltage"], from: "2026-03-01T12:00:00Z", to: "2026-03-01T12:15:00Z",
              resolution: $resolution) { timestamps series { address unit values } }
    }
    """

    raw = (await acme.gql(query))["history"]
    means = (await acme.gql(query, {"resolution": "PT10M"}))["history"]

    assert raw["timestamps"] == ["2026-03-01T12:00:00Z", "2026-03-01T12:05:00Z", "2026-03-01T12:10:00Z"]
    assert [series["values"] for series in raw["series"]] == [[0.0, 50.0, 100.0], [None, 230.0, None]]
    assert means["timestamps"] == ["2026-03-01T12:00:00Z", "2026-03-01T12:10:00Z"]
    assert [series["values"] for series in means["series"]] == [[25.0, 100.0], [230.0, None]]


async def test_history_is_asked_by_function_fill_quality_moment_and_rows(acme: Tester) -> None:
    await record(
        acme,
        reading("p", 0, value=1.0),
        reading("p", 1, value=5.0, quality="UNCERTAIN"),
        *(reading("p", 30 + minutes, value=float(minutes)) for minutes in range(30)),
    )

    async def shown(arguments: str) -> Any:
        period = 'from: "2026-03-01T12:00:00Z", to: "2026-03-01T13:00:00Z"'
        found = await acme.gql(f'{{ history(points: ["p"], {period}, {arguments}) {{ series {{ unit values }} }} }}')
        return found["history"]["series"][0]["values"]

    assert await shown('resolution: "PT15M", function: MAX') == [5.0, None, 14.0, 29.0]
    assert await shown('resolution: "PT15M", function: LAST, fill: LINEAR') == [5.0, 9.5, 14.0, 29.0]
    assert await shown('resolution: "PT15M", function: SUM, quality: GOOD, fill: ZERO') == [1.0, 0.0, 105.0, 330.0]
    assert await shown('function: COUNT, asOf: "2001-01-01T00:00:00Z"') == []
    assert len(await shown("maxPoints: 12, downsampling: LTTB")) == 12
    assert len(await shown("maxPoints: 12")) <= 12


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ('points: ["p"], from: "2026-03-01T12:00:00Z", to: "2026-03-01T13:00:00Z", maxPoints: 9', "INVALID"),
        ('points: ["nowhere"], from: "2026-03-01T12:00:00Z", to: "2026-03-01T13:00:00Z"', "NOT_FOUND"),
        ('points: ["p"], from: "2026-03-01T12:00:00Z", to: "2026-03-01T12:00:00Z"', "INVALID"),
        ('points: ["p"], from: "2026-03-01T12:00:00", to: "2026-03-01T13:00:00Z"', "INVALID"),
        ('points: ["p"], from: "2026-03-01T12:00:00Z", to: "2026-03-01T13:00:00Z", resolution: "1h"', "INVALID"),
    ],
)
async def test_history_that_cannot_be_is_refused(acme: Tester, arguments: str, code: str) -> None:
    await record(acme, reading("p", 0, value=1))

    assert await acme.gql_errors(f"{{ history({arguments}) {{ timestamps }} }}") == [code]


async def test_energy_is_answered_as_a_number_and_as_columns_with_what_was_reset(acme: Tester) -> None:
    await record(
        acme,
        *(reading("meter", minutes, value=kwh, unit="kWh") for minutes, kwh in ((-1, 5), (10, 6), (40, 0.5), (70, 2))),
        reading("power", 0, value=1.0, unit="kW"),
        reading("current", 0, value=1.0, unit="A"),
    )
    period = 'from: "2026-03-01T12:00:00Z", to: "2026-03-01T14:00:00Z"'
    columns = f"""{{
      historyEnergy(points: ["power", "meter"], {period}) {{ series {{ address energyWh resets }} }}
      historyEnergyPerPeriod(points: ["meter", "power"], {period}, resolution: "PT1H", timezone: "UTC", base: ZERO) {{
        timestamps series {{ address unit values resets rollovers corrections drops {{ at kind beforeWh afterWh }} }}
      }}
    }}"""

    found = await acme.gql(columns)

    assert found["historyEnergy"]["series"] == [
        {"address": "power", "energyWh": 1000.0, "resets": 0},
        {"address": "meter", "energyWh": 3000.0, "resets": 1},
    ]
    drop = {"at": "2026-03-01T12:40:00Z", "kind": "RESET", "beforeWh": 6000.0, "afterWh": 500.0}
    assert found["historyEnergyPerPeriod"] == {
        "timestamps": ["2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z"],
        "series": [
            {"address": "meter", "unit": "Wh", "values": [1500.0, 1500.0]}
            | {"resets": 1, "rollovers": 0, "corrections": 0, "drops": [drop]},
            {"address": "power", "unit": "Wh", "values": [1000.0, None]}
            | {"resets": 0, "rollovers": 0, "corrections": 0, "drops": []},
        ],
    }
    assert await acme.gql_errors(f'{{ historyEnergy(points: ["current"], {period}) {{ series {{ energyWh }} }} }}') == [
        "INVALID"
    ]


async def test_whoever_watches_sees_a_point_as_a_query_does(acme: Tester) -> None:
    await record(acme, reading("meter/power", 0, value=1.0))

    async def measure() -> None:
        for minutes in (1, 2, 3):
            await record(acme, reading("meter/power", minutes, value=float(minutes)))
        await record(acme, reading("meter/power", -1, value=99.0))

    latest = '{ point(address: "meter/power") { address latest { at value text quality } } }'
    async with acme.subscribe(UPDATES, {"addresses": ["meter/power"]}) as items, asyncio.timeout(20):
        assert (await anext(items))["pointUpdates"]["value"] == 1.0
        await measure()
        now = (await acme.gql(latest))["point"]["latest"]
        told = None
        while told != {"address": "meter/power", **now}:
            told = (await anext(items))["pointUpdates"]

    assert now["value"] == 3.0


async def test_the_last_value_told_is_the_latest(acme: Tester) -> None:
    await record(acme, reading("meter/power", 0, value=1.0))

    await assert_live(
        acme,
        ("subscription { pointUpdates { at value text quality } }", "pointUpdates"),
        lambda: record(acme, reading("meter/power", 1, value=2.0), reading("meter/power", 2, value=3.0)),
        ('{ point(address: "meter/power") { latest { at value text quality } } }', "point.latest"),
        snapshot=1,
    )


async def test_a_point_may_be_watched_before_it_exists(acme: Tester) -> None:
    async with acme.subscribe(UPDATES, {"addresses": ["not/yet"]}) as items, asyncio.timeout(20):
        waiting = asyncio.ensure_future(anext(items))
        await record(acme, reading("another", 0, value=1.0))
        await record(acme, reading("not/yet", 0, value=2.0))
        told = (await waiting)["pointUpdates"]

    assert (told["address"], told["value"]) == ("not/yet", 2.0)


async def test_what_comes_later_than_from_its_device_joins_history_and_is_no_news(acme: Tester) -> None:
    await record(acme, reading("meter/power", 0, value=1.0))
    async with acme.subscribe(UPDATES, {"addresses": ["meter/power"]}) as items, asyncio.timeout(20):
        assert (await anext(items))["pointUpdates"]["value"] == 1.0
        for minutes, source in enumerate(("RESENT", "IMPORTED", "ENTERED"), start=1):
            await record(acme, reading("meter/power", minutes, value=9.0, source=source))
        await record(acme, reading("meter/power", 10, value=2.0, source="DEVICE"))
        assert (await anext(items))["pointUpdates"]["value"] == 2.0

    await record(acme, reading("meter/power", 10, value=3.0, source="ENTERED", version=2))
    history = """{ history(points: ["meter/power"], from: "2026-03-01T12:00:00Z", to: "2026-03-01T13:00:00Z") {
        series { values } } }"""
    assert (await acme.gql(history))["history"]["series"] == [{"values": [1.0, 9.0, 9.0, 9.0, 3.0]}]
    assert (await acme.gql(f"{{ {POWER} }}"))["point"]["latest"]["value"] == 2.0


async def test_what_a_station_has_measured_last_is_told_by_address(acme: Tester, rival: Tester) -> None:
    ours, other = (await a_station(acme, "CP-1")).id, (await a_station(acme, "CP-2")).id
    measured = {ours: [("a/power", 11.04, "kW"), ("a/energy", 5.0, "kWh")], other: [("b/power", 1.0, "kW")]}
    for station_id, values in measured.items():
        async with acme.work() as work:
            of = points.Owner(points.OwnerKind.STATION, station_id)
            await points.record(
                work, [points.Reading(a, NOON, value, unit=unit) for a, value, unit in values], owner=of
            )
    async with acme.work() as work:
        await points.record(work, [points.Reading("a/mode", NOON, text="eco", quality=points.Quality.UNCERTAIN)])

    asked = f'{{ realTimeMetrics(stationId: "{ours}") {{ address at value unit quality text }} }}'

    assert (await acme.gql(asked))["realTimeMetrics"] == [
        {
            "address": address,
            "at": "2026-03-01T12:00:00Z",
            "value": value,
            "unit": unit,
            "quality": "GOOD",
            "text": None,
        }
        for address, value, unit in (("a/energy", 5000.0, "Wh"), ("a/power", 11040.0, "W"))
    ]
    assert await rival.gql_errors(asked) == ["NOT_FOUND"]
