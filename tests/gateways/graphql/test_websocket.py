import asyncio
import logging
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.gateways.graphql.conftest import Reader, Revoked, Server, received, send, subscribe

pytestmark = pytest.mark.anyio

TICKS = "subscription { ticks(count: 2) { number } }"


async def closed(socket: Any) -> int:
    """The code that the server closes with."""
    with pytest.raises(ConnectionClosed) as error:
        while True:
            await socket.recv()
    assert error.value.rcvd is not None
    return int(error.value.rcvd.code)


async def name_of(socket: Any) -> Any:
    await subscribe(socket, "{ name }", "who")
    message = await received(socket)
    assert (await received(socket))["type"] == "complete"
    return message["payload"]["data"]["name"]


async def test_a_subscription_streams_in_text_frames(server: Server) -> None:
    async with server.acknowledged({"Authorization": "Bearer ada"}) as socket:
        await subscribe(socket, TICKS)
        messages = [await received(socket) for _ in range(3)]

    assert messages[0]["payload"].pop("extensions")["cost"]
    assert messages == [
        {"id": "1", "type": "next", "payload": {"data": {"ticks": {"number": 0}}}},
        {"id": "1", "type": "next", "payload": {"data": {"ticks": {"number": 1}}}},
        {"id": "1", "type": "complete"},
    ]


async def test_the_credential_comes_in_connection_init_or_in_the_upgrade(server: Server) -> None:
    async with server.acknowledged({"Authorization": "Bearer ada"}) as socket:
        assert await name_of(socket) == "ada"
    async with server.acknowledged({"authorization": "Bearer ada"}) as socket:
        assert await name_of(socket) == "ada"
    async with server.socket(additional_headers={"Authorization": "Bearer bob"}) as socket:
        await send(socket, type="connection_init")
        await received(socket)
        assert await name_of(socket) == "bob"
    async with server.socket(additional_headers={"Authorization": "Bearer bob"}) as socket:
        await send(socket, type="connection_init", payload={"Authorization": "Bearer ada"})
        await received(socket)
        assert await name_of(socket) == "ada"


@pytest.mark.parametrize("payload", [{}, {"other": 1}])
async def test_without_a_credential_it_is_each_fields_matter(server: Server, payload: dict[str, Any]) -> None:
    async with server.acknowledged(payload) as socket:
        assert await name_of(socket) is None


@pytest.mark.parametrize("shown", ["Bearer mallory", "", 3, None, {"Bearer": "ada"}])
async def test_a_credential_that_opens_nothing_closes_with_4403(server: Server, shown: object) -> None:
    """After which graphql-ws clients come again with what their user has got meanwhile."""
    async with server.socket() as socket:
        await send(socket, type="connection_init", payload={"Authorization": shown})

        if shown is None:
            assert await received(socket) == {"type": "connection_ack"}
        else:
            assert await closed(socket) == 4403


async def test_a_credential_that_was_revoked_meanwhile_begins_nothing_new(server: Server) -> None:
    """A socket lives for days."""
    async with server.acknowledged({"Authorization": "Bearer ada"}) as socket:
        assert await name_of(socket) == "ada"
        Revoked.credentials.add("Bearer ada")

        await subscribe(socket, "{ name }", "again")

        assert await closed(socket) == 4403


async def test_who_cannot_be_asked_about_is_to_come_again(server: Server) -> None:
    async with server.socket() as socket:
        await send(socket, type="connection_init", payload={"Authorization": "Bearer down"})

        assert await closed(socket) == 1013


async def test_an_upgrade_with_a_credential_that_opens_nothing_is_answered_401(server: Server) -> None:
    with pytest.raises(InvalidStatus) as error:
        async with server.socket(additional_headers={"Authorization": "Bearer mallory"}):
            pass

    assert error.value.response.status_code == 401


async def test_pages_of_strangers_may_not_connect(server: Server) -> None:
    async with server.socket(origin="https://ui.example"):
        pass
    with pytest.raises(InvalidStatus) as error:
        async with server.socket(origin="https://evil.example"):
            pass

    assert error.value.response.status_code == 403


