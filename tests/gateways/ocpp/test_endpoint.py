"""The handshake: who gets a socket, and with which status the others are told why not."""

import asyncio
import base64
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from domain.errors import (
    Conflict,
    Forbidden,
    LimitExceeded,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from gateways.ocpp import Basic, Endpoint, Limits, Version
from tests.gateways.ocpp.wire import TENANT, Csms, counted, start, station_id

pytestmark = pytest.mark.anyio


async def refused(
    csms: Csms, path: str = "/CP-1", offered: list[str] | None = None, **options: Any
) -> tuple[int, Headers]:
    subprotocols = [Subprotocol(name) for name in (["ocpp1.6"] if offered is None else offered)]
    with pytest.raises(InvalidStatus) as denial:
        async with connect(f"{csms.url}{path}", subprotocols=subprotocols or None, proxy=None, **options):
            pass
    return denial.value.response.status_code, denial.value.response.headers


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["ocpp1.6"], "ocpp1.6"),
        (["ocpp2.0.1", "ocpp1.6"], "ocpp2.0.1"),
        (["ocpp1.6", "ocpp2.0.1"], "ocpp2.0.1"),
        (["ocpp2.1", "ocpp1.6"], "ocpp1.6"),
        (["ocpp1.5", "wamp", "ocpp1.6"], "ocpp1.6"),
        (["OCPP1.6"], "OCPP1.6"),
    ],
)
async def test_the_newest_version_that_both_speak_is_chosen(csms: Csms, offered: list[str], chosen: str) -> None:
    names = [Subprotocol(name) for name in offered]
    async with connect(f"{csms.url}/CP-1", subprotocols=names, proxy=None) as connection:
        assert connection.subprotocol == chosen
    assert csms.gate.visits == [("acme", "CP-1", Version(chosen.lower()), None)]


async def test_2_1_is_spoken_where_it_is_registered() -> None:
    async with Csms.running(versions=(Version.V16, Version.V21)) as csms:
        offered = [Subprotocol("ocpp1.6"), Subprotocol("ocpp2.1"), Subprotocol("ocpp2.0.1")]
        async with connect(f"{csms.url}/CP-1", subprotocols=offered, proxy=None) as connection:
            assert connection.subprotocol == "ocpp2.1"


@pytest.mark.parametrize("offered", [[], ["ws-chat"], ["ocpp2.1"], ["ocpp1.5", "ocpp1.2"]])
async def test_without_a_common_version_the_upgrade_is_refused(csms: Csms, offered: list[str]) -> None:
    status, _ = await refused(csms, offered=offered)
    assert status == 400
    assert csms.gate.visits == []


@pytest.mark.parametrize(
    ("path", "identity"),
    [
        ("/CP-1", "CP-1"),
        ("/A*b_=:+%7C@.-9", "A*b_=:+|@.-9"),
        ("/%43P%2D1", "CP-1"),
        ("/" + "x" * 48, "x" * 48),
        ("/CP-1?token=1", "CP-1"),
    ],
)
async def test_an_identity_is_one_segment_decoded_once(csms: Csms, path: str, identity: str) -> None:
    async with connect(f"{csms.url}{path}", subprotocols=[Subprotocol("ocpp1.6")], proxy=None):
        pass
    assert [visit[:2] for visit in csms.gate.visits] == [("acme", identity)]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/CP-1/",
        "/CP/1",
        "/CP%2F1",
        "/CP%2541",
        "/CP%201",
        "/CP%001",
        "/CP%0A",
        "/C%C3%A9",
        "/%E2%82%AC",
        "/CP(1)",
        "/" + "x" * 49,
        "/CP%",
    ],
)
async def test_every_other_address_is_not_found(csms: Csms, path: str) -> None:
    status, _ = await refused(csms, path)
    assert status == 404
    assert csms.gate.visits == []


def basic(text: bytes, *, scheme: str = "Basic", padding: bool = True) -> dict[str, str]:
    encoded = base64.b64encode(text).decode()
    return {"Authorization": f"{scheme} {encoded if padding else encoded.rstrip('=')}"}


@pytest.mark.parametrize(
    ("identity", "headers", "credentials"),
    [
        ("CP-1", {}, None),
        ("CP-1", basic(b"CP-1:secret"), ("CP-1", b"secret")),
        ("CP-1", basic(b"CP-1:se:cr:et"), ("CP-1", b"se:cr:et")),
        ("CP-1", basic(b"CP-1:\x00\xff\xfe"), ("CP-1", b"\x00\xff\xfe")),
        ("CP-1", basic(b"CP-1:"), ("CP-1", b"")),
        ("CP-1", basic(b"other:secret"), ("other", b"secret")),
        ("CP:1", basic(b"CP:1:secret"), ("CP:1", b"secret")),
        ("CP-1", basic(b"CP-1:secret!", padding=False), ("CP-1", b"secret!")),
        ("CP-1", basic(b"CP-1:secret", scheme="basic"), ("CP-1", b"secret")),
    ],
)
async def test_basic_credentials_reach_the_gate_as_they_are(
    csms: Csms, identity: str, headers: dict[str, str], credentials: Basic | None
) -> None:
    async with csms.station(identity, additional_headers=headers):
        pass
    assert [visit[3] for visit in csms.gate.visits] == [credentials]


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": "Bearer abc"}, {"Authorization": "Basic ä"}, basic(b"no colon"), {"Authorization": ""}],
)
async def test_credentials_that_cannot_be_read_are_refused(csms: Csms, headers: dict[str, str]) -> None:
    status, answered = await refused(csms, additional_headers=headers)
    assert (status, answered["WWW-Authenticate"]) == (401, 'Basic realm="ocpp", charset="UTF-8"')
    assert csms.gate.visits == []


