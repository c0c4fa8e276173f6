"""Points that are made of others: defined once, seen like any other."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import points
from domain.actor import Role
from domain.points import Owner, OwnerKind, Quality, Reading
from tests.factories import a_station
from tests.live import assert_live
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CREATE = """
mutation ($input: CreateVirtualPointInput!) {
  createVirtualPoint(input: $input) { address unit valueType expression latest { at value quality } }
}
"""
UPDATE = """
mutation ($address: String!, $input: UpdateVirtualPointInput!) {
  updateVirtualPoint(address: $address, input: $input) { expression unit latest { value } }
}
"""
DELETE = "mutation ($address: String!) { deleteVirtualPoint(address: $address) { address } }"
LATEST = "query ($address: String!) { point(address: $address) { latest { at value text quality } } }"
UPDATES = "subscription ($addresses: [String!]) { pointUpdates(addresses: $addresses) { address at value quality } }"


async def read(tester: Tester, minutes: float = 0, owner: Owner | None = None, **values: float | None) -> None:
    """A reading of each, of the minutes after noon; None is a broken sensor's."""
    at = NOON + timedelta(minutes=minutes)
    readings = [
        Reading(address.replace("__", "/"), at, value, quality=Quality.BAD if value is None else Quality.GOOD)
        for address, value in values.items()
    ]
    async with tester.work() as work:
        assert not (await points.record(work, readings, owner=owner)).errors


async def made(tester: Tester, address: str, expression: str, **given: Any) -> Any:
    wanted = {"address": address, "expression": expression, **given}
    return (await tester.gql(CREATE, {"input": wanted}))["createVirtualPoint"]


async def latest(tester: Tester, address: str) -> Any:
    return (await tester.gql(LATEST, {"address": address}))["point"]["latest"]


async def value(tester: Tester, address: str) -> Any:
    shown = await latest(tester, address)
    return None if shown is None else shown["value"]


async def refused(tester: Tester, expression: str, *, address: str = "v") -> tuple[str, str, Any]:
    answer = await tester.answer(CREATE, {"input": {"address": address, "expression": expression}})
    (error,) = answer.errors or []
    extensions = error.extensions or {}
    return extensions["code"], error.message, extensions.get("position")


async def test_a_virtual_point_is_what_its_expression_makes_of_the_latest_readings(acme: Tester) -> None:
    await read(acme, 0, plant__pv=5_000.0)
    await read(acme, 1, plant__export=1_500.0)

    created = await made(acme, "plant/own", "max(0, 'plant/pv' - 'plant/export')", unit="W")

    shown = {"at": "2026-03-01T12:01:00Z", "value": 3_500.0, "quality": "GOOD"}
    assert created == {
        "address": "plant/own",
        "unit": "W",
        "valueType": "NUMBER",
        "expression": "max(0, 'plant/pv' - 'plant/export')",
        "latest": shown,
    }
    assert await latest(acme, "plant/own") == shown | {"text": None}
    listed = await acme.gql('{ points(filter: {prefix: "plant/"}) { nodes { address expression latest { value } } } }')
    assert {row["address"]: row["latest"]["value"] for row in listed["points"]["nodes"]} == {
        "plant/pv": 5_000.0,
        "plant/export": 1_500.0,
        "plant/own": 3_500.0,
    }


async def test_a_pattern_counts_whatever_points_there_are(acme: Tester) -> None:
    await made(acme, "site", "sum('s/*/power')")
    assert await latest(acme, "site") is None

    await read(acme, s__1__power=1.0, s__2__power=2.0, s__2__current=50.0, s__2__power__L1=70.0)
    assert await value(acme, "site") == 3.0

    await read(acme, s__3__power=10.0)
    async with acme.work() as work:
        await points.record(work, [Reading("s/4/power", NOON, text="off")])
    assert await value(acme, "site") == 13.0, "texts are no numbers"


async def test_a_pattern_counts_no_point_that_was_never_read(acme: Tester) -> None:
    await read(acme, meter__1__power=1.0)
    meter = await acme.gql('mutation { createMeter(input: {name: "2", kind: ELECTRICITY}) { id } }')
    series = 'mutation ($id: ID!) { createMeterSeries(meterId: $id, input: {name: "power"}) { address } }'
    await acme.gql(series, {"id": meter["createMeter"]["id"]})
    await made(acme, "site", "sum('meter/*/power')")
    await made(acme, "named", "sum('meter/1/power', 'meter/2/power')")

    assert await latest(acme, "site") == {
        "at": "2026-03-01T12:00:00Z", "value": 1.0, "text": None, "quality": "GOOD",
    }  # fmt: skip
    assert await value(acme, "named") is None


