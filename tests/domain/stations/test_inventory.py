"""A station's device model: from reports in parts, and value by value."""

from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from domain import commands, stations
from domain.actor import Role
from domain.commands import Command, CommandKind, Outcome
from domain.errors import Conflict, Invalid
from domain.page import PageRequest
from domain.stations import (
    Attribute,
    AttributeType,
    Characteristics,
    Described,
    Mutability,
    StationReport,
    StationVariable,
    Told,
    VariableName,
)
from tests.factories import a_station
from tests.tester import Tester

pytestmark = pytest.mark.anyio


def name(variable: str, component: str = "TxCtrlr", **more: Any) -> VariableName:
    return VariableName(component=component, variable=variable, **more)


def described(variable: str, value: str | None = "1", **more: Any) -> Described:
    attribute = Attribute(value=value, mutability=Mutability.READ_WRITE)
    return Described(name=name(variable, **more), attributes=(attribute,))


async def report_asked_for(tester: Tester, station_id: UUID, base: str = "FULL") -> Command:
    async with tester.work() as work:
        return await commands.request(
            work, station_id=station_id, kind=CommandKind.GET_BASE_REPORT, arguments={"base": base}
        )


async def part(
    tester: Tester, station_id: UUID, number: int, part: int, *told: Described, is_last: bool = False
) -> None:
    async with tester.work(role=Role.STATION) as work:
        await stations.report_variables(
            work, station_id=station_id, number=number, part=part, is_last=is_last, described=told
        )


async def known(tester: Tester, station_id: UUID, component: str | None = None) -> dict[str, StationVariable]:
    async with tester.work(read_only=True) as work:
        page = await stations.variables_of(work, PageRequest(), station_id=station_id, component=component)
    return {row.variable: row for row in page.rows}


async def report_of(tester: Tester, command: Command) -> StationReport:
    async with tester.work(read_only=True) as work:
        (report,) = await stations.reports_by_command(work, [command.id])
    return report


@pytest.mark.parametrize("order", list(permutations([0, 1, 2])))
async def test_parts_of_a_report_may_come_in_any_order_and_twice(acme: Tester, order: tuple[int, ...]) -> None:
    station = await a_station(acme)
    command = await report_asked_for(acme, station.id)
    number = command.arguments["report_number"]

    for count, seq in enumerate(order, start=1):
        for _ in range(2):
            await part(acme, station.id, number, seq, described(f"V{seq}"), is_last=seq == 2)
        report = await report_of(acme, command)
        assert (report.parts, report.complete) == (count, count == 3)

    assert {v: row.value for v, row in (await known(acme, station.id)).items()} == {"V0": "1", "V1": "1", "V2": "1"}


async def test_a_full_report_takes_the_place_of_what_was_known(acme: Tester) -> None:
    station = await a_station(acme)
    await part(acme, station.id, 4711, 0, described("Old"), described("Kept", "1"), is_last=True)  # asked for by nobody
    acme.clock.forward(seconds=1)
    partial = await report_asked_for(acme, station.id, "CONFIGURATION")
    await part(acme, station.id, partial.arguments["report_number"], 0, described("Kept", "2"), is_last=True)
    assert set(await known(acme, station.id)) == {"Old", "Kept"}

    acme.clock.forward(seconds=1)
    full = await report_asked_for(acme, station.id)
    await part(acme, station.id, full.arguments["report_number"], 1, described("New"), is_last=True)
    assert set(await known(acme, station.id)) == {"Old", "Kept", "New"}
    await part(acme, station.id, full.arguments["report_number"], 0, described("kept", "3"))

    assert {v: row.value for v, row in (await known(acme, station.id)).items()} == {"Kept": "3", "New": "1"}


async def test_whoever_follows_the_command_hears_that_its_report_has_come(acme: Tester) -> None:
    station = await a_station(acme)
    command = await report_asked_for(acme, station.id)
    await acme.relay()
    asked = "subscription ($id: ID) { commandUpdates(commandId: $id) { report { complete parts base number } } }"
    async with acme.subscribe(asked, {"id": str(command.id)}) as items:
        number = command.arguments["report_number"]
        nothing = {"complete": False, "parts": 0, "base": "FULL", "number": number}
        assert (await anext(items))["commandUpdates"]["report"] == nothing
        await part(acme, station.id, number, 0, described("V"), is_last=True)
        await acme.relay()
        assert (await anext(items))["commandUpdates"]["report"] == nothing | {"complete": True, "parts": 1}