async def test_the_old_protocol_is_off(server: Server) -> None:
    with pytest.raises((ConnectionClosed, InvalidStatus)) as error:
        async with server.socket(protocol="graphql-ws") as socket:
            await socket.recv()

    assert isinstance(error.value, ConnectionClosed)
    assert error.value.rcvd is not None
    assert error.value.rcvd.code == 4406


@pytest.mark.parametrize(
    "frame",
    [
        "[1]",
        "null",
        "3",
        '"text"',
        "{}",
        "{",
        "",
        '{"type": 3}',
        '{"type": "nonsense"}',
        '{"type": "subscribe"}',
        '{"type": "subscribe", "id": "2"}',
        '{"type": "subscribe", "id": "2", "payload": null}',
        '{"type": "subscribe", "id": "2", "payload": {}}',
        '{"type": "subscribe", "id": "2", "payload": {"query": null}}',
        '{"type": "subscribe", "id": "2", "payload": {"query": "{ name }", "variables": []}}',
        '{"type": "subscribe", "id": "2", "payload": {"query": "{ name }", "operationName": 1}}',
        '{"type": "subscribe", "id": 2, "payload": {"query": "{ name }"}}',
        '{"type": "subscribe", "id": "", "payload": {"query": "{ name }"}}',
        '{"type": "complete"}',
        '{"type": "connection_init", "payload": []}',
        b'{"type": "ping"}',
    ],
)
async def test_a_frame_that_is_no_message_closes_with_4400_and_upsets_nobody(
    server: Server, frame: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with server.acknowledged() as socket:
            await socket.send(frame)

            assert await closed(socket) == 4400
    assert caplog.records == []


async def test_a_null_payload_is_none(server: Server) -> None:
    async with server.socket() as socket:
        await send(socket, type="connection_init", payload=None)

        assert await received(socket) == {"type": "connection_ack"}


async def test_a_frame_that_is_too_big_closes_with_1009(server: Server) -> None:
    async with server.acknowledged() as socket:
        await subscribe(socket, "{ name } #" + " " * 300_000)

        assert await closed(socket) == 1009


async def test_an_operation_before_connection_init_closes_with_4401(server: Server) -> None:
    async with server.socket() as socket:
        await subscribe(socket, "{ name }")

        assert await closed(socket) == 4401


@pytest.mark.parametrize("wrong", ["{", "{ nothing }", "", "subscription { ticks }", "{ name } #" + "a " * 10])
async def test_an_operation_that_is_wrong_ends_alone(server: Server, wrong: str) -> None:
    async with server.acknowledged() as socket:
        await subscribe(socket, "subscription { forever }", "living")
        await received(socket)
        await subscribe(socket, wrong, "wrong")
        while (message := await received(socket))["id"] != "wrong":
            pass
        after = await received(socket)

    if wrong.startswith("{ name }"):
        assert message["type"] == "next"
    else:
        assert (message["type"], bool(message["payload"][0]["message"])) == ("error", True)
    assert after["id"] in ("living", "wrong")


async def test_a_subscription_ends_when_its_reader_leaves(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with server.acknowledged() as socket:
            await subscribe(socket, "subscription { forever }")
            await received(socket)
            socket.transport.abort()  # without a word
            async with asyncio.timeout(10):
                await Reader.left.wait()
    assert caplog.records == []


async def test_a_subscription_ends_when_its_reader_says_so(server: Server) -> None:
    async with server.acknowledged() as socket:
        await subscribe(socket, "subscription { forever }")
        await received(socket)
        await send(socket, id="1", type="complete")
        async with asyncio.timeout(10):
            await Reader.left.wait()


async def test_no_more_operations_than_a_socket_may_have(server: Server) -> None:
    async with server.acknowledged() as socket:
        for number in range(6):
            await subscribe(socket, "subscription { forever }", str(number))
        while (message := await received(socket))["type"] != "error":
            pass

    assert message["id"] == "5"
    assert [error["extensions"] for error in message["payload"]] == [{"code": "LIMIT"}]
