"""Lists of tokens, as each version writes them: every order keeps to its schema."""

from typing import Any

import pytest

from domain.commands import CommandKind
from gateways.ocpp import OcppVersion, Version, v16, v21, v201
from gateways.ocpp.schemas import Kind, form

ENTRIES: list[dict[str, Any]] = [
    {"uid": "OLD", "type": "ISO14443", "status": None},
    {
        "uid": "CARD",
        "type": "ISO15693",
        "status": "ACCEPTED",
        "expires_at": "2030-01-01T01:00:00+01:00",
        "group_uid": "FLEET",
    },
    {"uid": "LOST", "type": "CENTRAL", "status": "BLOCKED", "expires_at": None, "group_uid": None},
]
WANTED = {"version": 7, "update": "DIFFERENTIAL", "entries": ENTRIES}


def written(version: OcppVersion, kind: CommandKind, wanted: dict[str, Any]) -> dict[str, Any]:
    request = version.ORDERS[kind](wanted)
    shape = form(version.VERSION, type(request).__name__, Kind.REQUEST)
    payload: dict[str, Any] = shape.write(request)
    shape.check(payload)
    return payload


def test_a_list_in_the_words_of_16() -> None:
    assert written(v16, CommandKind.SEND_LOCAL_LIST, WANTED) == {
        "listVersion": 7,
        "updateType": "Differential",
        "localAuthorizationList": [
            {"idTag": "OLD"},
            {
                "idTag": "CARD",
                "idTagInfo": {"status": "Accepted", "parentIdTag": "FLEET", "expiryDate": "2030-01-01T00:00:00.000Z"},
            },
            {"idTag": "LOST", "idTagInfo": {"status": "Blocked"}},
        ],
    }


@pytest.mark.parametrize("version", [v201, v21])
def test_a_list_in_the_words_of_2x(version: OcppVersion) -> None:
    info = {
        "status": "Accepted",
        "cacheExpiryDateTime": "2030-01-01T00:00:00.000Z",
        "groupIdToken": {"idToken": "FLEET", "type": "Central"},
    }
    assert written(version, CommandKind.SEND_LOCAL_LIST, WANTED) == {
        "versionNumber": 7,
        "updateType": "Differential",
        "localAuthorizationList": [
            {"idToken": {"idToken": "OLD", "type": "ISO14443"}},
            {"idToken": {"idToken": "CARD", "type": "ISO15693"}, "idTokenInfo": info},
            {"idToken": {"idToken": "LOST", "type": "Central"}, "idTokenInfo": {"status": "Blocked"}},
        ],
    }


@pytest.mark.parametrize("version", [v16, v201, v21])
def test_an_empty_list_and_the_question_for_its_version_keep_to_their_schemas(version: OcppVersion) -> None:
    empty = written(version, CommandKind.SEND_LOCAL_LIST, {"version": 1, "update": "FULL", "entries": []})
    assert empty["updateType"] == "Full"
    assert not empty.get("localAuthorizationList")
    assert written(version, CommandKind.GET_LOCAL_LIST_VERSION, {}) == {}


@pytest.mark.parametrize(
    ("version", "answer", "told"),
    [(v16, {"listVersion": -1}, -1), (v201, {"versionNumber": 3}, 3), (v21, {"versionNumber": 0}, 0)],
)
def test_a_version_is_read_in_each(version: OcppVersion, answer: dict[str, int], told: int) -> None:
    reading = form(version.VERSION, "GetLocalListVersion", Kind.RESPONSE).read(answer)
    assert version.ANSWERS[CommandKind.GET_LOCAL_LIST_VERSION](reading.message).result == {"version": told}


def test_only_21_has_a_word_for_a_vin() -> None:
    wanted = {"version": 1, "update": "FULL", "entries": [{**ENTRIES[2], "type": "VIN"}]}
    assert v21.VERSION is Version.V21
    (entry,) = written(v21, CommandKind.SEND_LOCAL_LIST, wanted)["localAuthorizationList"]
    assert entry["idToken"] == {"idToken": "LOST", "type": "VIN"}