async def test_a_pattern_counts_no_virtual_points(acme: Tester) -> None:
    await read(acme, s__1=1.0, s__2=2.0)
    await made(acme, "s/all", "sum('s/*')")
    await made(acme, "s/double", "2 * 's/all'")

    assert [await value(acme, "s/all"), await value(acme, "s/double")] == [3.0, 6.0]


async def test_virtual_points_are_made_of_virtual_points(acme: Tester) -> None:
    await read(acme, a=1.0, b=2.0)
    await made(acme, "ab", "a + b")
    await made(acme, "abb", "ab + b")
    await made(acme, "all", "abb * ab - a")

    assert await value(acme, "all") == 5 * 3 - 1
    await read(acme, 1, b=3.0)
    assert await value(acme, "all") == 7 * 4 - 1


async def test_what_is_missing_broken_or_an_hour_older_counts_for_nothing(acme: Tester) -> None:
    await read(acme, 0, a=1.0)
    async with acme.work() as work:
        await points.record(work, [Reading("c", NOON, 5.0, quality=Quality.UNCERTAIN)])
    await read(acme, 0, b=2.0)
    await made(acme, "strict", "a + b")
    await made(acme, "lenient", "coalesce(a, 0) + coalesce(b, 100)")
    await made(acme, "unsure", "a + c")
    assert (await latest(acme, "unsure"))["quality"] == "UNCERTAIN"

    await read(acme, 59, a=10.0)
    assert await latest(acme, "strict") == {
        "at": "2026-03-01T12:59:00Z", "value": 12.0, "text": None, "quality": "GOOD",
    }  # fmt: skip
    await read(acme, 60, a=20.0)
    assert await latest(acme, "strict") == {
        "at": "2026-03-01T13:00:00Z", "value": None, "text": None, "quality": "BAD",
    }  # fmt: skip
    assert await latest(acme, "lenient") == {
        "at": "2026-03-01T13:00:00Z", "value": 120.0, "text": None, "quality": "UNCERTAIN",
    }  # fmt: skip
    await read(acme, 61, b=None)
    assert await value(acme, "strict") is None
    assert await value(acme, "lenient") == 120.0


async def test_an_expression_that_cannot_be_is_refused_with_the_place(acme: Tester) -> None:
    await read(acme, a=1.0)
    async with acme.work() as work:
        await points.record(work, [Reading("mode", NOON, text="off")])

    assert await refused(acme, "a + 'b/c'") == ("NOT_FOUND", "point b/c does not exist (at character 5)", 5)
    assert await refused(acme, "a + mode") == ("INVALID", "mode is a text (at character 5)", 5)
    assert await refused(acme, "a + v") == ("INVALID", "v would be made of itself, by v (at character 5)", 5)
    assert await refused(acme, "a +") == (
        "INVALID", "expected a number, a point, a function or '(', not the end (at character 4)", 4,
    )  # fmt: skip
    assert (await refused(acme, "a", address="a"))[0] == "INVALID"
    assert (await refused(acme, "a", address="mode"))[0] == "CONFLICT"
    assert (await refused(acme, "a", address=""))[0] == "INVALID"
    wrong_unit = {"address": "v", "expression": "a", "unit": "kW"}
    assert await acme.gql_errors(CREATE, {"input": wrong_unit}) == ["INVALID"]
    assert await acme.gql('{ points(filter: {prefix: "v"}) { totalCount } }') == {"points": {"totalCount": 0}}


async def test_no_virtual_point_can_come_to_be_made_of_itself(acme: Tester) -> None:
    await read(acme, a=1.0)
    await made(acme, "x", "a")
    await made(acme, "y", "x + 1")
    await made(acme, "z", "y + x")

    answer = await acme.answer(UPDATE, {"address": "x", "input": {"expression": "a * z"}})

    assert [error.message for error in answer.errors or ()] == ["x would be made of itself, by z (at character 5)"]
    assert await value(acme, "z") == 3.0


async def test_two_who_together_would_make_a_circle_do_not(acme: Tester) -> None:
    await read(acme, a=1.0)
    for round_ in range(5):
        x, y = f"x{round_}", f"y{round_}"
        await made(acme, x, "a")
        await made(acme, y, "a")

        both = await asyncio.gather(
            acme.gql_errors(UPDATE, {"address": x, "input": {"expression": y}}),
            acme.gql_errors(UPDATE, {"address": y, "input": {"expression": x}}),
        )

        assert sorted(both) == [[], ["INVALID"]]
        assert await value(acme, x) == await value(acme, y) == 1.0


