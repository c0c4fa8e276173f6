"""A secret is never shown, wherever it stands; and what is none is."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.station_log import MASK, Secrets, holds_secrets

# No character that JSON, an address or a sentence would give a meaning of its own.
PLANTED = st.text("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", min_size=8, max_size=40).map(
    "zq".__add__
)

KEYS = (
    *(
        "AuthorizationKey",
        "BasicAuthPassword",
        "basicAuthPassword",
        "password",
        "apnPassword",
        "simPin",
        "client_secret",
    ),
    *("PASSWD", "apiKey", "api-key", "privateKey", "VpnKey"),
)
NAMES = ("AuthorizationKey", "BasicAuthPassword", "SecurityCtrlr.BasicAuthPassword", "ApnPassword", "FtpPassword")


def hidden(secret: str) -> st.SearchStrategy[Any]:
    """Something that a station or we might say, with the secret in it."""
    return st.one_of(
        st.sampled_from(KEYS).map(lambda key: {key: secret}),
        st.sampled_from(KEYS).map(lambda key: {key: [secret, {"of": secret}]}),
        st.sampled_from(NAMES).map(lambda name: {"key": name, "readonly": False, "value": secret}),
        st.sampled_from(NAMES).map(
            lambda name: {"attributeValue": secret, "component": {"name": "X"}, "variable": {"name": name}}
        ),
        st.sampled_from(NAMES).map(
            lambda name: {
                "component": {"name": "SecurityCtrlr"},
                "variable": {"name": name},
                "variableAttribute": [{"type": "Actual", "value": secret, "mutability": "WriteOnly"}],
            }
        ),
        st.just({"vpn": {"server": "vpn.example", "user": "u", "key": secret, "type": "IKEv2"}}),
        st.sampled_from(
            ["ftp://u:{}@h/p", "https://{}@h/p", "see sftp://u:{}@h:22/ then", "https://h/p?sig={}&x=1"]
        ).map(lambda address: {"location": address.replace("{}", secret)}),
        st.just({"data": orjson.dumps({"cfg": {"password": secret}}).decode()}),
        st.just({"data": f"user=u;password={secret}"}),
        st.just({"description": f"the AuthorizationKey '{secret}' is too short"}),
        st.just({"file": f"-----BEGIN RSA PRIVATE KEY-----\n{secret}\n-----END RSA PRIVATE KEY-----"}),
    )


def around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    plain = st.sampled_from(["Accepted", 5, None, {"idTag": "DEMO"}, ["AuthorizationKey"]])
    return st.one_of(
        st.tuples(plain, inner, plain).map(list),
        st.tuples(st.sampled_from(["customData", "configurationKey", "payload"]), inner).map(lambda pair: dict([pair])),
    )


@st.composite
def planted(draw: st.DrawFn) -> tuple[str, Any]:
    secret = draw(PLANTED)
    return secret, draw(st.recursive(hidden(secret), around, max_leaves=3))


@settings(max_examples=80)
@given(planted())
def test_a_planted_secret_is_not_shown(case: tuple[str, Any]) -> None:
    secret, payload = case
    shown = Secrets().masked(payload)

    assert secret not in shown
    assert MASK in shown
    orjson.loads(shown)
    assert holds_secrets(payload)


@settings(max_examples=40)
@given(planted(), st.integers(0, 400))
def test_nor_where_the_frame_is_cut_off_in_the_middle(case: tuple[str, Any], length: int) -> None:
    secret, payload = case

    assert secret not in Secrets().masked(orjson.dumps(payload).decode()[:length])


@given(PLANTED, st.sampled_from(["Bad value {}", "{}", '{"a":"{}"}']))
def test_what_was_told_is_not_shown_when_it_comes_back(secret: str, complaint: str) -> None:
    line = Secrets()
    line.masked({"key": "AuthorizationKey", "value": secret})

    assert secret not in line.masked({"details": complaint.replace("{}", secret)})
    assert secret in Secrets().masked({"details": secret}), "a line knows its own secrets alone"


@pytest.mark.parametrize(
    "payload",
    [
        {"idTag": "04A1B2C3", "connectorId": 1, "timestamp": "2026-11-21T08:00:00Z", "meterStart": 12},
        {"key": ["AuthorizationKey", "HeartbeatInterval"]},
        {"configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "60"}]},
        {"idToken": {"idToken": "1234", "type": "KeyCode"}},
        {"location": "https://files.example/logs?station=CP-1", "requestId": 5},
        {"description": "AuthorizationKey cannot be read"},
        {"attributeValue": "300", "component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}},
        {"masterPassGroupId": "G-1"},
    ],
)
def test_what_is_no_secret_is_shown_as_it_is(payload: Any) -> None:
    assert Secrets().masked(payload) == orjson.dumps(payload).decode()
    assert not holds_secrets(payload)


def test_numbers_under_a_secret_name_are_secrets_too() -> None:
    assert orjson.loads(Secrets().masked({"simPin": 123456, "simPinKnown": True})) == {
        "simPin": MASK,
        "simPinKnown": True,
    }


def test_what_json_cannot_hold_is_written_all_the_same() -> None:
    assert Secrets().masked({"n": 2**70, "half": "\ud800"}) == f'{{"n": {2**70}, "half": "\\ud800"}}'
