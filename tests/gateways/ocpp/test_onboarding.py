"""Stations that nobody knows, that are not accepted, that do not boot; their settings and their passwords."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlmodel import select
from websockets.exceptions import InvalidStatus

from domain import sessions
from domain.actor import Role
from domain.commands import Command
from domain.page import PageRequest
from gateways.ocpp import Version
from tests.factories import a_station, a_token
from tests.gateways.ocpp.boxes import Box, Error, Payload, Silence, Site
from tests.live import assert_live
from voltgraph.settings import Settings

pytestmark = pytest.mark.anyio

AT = "2026-11-21T08:00:00Z"
START = {"connectorId": 1, "idTag": "CARD", "meterStart": 100, "timestamp": AT}
STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
STATUS_2 = {"timestamp": AT, "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
STARTED = {
    "eventType": "Started",
    "timestamp": AT,
    "triggerReason": "Authorized",
    "seqNo": 0,
    "transactionInfo": {"transactionId": "T-1"},
    "idToken": {"idToken": "CARD", "type": "ISO14443"},
    "evse": {"id": 1, "connectorId": 1},
}
SETTINGS = {
    "NumberOfConnectors": "2",
    "HeartbeatInterval": "60",
    "AuthorizationKey": "000102030405060708090A0B0C0D0E0F",
    "GetConfigurationMaxKeys": "4",
}
REPORT = {"status": "Accepted"}
TRIGGER: Any = {"TriggerMessage": {"status": "Accepted"}}


@pytest.fixture
async def auto(settings: Settings, anyio_backend: str) -> AsyncIterator[Site]:
    async with Site.running(settings) as site:
        yield site


@pytest.fixture
async def pending(settings: Settings, anyio_backend: str) -> AsyncIterator[Site]:
    async with Site.running(settings, station_policy="pending") as site:
        yield site


def configuration(payload: Payload) -> Payload:
    keys = payload.get("key") or list(SETTINGS)
    return {
        "configurationKey": [
            {"key": key, "readonly": False, "value": SETTINGS[key]} for key in keys if key in SETTINGS
        ],
        "unknownKey": [key for key in keys if key not in SETTINGS],
    }


async def refused(box: Box, action: str, payload: Payload) -> str:
    with pytest.raises(Error) as error:
        await box.call(action, payload)
    return str(error.value)


async def energies(site: Site) -> list[tuple[str | None, str]]:
    async with site.tester.work(read_only=True) as work:
        found = (await sessions.listed(work, PageRequest())).rows
    return [(session.token_uid, session.status) for session in found]


# --- who is let in ---------------------------------------------------------------------------------------------------


async def test_a_station_that_nobody_knows_is_accepted_set_aside_or_sent_away(settings: Settings) -> None:
    async with Site.running(settings, station_policy="auto") as site, site.box() as box:
        answer = await box.boot()
        assert (answer["status"], answer["interval"]) == ("Accepted", 60)
    async with Site.running(settings, station_policy="pending", station_pending_interval_s=77) as site:
        async with site.box() as box:
            answer = await box.boot()
            assert (answer["status"], answer["interval"]) == ("Pending", 77)
        assert await site.station("registration online") == {"registration": "PENDING", "online": False}
    async with Site.running(settings, station_policy="reject") as site:
        with pytest.raises(InvalidStatus) as denied:
            async with site.box():
                pass
        assert denied.value.response.status_code == 404


async def test_a_wrong_password_is_refused_and_too_many_are_not_looked_at(settings: Settings) -> None:
    async with Site.running(settings, station_password_attempts=2) as site:
        await a_station(site.tester, "CP-1", password="correct horse")
        denials = []
        for password in ("wrong", None, "correct horse"):
            with pytest.raises(InvalidStatus) as denied:
                async with site.box(password=password):
                    pass
            denials.append(denied.value.response)
        assert [denial.status_code for denial in denials] == [401, 401, 429]
        assert denials[0].headers["WWW-Authenticate"].startswith("Basic")
        assert 1 <= int(denials[2].headers["Retry-After"]) <= 60
        await a_station(site.tester, "CP-2", password="correct horse")
        async with site.box("CP-2", password="correct horse") as box:
            assert (await box.boot())["status"] == "Accepted"


# --- how it stands ---------------------------------------------------------------------------------------------------


async def test_a_pending_station_is_only_configured_and_what_it_charged_is_kept(pending: Site) -> None:
    await a_token(pending.tester, "CARD")
    async with pending.box(ChangeConfiguration={"status": "Accepted"}) as box:
        await box.boot()

        assert await refused(box, "StatusNotification", STATUS) == "SecurityError"
        assert (await box.call("Authorize", {"idTag": "CARD"}))["idTagInfo"]["status"] == "Invalid"
        assert (await box.call("StartTransaction", START))["idTagInfo"]["status"] == "Invalid"
        assert "currentTime" in await box.call("Heartbeat", {})
        assert await energies(pending) == [("CARD", "ACTIVE")]
        assert await pending.refused('{remoteStart: {tokenUid: "CARD"}}') == ["CONFLICT"]
        order = '{changeConfiguration: {key: "HeartbeatInterval", value: "30"}}'
        assert await pending.send(order) == {"status": "ACCEPTED"}
        assert "GetConfiguration" not in dict(box.heard)


async def test_a_pending_station_of_2_says_what_it_is_asked_for_and_loses_no_charge(pending: Site) -> None:
    await a_token(pending.tester, "CARD")
    async with pending.box(version=Version.V201, **TRIGGER) as box:
        await box.boot()

        assert await refused(box, "StatusNotification", STATUS_2) == "SecurityError"
        assert await refused(box, "Heartbeat", {}) == "SecurityError"
        answer = await box.call("TransactionEvent", STARTED)
        assert answer["idTokenInfo"]["status"] != "Accepted"
        assert await energies(pending) == [("CARD", "ACTIVE")]
        await pending.send("{triggerMessage: {message: STATUS_NOTIFICATION, evseNumber: 1, connectorNumber: 1}}")
        assert await box.call("StatusNotification", STATUS_2) == {}


async def test_a_rejected_station_can_only_be_asked_to_boot(pending: Site) -> None:
    async with pending.box(version=Version.V201, **TRIGGER) as box:
        await box.boot()
        station_id = (await pending.station("id"))["id"]
        await pending.tester.gql(
            f'mutation {{ updateStation(id: "{station_id}", input: {{registration: REJECTED}}) {{ id }} }}'
        )
        await box.asked("TriggerMessage")
        answer = await box.boot()

        assert (answer["status"], answer["interval"]) == ("Rejected", 600)
        assert await pending.refused('{getConfiguration: {keys: ["A.B"]}}') == ["CONFLICT"]
        assert await pending.refused("{triggerMessage: {message: HEARTBEAT}}") == ["CONFLICT"]
        assert await pending.send("{triggerMessage: {message: BOOT_NOTIFICATION}}") == {"status": "ACCEPTED"}
        assert await refused(box, "NotifyReport", {"requestId": 1, "generatedAt": AT, "seqNo": 0}) == "SecurityError"


async def test_an_accepted_station_is_asked_to_boot_at_once_and_subscribers_see_it(pending: Site) -> None:
    async with pending.box(**TRIGGER) as box:
        await box.boot()
        station_id = (await pending.station("id"))["id"]

        async def accept() -> None:
            await pending.tester.gql(
                f'mutation {{ updateStation(id: "{station_id}", input: {{registration: ACCEPTED}}) {{ id }} }}'
            )

        await assert_live(
            pending.tester,
            ("subscription { stationStatusUpdates { station { registration } } }", "stationStatusUpdates.station"),
            accept,
            ('{ stationByIdentity(identity: "CP-1") { registration } }', "stationByIdentity"),
            snapshot=1,
        )
        assert await box.asked("TriggerMessage") == [{"requestedMessage": "BootNotification"}]
        assert (await box.boot())["status"] == "Accepted"
        assert await box.call("StatusNotification", STATUS) == {}


# --- those that do not boot ------------------------------------------------------------------------------------------


async def test_a_station_that_does_not_boot_is_asked_to_once_and_what_its_plugs_do(settings: Settings) -> None:
    async with Site.running(settings, station_boot_grace_s=0.05) as site:
        async with site.box(**TRIGGER) as box:
            wanted = [asked["requestedMessage"] for asked in await box.asked("TriggerMessage", 2)]
            assert wanted == ["BootNotification", "StatusNotification"]
            assert await box.call("StatusNotification", STATUS) == {}
        async with site.box() as box:  # it knows no TriggerMessage
            await box.asked("TriggerMessage", 2)
            assert "currentTime" in await box.call("Heartbeat", {})
        async with site.box(version=Version.V201, **TRIGGER) as box:
            boot, plug = await box.asked("TriggerMessage", 2)
            assert boot == {"requestedMessage": "BootNotification"}
            assert plug == {"requestedMessage": "StatusNotification", "evse": {"id": 1, "connectorId": 1}}


async def test_a_station_that_has_booted_once_is_asked_what_its_plugs_do_and_no_more(settings: Settings) -> None:
    async with Site.running(settings, station_boot_grace_s=0.5) as site:
        async with site.box(**TRIGGER) as box:
            assert (await box.boot())["status"] == "Accepted"
        async with site.box(**TRIGGER) as box:
            assert await box.asked("TriggerMessage") == [{"requestedMessage": "StatusNotification"}]
            assert "currentTime" in await box.call("Heartbeat", {})
            assert len(box.payloads("TriggerMessage")) == 1


async def test_a_station_that_boots_is_not_asked_to(settings: Settings) -> None:
    async with (
        Site.running(settings, station_boot_grace_s=1.0) as site,
        site.box("CP-2", **TRIGGER) as silent,
        site.box(**TRIGGER) as box,
    ):
        await box.boot()
        await silent.asked("TriggerMessage")
        assert box.payloads("TriggerMessage") == []


# --- settings --------------------------------------------------------------------------------------------------------


async def test_settings_are_read_after_a_boot_and_again_when_they_may_be_others(auto: Site) -> None:
    fields = "configuration configurationReadAt evses { number connectors { number status } }"
    async with auto.box(GetConfiguration=configuration) as box:
        await box.boot()
        told = await auto.until(fields, lambda shown: shown["configurationReadAt"] is not None)

        assert told["configuration"] == {key: SETTINGS[key] for key in SETTINGS if key != "AuthorizationKey"}
        plugs = [{"number": 1, "status": "UNKNOWN"}]
        assert told["evses"] == [{"number": 1, "connectors": plugs}, {"number": 2, "connectors": plugs}]
        await box.boot()
        await box.boot(firmwareVersion="2.0")
        await box.asked("GetConfiguration", 2)
        again = await auto.until(fields, lambda shown: shown["configurationReadAt"] != told["configurationReadAt"])
        auto.tester.clock.forward(days=8)
        await box.boot(firmwareVersion="2.0")
        await auto.until(fields, lambda shown: shown["configurationReadAt"] != again["configurationReadAt"])
        assert box.payloads("GetConfiguration") == [{}, {}, {}]


async def test_a_station_that_does_not_tell_all_is_asked_for_as_many_keys_as_it_takes(auto: Site) -> None:
    def few(payload: Payload) -> Payload:
        keys = payload.get("key", [])
        assert len(keys) <= int(SETTINGS["GetConfigurationMaxKeys"])
        return configuration(payload) if keys else {"configurationKey": [], "unknownKey": []}

    async with auto.box(GetConfiguration=few) as box:
        await box.boot()
        told = await auto.until("configuration", lambda shown: "NumberOfConnectors" in shown["configuration"])

    assert told["configuration"]["HeartbeatInterval"] == "60"
    asked = [payload.get("key", []) for payload in box.payloads("GetConfiguration")]
    assert asked[:2] == [[], ["GetConfigurationMaxKeys"]]
    assert max(len(keys) for keys in asked) == 4


async def test_variables_are_read_by_as_many_as_a_station_takes(auto: Site) -> None:
    told = {
        ("DeviceDataCtrlr", "ItemsPerMessage", "GetVariables"): "3",
        ("TxCtrlr", "TxStartPoint", None): "EVConnected",
    }

    def variables(payload: Payload) -> Payload:
        wanted = payload["getVariableData"]
        assert len(wanted) <= 3
        return {"getVariableResult": [variable(item) for item in wanted]}

    def variable(item: Payload) -> Payload:
        name = item["component"]["name"], item["variable"]["name"], item["variable"].get("instance")
        said = {"attributeStatus": "Accepted", "attributeValue": told[name]} if name in told else None
        return item | (said or {"attributeStatus": "UnknownVariable"})

    async with auto.box(version=Version.V201, GetVariables=variables, GetBaseReport=REPORT) as box:
        await box.boot()
        (wanted,) = await box.asked("GetBaseReport")
        assert wanted["reportBase"] == "FullInventory"
        shown = await auto.until(
            "configuration configurationReadAt", lambda shown: shown["configurationReadAt"] is not None
        )

    assert shown["configuration"] == {
        "DeviceDataCtrlr.ItemsPerMessage/GetVariables": "3",
        "TxCtrlr.TxStartPoint": "EVConnected",
    }


async def test_a_crowd_is_asked_a_few_at_a_time_and_whoever_refuses_is_served_all_the_same(auto: Site) -> None:
    turns = auto.tester.house.stations._spare_turns
    for _ in range(turns._value):
        await turns.acquire()
    async with auto.box(GetConfiguration=Error("InternalError")) as box:
        await box.boot()
        assert "currentTime" in await box.call("Heartbeat", {})
        assert box.heard == []
        turns.release()
        await box.asked("GetConfiguration", 2)
        assert "currentTime" in await box.call("Heartbeat", {})
        assert (await auto.station("configurationReadAt"))["configurationReadAt"] is None


# --- passwords -------------------------------------------------------------------------------------------------------


async def rotate(site: Site, password: str | None = None) -> Any:
    station_id = (await site.station("id"))["id"]
    data = await site.tester.gql(
        "mutation ($id: ID!, $password: String) {"
        " rotateStationPassword(stationId: $id, password: $password) { status arguments error } }",
        {"id": station_id, "password": password},
    )
    return data["rotateStationPassword"]


async def is_let_in(site: Site, password: str | bytes | None, version: Version = Version.V16) -> bool:
    try:
        async with site.box(version=version, password=password) as box:
            await box.boot()
    except InvalidStatus:
        return False
    return True


async def secrets_in(site: Site) -> list[Any]:
    async with site.tester.work(read_only=True) as work:
        return list((await work.session.exec(select(Command.arguments))).all())


@pytest.mark.parametrize("as_written", [False, True], ids=["bytes", "hexadecimal digits"])
async def test_a_new_password_is_good_beside_the_old_one_until_it_is_shown(auto: Site, as_written: bool) -> None:
    async with auto.box(ChangeConfiguration={"status": "Accepted"}) as box:
        await box.boot()
        done = await rotate(auto)
        (order,) = box.payloads("ChangeConfiguration")
    assert done == {"status": "ACCEPTED", "arguments": {"key": "AuthorizationKey", "value": "********"}, "error": None}
    assert order["key"] == "AuthorizationKey"
    key = bytes.fromhex(order["value"])
    assert len(key) == 20
    assert await secrets_in(auto) == [done["arguments"]]
    assert await auto.station("hasPassword passwordPending") == {"hasPassword": False, "passwordPending": True}

    async with auto.box(ChangeConfiguration={"status": "Accepted"}) as box:  # it has not kept the first yet
        await box.boot()
        await rotate(auto, "sixteen letters!")
        (order,) = box.payloads("ChangeConfiguration")
    assert await is_let_in(auto, order["value"].upper() if as_written else "sixteen letters!")
    assert await auto.station("hasPassword passwordPending") == {"hasPassword": True, "passwordPending": False}
    assert not await is_let_in(auto, key)
    assert not await is_let_in(auto, None)


async def test_a_password_that_the_station_refuses_changes_nothing(auto: Site) -> None:
    await a_station(auto.tester, "CP-1", password="the old password")
    said: list[str] = []

    def no(payload: Payload) -> Payload:
        said.append(payload["value"])
        return {"status": "Rejected"}

    async with auto.box(password="the old password", ChangeConfiguration=no) as box:
        await box.boot()
        assert (await rotate(auto, "the new password"))["status"] == "REJECTED"

    assert said == [b"the new password".hex(), "the new password"]
    assert await is_let_in(auto, "the old password")
    assert not await is_let_in(auto, "the new password")
    assert await auto.station("passwordPending") == {"passwordPending": False}


async def test_without_an_answer_both_passwords_are_good_and_it_can_be_tried_again(settings: Settings) -> None:
    async with Site.running(settings, command_deadline_s=0.3) as site:
        await a_station(site.tester, "CP-1", password="the old password")
        async with site.box(password="the old password", ChangeConfiguration=Silence()) as box:
            await box.boot()
            for password in ("the first of two", "the second of two"):
                assert (await rotate(site, password))["status"] == "TIMEOUT"
        assert await is_let_in(site, "the old password")
        assert await is_let_in(site, "the first of two")
        assert not await is_let_in(site, "the old password")
        assert not await is_let_in(site, "the second of two")


async def test_who_may_only_look_gives_nobody_a_password(auto: Site) -> None:
    station = await a_station(auto.tester, "CP-1")
    mutation = f'mutation {{ rotateStationPassword(stationId: "{station.id}") {{ id }} }}'
    assert await auto.tester.gql_errors(mutation, role=Role.VIEWER) == ["FORBIDDEN"]


async def test_a_station_that_takes_no_digits_is_given_the_text(auto: Site) -> None:
    def text(payload: Payload) -> Payload:
        return {"status": "Accepted" if len(payload["value"]) <= 20 else "Rejected"}

    async with auto.box(ChangeConfiguration=text) as box:
        await box.boot()
        assert (await rotate(auto))["status"] == "ACCEPTED"
        password = box.payloads("ChangeConfiguration")[-1]["value"]
    assert await is_let_in(auto, password)


async def test_a_station_of_2_is_given_its_password_as_a_variable(auto: Site) -> None:
    def written(payload: Payload) -> Payload:
        (item,) = payload["setVariableData"]
        result = {name: item[name] for name in ("component", "variable")}
        return {"setVariableResult": [result | {"attributeStatus": "RebootRequired"}]}

    await a_station(auto.tester, "CP-1", password="the old password")
    async with auto.box(version=Version.V201, password="the old password", SetVariables=written) as box:
        await box.boot()
        assert (await rotate(auto))["status"] == "ACCEPTED"
        ((item,),) = [payload["setVariableData"] for payload in box.payloads("SetVariables")]
    assert (item["component"]["name"], item["variable"]["name"]) == ("SecurityCtrlr", "BasicAuthPassword")
    password = item["attributeValue"]
    assert 16 <= len(password) <= 40
    assert await is_let_in(auto, "the old password", Version.V201)
    assert await is_let_in(auto, password, Version.V201)
    assert not await is_let_in(auto, "the old password", Version.V201)


async def test_a_password_is_not_given_to_one_who_is_away_nor_one_that_is_none(auto: Site) -> None:
    station = await a_station(auto.tester, "CP-1")
    mutation = f'mutation {{ rotateStationPassword(stationId: "{station.id}", password: "too short") {{ id }} }}'
    assert await auto.tester.gql_errors(mutation) == ["UNAVAILABLE"]
    async with auto.box() as box:
        await box.boot()
        assert await auto.tester.gql_errors(mutation) == ["INVALID"]
    assert await auto.station("passwordPending") == {"passwordPending": False}