async def test_a_chain_of_virtual_points_has_an_end(acme: Tester) -> None:
    await read(acme, v0=1.0)
    for n in range(21):
        await made(acme, f"v{n + 1}", f"v{n} + 1")

    assert (await refused(acme, "v21", address="v22"))[0] == "INVALID"
    assert await value(acme, "v21") == 22.0


async def test_a_definition_changes_for_all_time(acme: Tester) -> None:
    await read(acme, a=1.0, b=2.0)
    await made(acme, "v", "a", unit="W")

    changed = await acme.gql(UPDATE, {"address": "v", "input": {"expression": "a + b"}})
    assert changed["updateVirtualPoint"] == {"expression": "a + b", "unit": "W", "latest": {"value": 3.0}}
    changed = await acme.gql(UPDATE, {"address": "v", "input": {"unit": None}})
    assert changed["updateVirtualPoint"] == {"expression": "a + b", "unit": None, "latest": {"value": 3.0}}

    for address, given, code in [
        ("v", {"expression": None}, "INVALID"),
        ("v", {"expression": "a +"}, "INVALID"),
        ("a", {"expression": "b"}, "CONFLICT"),
        ("nowhere", {"expression": "b"}, "NOT_FOUND"),
    ]:
        assert await acme.gql_errors(UPDATE, {"address": address, "input": given}) == [code]


async def test_what_another_is_made_of_is_not_deleted_and_an_address_is_free_again(acme: Tester) -> None:
    await read(acme, a=1.0)
    await made(acme, "v", "a")
    await made(acme, "w", "v")

    assert await acme.gql_errors(DELETE, {"address": "v"}) == ["CONFLICT"]
    assert await acme.gql_errors(DELETE, {"address": "a"}) == ["CONFLICT"]
    for address in ("w", "v"):
        await acme.gql(DELETE, {"address": address})
    assert await acme.gql_errors(DELETE, {"address": "v"}) == ["NOT_FOUND"]

    await read(acme, v=7.0)
    assert await value(acme, "v") == 7.0


async def test_nothing_is_recorded_at_a_virtual_point(acme: Tester) -> None:
    await read(acme, a=1.0)
    await made(acme, "v", "a")
    record = "mutation ($r: [ReadingInput!]!) { recordReadings(readings: $r) { recorded errors { index message } } }"
    readings = [{"address": address, "at": NOON.isoformat(), "value": 9.0} for address in ("v", "a", "v")]

    for _ in range(2):
        recorded = (await acme.gql(record, {"r": readings}))["recordReadings"]
        message = "v is made of other points: nothing is recorded there"
        assert recorded == {"recorded": 1, "errors": [{"index": index, "message": message} for index in (0, 2)]}
    assert await value(acme, "v") == 9.0


async def test_who_may_do_what(acme: Tester) -> None:
    await read(acme, a=1.0)
    wanted = {"input": {"address": "v", "expression": "a"}}

    assert await acme.gql_errors(CREATE, wanted, role=Role.VIEWER) == ["FORBIDDEN"]
    await acme.gql(CREATE, wanted, role=Role.OPERATOR)
    assert await acme.gql_errors(UPDATE, {"address": "v", "input": {"expression": "a"}}, role=Role.VIEWER) == [
        "FORBIDDEN"
    ]
    assert await acme.gql_errors(DELETE, {"address": "v"}, role=Role.OPERATOR) == ["FORBIDDEN"]


async def test_a_virtual_point_is_made_of_nothing_of_another_tenants(acme: Tester, rival: Tester) -> None:
    await read(acme, s__1=1.0)
    await read(rival, s__1=100.0, s__2=200.0, secret=300.0)
    await made(acme, "site", "sum('s/*')")
    await made(rival, "site", "sum('s/*') + secret")

    assert await value(acme, "site") == 1.0
    assert await value(rival, "site") == 600.0
    assert (await refused(acme, "secret"))[0] == "NOT_FOUND"


async def test_a_virtual_point_may_be_among_a_stations_metrics(acme: Tester) -> None:
    station = await a_station(acme)
    await read(acme, 0, Owner(OwnerKind.STATION, station.id), s__1=1.0)
    await read(acme, 1, a=2.0)
    await made(acme, "v", "a * 's/1' * 5", unit="W", stationId=str(station.id))
    await made(acme, "nothing", "sum('x/*')", stationId=str(station.id))

    metrics = "query ($id: ID!) { realTimeMetrics(stationId: $id) { address at value unit quality } }"
    assert (await acme.gql(metrics, {"id": str(station.id)}))["realTimeMetrics"] == [
        {"address": "s/1", "at": "2026-03-01T12:00:00Z", "value": 1.0, "unit": None, "quality": "GOOD"},
        {"address": "v", "at": "2026-03-01T12:01:00Z", "value": 10.0, "unit": "W", "quality": "GOOD"},
    ]
    nobody = {"address": "w", "expression": "a", "stationId": "018f0000-0000-7000-8000-000000000000"}
    assert await acme.gql_errors(CREATE, {"input": nobody}) == ["NOT_FOUND"]