async def test_all_that_a_report_tells_is_kept(acme: Tester) -> None:
    station = await a_station(acme)
    here = name("Power", "EVSE", evse_number=1, connector_number=2, component_instance="A", variable_instance="B")
    about = Characteristics(data_type="decimal", unit="W", min_limit=0, max_limit=22_000, supports_monitoring=True)
    values = (
        Attribute(value="7000", mutability=Mutability.READ_ONLY, persistent=False, constant=False),
        Attribute(type=AttributeType.MAX_SET, value="11000", mutability=Mutability.READ_WRITE, persistent=True),
    )
    await part(acme, station.id, 1, 0, Described(name=here, attributes=values, characteristics=about), is_last=True)
    asked = """query ($id: ID!) { station(id: $id) { variables(component: "evse", first: 5) { totalCount nodes {
        component componentInstance evseNumber connectorNumber variable variableInstance value dataType unit minLimit
        maxLimit valuesList supportsMonitoring attributes { type value mutability persistent constant } } } } }"""

    variables = (await acme.gql(asked, {"id": str(station.id)}))["station"]["variables"]

    assert variables == {
        "totalCount": 1,
        "nodes": [
            {
                "component": "EVSE",
                "componentInstance": "A",
                "evseNumber": 1,
                "connectorNumber": 2,
                "variable": "Power",
                "variableInstance": "B",
                "value": "7000",
                "dataType": "decimal",
                "unit": "W",
                "minLimit": 0.0,
                "maxLimit": 22_000.0,
                "valuesList": None,
                "supportsMonitoring": True,
                "attributes": [
                    {
                        "type": "ACTUAL",
                        "value": "7000",
                        "mutability": "READ_ONLY",
                        "persistent": False,
                        "constant": False,
                    },
                    {
                        "type": "MAX_SET",
                        "value": "11000",
                        "mutability": "READ_WRITE",
                        "persistent": True,
                        "constant": None,
                    },
                ],
            }
        ],
    }
    assert await known(acme, station.id, "TxCtrlr") == {}


async def test_a_value_that_is_told_alone_leaves_the_rest_as_it_was(acme: Tester) -> None:
    station = await a_station(acme)
    await part(acme, station.id, 1, 0, described("V", "1"), is_last=True)
    told = [Told(name=name("v", "txctrlr"), value="2"), Told(name=name("W"), value="3")]
    async with acme.work(role=Role.STATION) as work:
        await stations.observe(work, station_id=station.id, told=told)

    found = await known(acme, station.id)
    assert {variable: row.value for variable, row in found.items()} == {"V": "2", "W": "3"}
    assert found["V"].attributes == [Attribute(value="2", mutability=Mutability.READ_WRITE)]


async def ended(
    tester: Tester, station_id: UUID, kind: CommandKind, arguments: dict[str, Any], outcome: Outcome
) -> Command:
    async with tester.work() as work:
        command = await commands.request(work, station_id=station_id, kind=kind, arguments=arguments)
    async with tester.work() as work:
        return await commands.complete(work, command_id=command.id, outcome=outcome)


async def test_a_connector_is_of_the_type_that_the_device_model_says(acme: Tester) -> None:
    station = await a_station(acme)
    for evse in (1, 2):
        async with acme.work(role=Role.STATION) as work:
            await stations.report_status(
                work,
                station_id=station.id,
                evse_number=evse,
                connector_number=1,
                status=stations.StationStatus.AVAILABLE,
                at=work.now,
            )
    where: dict[str, Any] = {"component": "connector", "connector_number": 1}
    await part(acme, station.id, 1, 0, described("ConnectorType", "cCCS2", evse_number=1, **where))
    async with acme.work(role=Role.STATION) as work:
        told = Told(name=name("ConnectorType", evse_number=2, **where), value="sType2", attribute=AttributeType.ACTUAL)
        await stations.observe(work, station_id=station.id, told=[told])

    shown = await acme.gql("{ stations { nodes { evses { number connectors { type } } } } }")
    assert shown["stations"]["nodes"][0]["evses"] == [
        {"number": 1, "connectors": [{"type": "cCCS2"}]},
        {"number": 2, "connectors": [{"type": "sType2"}]},
    ]


def entry(variable: str, status: str = "Accepted", **more: Any) -> dict[str, Any]:
    return {"component": "TxCtrlr", "variable": variable, "attribute": "ACTUAL", "status": status, **more}


