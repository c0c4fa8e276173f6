from datetime import UTC, datetime
from typing import Any

import pytest

from domain import points
from domain.points import Reading
from tests.factories import a_location
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIELDS = "id name kind location { name } samplingInterval timezone tags commissionedAt createdAt"
CREATE = f"mutation ($input: CreateMeterInput!) {{ createMeter(input: $input) {{ {FIELDS} }} }}"
UPDATE = f"mutation ($id: ID!, $input: UpdateMeterInput!) {{ updateMeter(id: $id, input: $input) {{ {FIELDS} }} }}"
METER = f"query ($id: ID!) {{ meter(id: $id) {{ {FIELDS} points {{ nodes {{ address ownerKind unit }} }} }} }}"
SERIES = """
mutation ($id: ID!, $input: CreateMeterSeriesInput!) {
  createMeterSeries(meterId: $id, input: $input) {
    address unit ownerKind ownerId aggregation dataType rolloverAt latest { value }
  }
}
"""


async def a_meter(tester: Tester, name: str = "main", **given: Any) -> Any:
    return (await tester.gql(CREATE, {"input": {"name": name, "kind": "ELECTRICITY", **given}}))["createMeter"]


async def recorded(tester: Tester, address: str, value: float = 1.0) -> None:
    async with tester.work() as work:
        assert (await points.record(work, [Reading(address, NOON, value)])).recorded == 1


async def test_a_meter_shows_what_was_entered(acme: Tester) -> None:
    location = await a_location(acme, "Depot")
    entered = {
        "name": " main ",
        "kind": "HEAT",
        "samplingInterval": "PT15M",
        "timezone": "Europe/Berlin",
        "tags": ["billing", " cellar ", "billing"],
        "commissionedAt": "2020-02-01T00:00:00+01:00",
    }

    created = (await acme.gql(CREATE, {"input": entered | {"locationId": str(location.id)}}))["createMeter"]
    asked = (await acme.gql(METER, {"id": created["id"]}))["meter"]

    assert asked == created | {"points": {"nodes": []}}
    assert created | {"id": 0, "createdAt": 0} == entered | {
        "name": "main",
        "location": {"name": "Depot"},
        "tags": ["billing", "cellar"],
        "commissionedAt": "2020-01-31T23:00:00Z",
        "id": 0,
        "createdAt": 0,
    }


async def test_what_is_absent_of_an_update_stays_and_null_clears(acme: Tester) -> None:
    meter = await a_meter(acme, tags=["a"], timezone="UTC", samplingInterval="PT1S")

    changed = {"kind": "GAS", "timezone": None, "tags": ["b"]}
    updated = (await acme.gql(UPDATE, {"id": meter["id"], "input": changed}))["updateMeter"]

    assert updated == meter | changed
    location = await a_location(acme, "Depot")
    changed = {"tags": None, "locationId": str(location.id)}
    updated = (await acme.gql(UPDATE, {"id": meter["id"], "input": changed}))["updateMeter"]
    assert (updated["tags"], updated["location"]) == ([], {"name": "Depot"})
    assert await acme.gql_errors(UPDATE, {"id": meter["id"], "input": {"kind": None}}) == ["INVALID"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "},
        {"name": "a/b"},
        {"name": "x" * 101},
        {"timezone": "Mars/Phobos"},
        {"samplingInterval": "15 minutes"},
        {"samplingInterval": "PT0S"},
        {"tags": [""]},
        {"tags": ["x" * 65]},
        {"commissionedAt": "2020-02-01T00:00:00"},
    ],
)
async def test_a_meter_that_cannot_be_is_refused(acme: Tester, wrong: dict[str, object]) -> None:
    assert await acme.gql_errors(CREATE, {"input": {"name": "main", "kind": "WATER"} | wrong}) == ["INVALID"]


async def test_a_name_is_one_meters_of_a_tenant(acme: Tester, rival: Tester) -> None:
    await a_meter(acme)

    (error,) = (await acme.answer(CREATE, {"input": {"name": "main", "kind": "GAS"}})).errors or []
    assert (error.message, (error.extensions or {})["code"]) == ("meter main exists already", "CONFLICT")
    assert (await a_meter(rival))["name"] == "main"


async def test_meters_are_found_by_what_is_said_of_them(acme: Tester) -> None:
    location = await a_location(acme)
    await a_meter(acme, "Main", tags=["billing"], locationId=str(location.id))
    await a_meter(acme, "pump_1", kind="WATER", tags=["cellar", "billing"])
    await a_meter(acme, "pumpX1")

    async def found(asked: str) -> list[str]:
        listed = await acme.gql(f"{{ meters(filter: {{{asked}}}) {{ nodes {{ name }} }} }}")
        return [meter["name"] for meter in listed["meters"]["nodes"]]

    assert await found("") == ["pumpX1", "pump_1", "Main"]
    assert await found("kind: WATER") == ["pump_1"]
    assert await found('tag: "billing"') == ["pump_1", "Main"]
    assert await found('tag: "bill"') == []
    assert await found('text: "P_1"') == ["pump_1"]
    assert await found(f'locationId: "{location.id}"') == ["Main"]
    assert await found('kind: WATER, tag: "nothing"') == []