async def test_whoever_watches_a_virtual_point_hears_its_inputs(acme: Tester) -> None:
    station = await a_station(acme)
    owner = Owner(OwnerKind.STATION, station.id)
    await read(acme, 0, owner, s__1=1.0, s__2=2.0)
    await read(acme, 0, other=50.0)
    await made(acme, "site", "sum('s/1', 's/2')")

    async with acme.subscribe(UPDATES, {"addresses": ["site"]}) as items, asyncio.timeout(20):
        told = [(await anext(items))["pointUpdates"]]
        await read(acme, 1, other=60.0)
        await read(acme, 1, owner, s__1=3.0)
        told.append((await anext(items))["pointUpdates"])
        await read(acme, 2, owner, s__1=4.0, s__2=5.0)
        told.append((await anext(items))["pointUpdates"])

    assert [(update["address"], update["at"][14:16], update["value"]) for update in told] == [
        ("site", "00", 3.0),
        ("site", "01", 5.0),
        ("site", "02", 9.0),
    ]


@pytest.mark.parametrize("addresses", ['(addresses: ["site"])', ""])
async def test_the_last_value_told_is_the_latest(acme: Tester, addresses: str) -> None:
    await read(acme, s__1=1.0)
    await made(acme, "site", "sum('s/*')")

    async def act() -> None:
        await read(acme, 1, s__1=2.0)
        await read(acme, 2, s__2=10.0)
        await read(acme, 3, s__1=None)
        await read(acme, 4, s__1=5.0)

    await assert_live(
        acme,
        (f"subscription {{ pointUpdates{addresses} {{ at value quality }} }}", "pointUpdates"),
        act,
        ('{ point(address: "site") { latest { at value quality } } }', "point.latest"),
        snapshot=1 if addresses else 2,
    )


async def test_a_new_point_that_a_pattern_matches_is_heard_at_once(acme: Tester) -> None:
    await made(acme, "site", "sum(coalesce('s/*', 0))")

    async with acme.subscribe(UPDATES, {"addresses": ["site"]}) as items, asyncio.timeout(20):
        heard = asyncio.ensure_future(anext(items))
        await read(acme, 0, s__1=1.0)
        assert (await heard)["pointUpdates"]["value"] == 1.0
        await read(acme, 0, unrelated=1.0)
        async with acme.work() as work:
            await points.record(work, [Reading("s/text", NOON, text="off")])
        await read(acme, 0, s__2=10.0)
        assert (await anext(items))["pointUpdates"]["value"] == 11.0

    assert await value(acme, "site") == 11.0


async def test_whoever_watches_is_told_when_a_definition_changes(acme: Tester) -> None:
    station = await a_station(acme)
    await read(acme, 0, a=1.0, b=2.0)
    await read(acme, 0, Owner(OwnerKind.STATION, station.id), far=100.0)
    await made(acme, "v", "a")

    async with acme.subscribe(UPDATES, {"addresses": ["v"]}) as items, asyncio.timeout(20):
        assert (await anext(items))["pointUpdates"]["value"] == 1.0
        await acme.gql(UPDATE, {"address": "v", "input": {"expression": "a + b"}})
        assert (await anext(items))["pointUpdates"]["value"] == 3.0
        await read(acme, 1, b=20.0)
        assert (await anext(items))["pointUpdates"]["value"] == 21.0

        await acme.gql(UPDATE, {"address": "v", "input": {"expression": "far"}})
        with pytest.raises(AssertionError, match="subscribe again"):
            await anext(items)


async def test_a_virtual_point_may_be_watched_before_it_exists(acme: Tester) -> None:
    await read(acme, 0, a=1.0)

    async with acme.subscribe(UPDATES, {"addresses": ["v"]}) as items, asyncio.timeout(20):
        heard = asyncio.ensure_future(anext(items))
        await read(acme, 1, a=2.0)
        await made(acme, "v", "a * 2")
        assert (await heard)["pointUpdates"]["value"] == 4.0
        await read(acme, 2, a=3.0)
        assert (await anext(items))["pointUpdates"]["value"] == 6.0