async def test_what_was_read_and_set_is_known_but_for_passwords(acme: Tester) -> None:
    station = await a_station(acme)
    asked = {"variables": [{"component": "TxCtrlr", "variable": one} for one in ("V", "W", "BasicAuthPassword")]}
    answers = [entry("V", value="1"), entry("W", "Rejected", value=None), entry("BasicAuthPassword", value="secret")]
    read = await ended(
        acme, station.id, CommandKind.GET_VARIABLES, asked, Outcome("ACCEPTED", {"variables": answers}, None)
    )
    assert {v: row.value for v, row in (await known(acme, station.id)).items()} == {"V": "1"}
    assert [one["value"] for one in (read.result or {})["variables"]] == ["1", None, "********"]

    wanted = [
        {"component": "TxCtrlr", "variable": "V", "value": "2"},
        {"component": "TxCtrlr", "variable": "W", "value": "3", "attribute": "TARGET"},
        {"component": "SecurityCtrlr", "variable": "BasicAuthPassword", "value": "secret"},
    ]
    answers = [entry("V"), {**entry("W"), "attribute": "TARGET"}, entry("BasicAuthPassword")]
    outcome = Outcome("REJECTED", {"variables": answers}, "one of them was not")
    written = await ended(acme, station.id, CommandKind.SET_VARIABLES, {"variables": wanted}, outcome)
    found = await known(acme, station.id)
    assert {v: row.values for v, row in found.items()} == {
        "V": {"ACTUAL": {"value": "2"}},
        "W": {"TARGET": {"value": "3"}},
    }
    assert [one["value"] for one in written.arguments["variables"]] == ["2", "3", "********"]
    async with acme.work(read_only=True) as work:
        assert (await stations.by_id(work, station.id)).configuration == {"TxCtrlr.V": "2"}


async def test_an_order_for_variables_bears_what_the_station_takes_at_once(acme: Tester) -> None:
    station = await a_station(acme)
    limits = [
        Told(name=name("ItemsPerMessage", "DeviceDataCtrlr", variable_instance="GetVariables"), value="4"),
        Told(name=name("BytesPerMessage", "DeviceDataCtrlr", variable_instance="GetVariables"), value="8192"),
        Told(name=name("ItemsPerMessage", "DeviceDataCtrlr", variable_instance="SetVariables"), value="none of yours"),
    ]
    async with acme.work() as work:
        await stations.remember_variables(work, station_id=station.id, told=limits)
        some = {"variables": [{"component": "C", "variable": "V"}]}
        read = await commands.request(work, station_id=station.id, kind=CommandKind.GET_VARIABLES, arguments=some)
        keyed = await commands.request(
            work, station_id=station.id, kind=CommandKind.GET_CONFIGURATION, arguments={"keys": ["C.V"]}
        )
        write = await commands.request(work, station_id=station.id, kind=CommandKind.SET_VARIABLES, arguments=some)

    assert read.arguments == {**some, "items_per_message": 4, "bytes_per_message": 8192}
    assert keyed.arguments == {"keys": ["C.V"], "items_per_message": 4, "bytes_per_message": 8192}
    assert write.arguments == some


PROFILE = {
    "slot": 1,
    "url": "wss://csms.example",
    "security_profile": 2,
    "interface": "Wired0",
    "message_timeout_s": 30,
    "vpn": {"server": "s", "user": "u", "password": "p", "pre_shared_key": "k", "type": "IKEv2"},
    "apn": {"name": "iot", "authentication": "PAP", "password": "p", "sim_pin": 1},
}


async def test_a_station_is_not_led_to_less_security_than_it_has(acme: Tester) -> None:
    station = await a_station(acme)
    kind = CommandKind.SET_NETWORK_PROFILE
    async with acme.work() as work:
        profile = Told(name=name("SecurityProfile", "SecurityCtrlr"), value="2")
        await stations.remember_variables(work, station_id=station.id, told=[profile])
        for wrong, field in (
            ({"security_profile": 4}, "securityProfile"),
            ({"url": "ws://csms.example"}, "url"),
            ({"slot": -1}, "slot"),
        ):
            with pytest.raises(Invalid) as refused:
                await commands.request(work, station_id=station.id, kind=kind, arguments={**PROFILE, **wrong})
            assert refused.value.details["field"] == field
        with pytest.raises(Conflict, match="security profile 2"):
            await commands.request(work, station_id=station.id, kind=kind, arguments={**PROFILE, "security_profile": 1})
    done = await ended(acme, station.id, kind, PROFILE, Outcome("ACCEPTED", {"status": "Accepted"}, None))
    mask = "********"
    assert done.arguments["vpn"] == {**PROFILE["vpn"], "password": mask, "pre_shared_key": mask}  # type: ignore[dict-item]
    assert done.arguments["apn"] == {**PROFILE["apn"], "password": mask, "sim_pin": mask}  # type: ignore[dict-item]


@pytest.mark.parametrize("variables", [[], [{"component": "C", "variable": "V", "connector_number": 1}]])
async def test_variables_that_name_nothing_are_refused(acme: Tester, variables: list[dict[str, Any]]) -> None:
    station = await a_station(acme)
    async with acme.work() as work:
        with pytest.raises(Invalid, match=r"variables|EVSE") as refused:
            await commands.request(
                work, station_id=station.id, kind=CommandKind.GET_VARIABLES, arguments={"variables": variables}
            )
    assert refused.value.details["field"] in ("variables", "variables.0.evseNumber")