@pytest.mark.parametrize(
    ("error", "status", "header"),
    [
        (NotFound("no such station"), 404, None),
        (Unauthenticated("who?"), 401, "WWW-Authenticate"),
        (Forbidden("not you"), 403, None),
        (Conflict("not now"), 409, None),
        (LimitExceeded("too often"), 429, "Retry-After"),
        (Unavailable("no database"), 503, "Retry-After"),
        (RuntimeError("secret"), 500, None),
    ],
)
async def test_what_the_gate_decides_is_the_status(
    csms: Csms, error: Exception, status: int, header: str | None
) -> None:
    def never(_identity: str, _basic: Basic | None) -> None:
        raise error

    csms.gate.verdict = never
    before = counted("voltgraph_ocpp_denied_total", status=str(status))
    with pytest.raises(InvalidStatus) as denial:
        async with csms.station():
            pass
    response = denial.value.response
    assert response.status_code == status
    assert header is None or header in response.headers
    assert (b"secret" in bytes(response.body or b"")) is False
    assert counted("voltgraph_ocpp_denied_total", status=str(status)) - before == 1
    assert csms.diary.entries == []


async def test_a_refusal_is_no_error_of_the_server(csms: Csms, caplog: pytest.LogCaptureFixture) -> None:
    await refused(csms, "/CP%2F1")
    async with csms.station() as station:
        assert orjson.loads(await station.ask('[2,"1","Heartbeat",{}]'))[0] == 3
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_coming_and_going_is_told(csms: Csms) -> None:
    async with csms.station() as station:
        await station.ask('[2,"1","Heartbeat",{}]')
        assert csms.diary.entries == ["CP-1 connected"]
        await station.say("rubbish")
        await station.ask('[2,"2","Heartbeat",{}]')
        assert csms.diary.seen_count == 3, "any message is a sign of life"
    await csms.diary.until("CP-1 disconnected")


async def test_a_presence_that_cannot_be_told_costs_no_conversation(
    csms: Csms, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_args: Any) -> None:
        raise Unavailable("Redis is away")

    monkeypatch.setattr(csms.diary, "connected", away)
    with capture_logs() as told:
        async with csms.station() as station:
            assert orjson.loads(await station.ask(start("1")))[0] == 3
    assert "station's connection not told" in [entry["event"] for entry in told]


async def test_a_server_that_shuts_down_says_so_to_all_and_admits_nobody(csms: Csms) -> None:
    async with csms.station("CP-1") as one, csms.station("CP-2") as two:
        await one.ask('[2,"1","Heartbeat",{}]')
        await two.ask('[2,"1","Heartbeat",{}]')
        shutting_down = asyncio.create_task(csms.endpoint.sockets.shutdown(1012, over_s=0.02))
        assert await one.closed() == await two.closed() == (1012, "the server restarts")
        await shutting_down
        assert (await refused(csms))[0] == 503
    assert len(csms.endpoint.sockets) == 0


@pytest.mark.parametrize(("code", "seen"), [(0, 1006), (1001, 1001), (4000, 4000)])
async def test_a_server_that_shuts_down_closes_as_it_is_told_or_drops_the_line(
    csms: Csms, code: int, seen: int
) -> None:
    """Some chargers take a clean close for a goodbye and never come back. What was asked is answered before."""
    async with csms.station() as station:
        await station.ask('[2,"1","Heartbeat",{}]')
        await station.say('[2,"2","Heartbeat",{}]')
        async with asyncio.timeout(20):
            while len(csms.handled) < 2:  # noqa: ASYNC110 - no event of the server's is worth having for this
                await asyncio.sleep(0.01)
        await csms.endpoint.sockets.shutdown(code, over_s=0.0)
        assert orjson.loads(await station.hear())[:2] == [3, "2"]
        assert (await station.closed())[0] == seen
    await csms.diary.until("CP-1 disconnected")


async def test_one_station_can_be_hung_up_on(csms: Csms) -> None:
    async with csms.station() as station:
        await station.ask('[2,"1","Heartbeat",{}]')
        assert await csms.endpoint.sockets.close(TENANT, station_id("CP-1"), code=1000, reason="deleted")
        assert await station.closed() == (1000, "deleted")
        assert not await csms.endpoint.sockets.close(TENANT, station_id("CP-1"))


async def test_many_stations_are_told_apart() -> None:
    async with Csms.running(limits=Limits()) as csms:

        async def charge(number: int) -> Any:
            async with csms.station(f"CP-{number}") as station:
                return orjson.loads(await station.ask(start("1", meter_start=number)))[2]["transactionId"]

        numbers = await asyncio.gather(*(charge(number) for number in range(50)))
        assert sorted(numbers) == list(range(1, 51))


def test_a_table_of_handlers_may_not_invent_actions() -> None:
    package = SimpleNamespace(VERSION=Version.V16, HANDLERS={"Hartbeat": lambda *_: None})
    unused: Any = None
    with pytest.raises(ValueError, match="1.6 has no action Hartbeat"):
        Endpoint(gate=unused, lifecycle=unused, workplace=unused, packages=[package])