async def test_a_series_is_a_point_of_its_meter_before_anything_was_read(acme: Tester) -> None:
    meter = await a_meter(acme)
    said = {"name": "import", "unit": "kWh", "aggregation": "SUM", "dataType": "MEASUREMENT", "rolloverAt": 1e9}

    series = (await acme.gql(SERIES, {"id": meter["id"], "input": said}))["createMeterSeries"]

    assert series == {
        "address": "meter/main/import",
        "unit": "Wh",
        "ownerKind": "METER",
        "ownerId": meter["id"],
        "aggregation": "SUM",
        "dataType": "MEASUREMENT",
        "rolloverAt": 1e9,
        "latest": None,
    }
    assert await acme.gql_errors(SERIES, {"id": meter["id"], "input": said}) == ["CONFLICT"]
    await recorded(acme, "meter/main/import", 5)
    owned = f'{{ points(filter: {{owner: "{meter["id"]}"}}) {{ nodes {{ address latest {{ value }} }} }} }}'
    assert (await acme.gql(owned))["points"]["nodes"] == [{"address": "meter/main/import", "latest": {"value": 5.0}}]


@pytest.mark.parametrize("wrong", [{"name": ""}, {"name": "a/b"}, {"unit": "x" * 33}, {"rolloverAt": 0.0}])
async def test_a_series_that_cannot_be_is_refused(acme: Tester, wrong: dict[str, object]) -> None:
    meter = await a_meter(acme)

    assert await acme.gql_errors(SERIES, {"id": meter["id"], "input": {"name": "import"} | wrong}) == ["INVALID"]


async def test_a_meter_shows_what_stands_under_its_address_and_no_others(acme: Tester) -> None:
    await recorded(acme, "meter/a_1/before")
    meter = await a_meter(acme, "a_1")
    for address in ("meter/a_1/after", "meter/a_12/x", "meter/aX1/x", "a_1/x"):
        await recorded(acme, address)

    shown = (await acme.gql(METER, {"id": meter["id"]}))["meter"]["points"]["nodes"]

    assert [point["address"] for point in shown] == ["meter/a_1/after", "meter/a_1/before"]


async def test_what_is_recorded_under_a_meters_address_belongs_to_it(acme: Tester, rival: Tester) -> None:
    await a_meter(rival, "theirs")
    meter = await a_meter(acme)
    for address in ("meter/main/import", "meter/main/L1/power", "meter/theirs/import", "meter/main", "main/import"):
        await recorded(acme, address)

    owned = f'{{ points(filter: {{owner: "{meter["id"]}"}}) {{ nodes {{ address ownerKind }} }} }}'
    assert (await acme.gql(owned))["points"]["nodes"] == [
        {"address": "meter/main/L1/power", "ownerKind": "METER"},
        {"address": "meter/main/import", "ownerKind": "METER"},
    ]
    others = await acme.gql("{ points { nodes { address ownerId } } }")
    assert sum(point["ownerId"] is None for point in others["points"]["nodes"]) == 3


async def test_points_outlive_their_meter(acme: Tester) -> None:
    meter = await a_meter(acme)
    await acme.gql(SERIES, {"id": meter["id"], "input": {"name": "import"}})
    await recorded(acme, "meter/main/import", 5)

    await acme.gql("mutation ($id: ID!) { deleteMeter(id: $id) { id } }", {"id": meter["id"]})

    assert await acme.gql_errors(METER, {"id": meter["id"]}) == ["NOT_FOUND"]
    assert await acme.gql('{ point(address: "meter/main/import") { latest { value } } }') == {
        "point": {"latest": {"value": 5.0}}
    }
    again = await a_meter(acme)
    shown = (await acme.gql(METER, {"id": again["id"]}))["meter"]["points"]["nodes"]
    assert [point["address"] for point in shown] == ["meter/main/import"]


async def test_meters_outlive_their_location(acme: Tester) -> None:
    location = await a_location(acme, "Depot")
    meter = await a_meter(acme, locationId=str(location.id))

    await acme.gql("mutation ($id: ID!) { deleteLocation(id: $id) { id } }", {"id": str(location.id)})

    assert (await acme.gql(METER, {"id": meter["id"]}))["meter"]["location"] is None


async def test_what_is_said_of_a_point_can_be_said_later(acme: Tester) -> None:
    await recorded(acme, "p")
    update = """
    mutation ($input: UpdatePointInput!) {
      updatePoint(address: "p", input: $input) { aggregation dataType rolloverAt }
    }
    """

    said = (await acme.gql(update, {"input": {"rolloverAt": 1000.0, "dataType": "PRICE"}}))["updatePoint"]
    cleared = (await acme.gql(update, {"input": {"dataType": None, "aggregation": "MEAN"}}))["updatePoint"]

    assert said == {"aggregation": None, "dataType": "PRICE", "rolloverAt": 1000.0}
    assert cleared == {"aggregation": "MEAN", "dataType": None, "rolloverAt": 1000.0}
    assert await acme.gql_errors(update, {"input": {"rolloverAt": -1.0}}) == ["INVALID"]
    assert await acme.gql_errors(update.replace('"p"', '"q"'), {"input": {}}) == ["NOT_FOUND"]
