import asyncio
import logging
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from domain.errors import Unavailable
from gateways.graphql import Answer
from tests.gateways.graphql.conftest import (
    Reader,
    Revoked,
    Server,
    closed,
    received,
    send,
    subscribe,
    the_board,
    until,
)

pytestmark = pytest.mark.anyio

TICKS = "subscription { ticks(count: 2) { number } }"


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
            assert (await closed(socket))[0] == 4403


async def test_a_credential_that_was_revoked_meanwhile_begins_nothing_new(server: Server) -> None:
    """A socket lives for days."""
    async with server.acknowledged({"Authorization": "Bearer ada"}) as socket:
        assert await name_of(socket) == "ada"
        Revoked.credentials.add("Bearer ada")

        await subscribe(socket, "{ name }", "again")

        assert (await closed(socket))[0] == 4403


async def test_who_cannot_be_asked_about_is_to_come_again(server: Server) -> None:
    async with server.socket() as socket:
        await send(socket, type="connection_init", payload={"Authorization": "Bearer down"})

        assert (await closed(socket))[0] == 1013


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

            assert (await closed(socket))[0] == 4400
    assert caplog.records == []


async def test_a_null_payload_is_none(server: Server) -> None:
    async with server.socket() as socket:
        await send(socket, type="connection_init", payload=None)

        assert await received(socket) == {"type": "connection_ack"}


async def test_a_frame_that_is_too_big_closes_with_1009(server: Server) -> None:
    async with server.acknowledged() as socket:
        await subscribe(socket, "{ name } #" + " " * 300_000)

        assert (await closed(socket))[0] == 1009


async def test_an_operation_before_connection_init_closes_with_4401(server: Server) -> None:
    async with server.socket() as socket:
        await subscribe(socket, "{ name }")

        assert (await closed(socket))[0] == 4401


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


NOTICES = "subscription ($topic: String, $after: ID) { notices(topic: $topic, after: $after) { text eventId } }"


async def texts(socket: Any, count: int, operation: str = "1") -> list[str]:
    """Of the next so many results of an operation."""
    told: list[str] = []
    while len(told) < count:
        message = await received(socket)
        if message["id"] == operation:
            assert message["type"] == "next", message
            told.append(message["payload"]["data"]["notices"]["text"])
    return told


async def test_sockets_that_ask_for_the_same_share_its_execution(server: Server) -> None:
    ada = {"Authorization": "Bearer ada"}
    async with server.acknowledged(ada) as one, server.acknowledged({"Authorization": "Bearer bob"}) as other:
        await subscribe(one, NOTICES)
        await subscribe(other, NOTICES, "another id")
        assert await texts(one, 1) == await texts(other, 1, "another id") == ["so far 0"]
        the_board().post("hello")

        assert await texts(one, 1) == await texts(other, 1, "another id") == ["hello"]
        assert (the_board().heard, len(server.view.groups)) == (1, 1)
    await until(lambda: len(server.view.groups) == 0)


async def test_a_stranger_has_an_execution_of_their_own(server: Server) -> None:
    async with server.acknowledged() as one, server.acknowledged() as other:
        for socket in (one, other):
            await subscribe(socket, NOTICES)
            assert await texts(socket, 1) == ["so far 0"]

        assert (the_board().heard, len(server.view.groups)) == (2, 0)


async def test_what_is_shared_and_what_is_not_run_side_by_side(server: Server) -> None:
    async with server.acknowledged({"Authorization": "Bearer ada"}) as socket:
        await subscribe(socket, NOTICES, "shared")
        await texts(socket, 1, "shared")
        await subscribe(socket, "subscription { letters { text } }", "own")
        assert (await received(socket))["id"] == "own"
        await subscribe(socket, "mutation { act }", "act")
        assert (await received(socket))["payload"]["data"] == {"act": True}
        assert await received(socket) == {"id": "act", "type": "complete"}
        the_board().post("hello")
        both = [await received(socket) for _ in range(2)]

    assert sorted(message["id"] for message in both) == ["own", "shared"]


async def test_a_subscriber_who_waits_holds_no_task(server: Server) -> None:
    async with server.acknowledged({"Authorization": "Bearer ada"}) as socket:
        await subscribe(socket, NOTICES, "first")
        await texts(socket, 1, "first")
        before = len(asyncio.all_tasks())
        for operation in "abcd":
            await subscribe(socket, NOTICES, operation)
            await texts(socket, 1, operation)

        assert len(asyncio.all_tasks()) == before


async def test_who_wants_no_more_is_told_no_more_and_may_use_the_id_again(server: Server) -> None:
    async with server.acknowledged({"Authorization": "Bearer ada"}) as socket:
        await subscribe(socket, NOTICES)
        await texts(socket, 1)
        await send(socket, id="1", type="complete")
        await subscribe(socket, NOTICES, topic="other")
        assert await texts(socket, 1) == ["so far 0"]
        the_board().post("not for me")
        the_board("other").post("for me")

        assert await texts(socket, 1) == ["for me"]


async def test_an_id_in_use_closes_with_4409(server: Server) -> None:
    async with server.acknowledged({"Authorization": "Bearer ada"}) as socket:
        await subscribe(socket, NOTICES)
        await texts(socket, 1)
        await subscribe(socket, NOTICES)

        assert (await closed(socket))[0] == 4409


@pytest.mark.parametrize("field", ["notices", "letters"])
async def test_what_fails_ends_alone_with_an_error(server: Server, field: str) -> None:
    async with server.acknowledged({"Authorization": "Bearer ada"}) as socket:
        await subscribe(socket, f'subscription {{ {field}(topic: "a") {{ text }} }}', "a")
        await received(socket)
        await subscribe(socket, NOTICES, "b")
        await texts(socket, 1, "b")
        the_board("a").end(Unavailable("Redis is gone"))
        error = await received(socket)
        the_board().post("still here")

        assert (error["id"], error["type"]) == ("a", "error")
        assert error["payload"][0]["extensions"] == {"code": "UNAVAILABLE"}
        assert await texts(socket, 1, "b") == ["still here"]


@pytest.mark.parametrize("field", ["notices", "letters"])
async def test_what_cannot_be_told_ends_with_an_error_and_not_as_if_all_was_said(
    server: Server, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server.acknowledged({"Authorization": "Bearer ada"}) as socket:
        await subscribe(socket, f"subscription {{ {field} {{ text }} }}")
        await received(socket)
        monkeypatch.setattr(Answer, "encoded", unspeakable)
        the_board().post("nobody can say this")
        last = await received(socket)

        assert (last["id"], last["type"]) == ("1", "error")
        assert last["payload"][0]["message"] == "there is no word for it"
    await until(lambda: len(server.view.groups) == 0)


def unspeakable(_answer: Answer) -> bytes:
    raise TypeError("there is no word for it")


async def test_what_may_not_be_seen_is_an_error_at_the_start(server: Server) -> None:
    async with server.acknowledged({"Authorization": "Bearer ada"}) as socket:
        await subscribe(socket, NOTICES, topic="forbidden")
        error = await received(socket)

    assert (error["type"], error["payload"][0]["extensions"]) == ("error", {"code": "FORBIDDEN"})


async def test_who_comes_back_with_the_last_event_is_told_what_they_missed(server: Server) -> None:
    seen = the_board().post("seen")
    the_board().post("missed")
    async with server.acknowledged({"Authorization": "Bearer ada"}) as socket:
        await subscribe(socket, NOTICES, after=seen)
        assert await texts(socket, 1) == ["missed"]
        the_board().post("news")

        assert await texts(socket, 1) == ["news"]


async def test_a_reader_who_falls_behind_is_told_so_and_can_go_on_where_they_were(server: Server) -> None:
    """Without a hole and without a double, and the socket's other operations are none the wiser."""
    board = the_board()
    async with server.acknowledged({"Authorization": "Bearer ada"}) as socket:
        await subscribe(socket, NOTICES)
        await subscribe(socket, NOTICES, "quiet", topic="quiet")
        told = [*await texts(socket, 1), *await texts(socket, 1, "quiet")]
        socket.transport.pause_reading()
        while len(server.view.groups) == 2:
            board.post("x" * 100_000)
            await asyncio.sleep(0.003)  # what is told must reach the outbox before there is more of it than needed
        socket.transport.resume_reading()
        told = []
        while (message := await received(socket))["type"] != "error":
            told.append(message["payload"]["data"]["notices"]["eventId"])
        (error,) = message["payload"]
        gap = error["extensions"]["gap"]
        await subscribe(socket, NOTICES, "again", after=gap["after"])
        rest = len(board.facts) - len(told)
        again = [(await received(socket))["payload"]["data"]["notices"]["eventId"] for _ in range(rest)]
        the_board("quiet").post("hush")

        assert error["extensions"]["code"] == "RESYNC"
        assert 0 < gap["dropped"] <= rest
        assert gap["after"] == told[-1]
        assert told + again == [fact.event_id for fact in board.facts]
        assert await texts(socket, 1, "quiet") == ["hush"]


async def test_a_large_fleet_is_told_to_a_slow_reader_to_the_last(server: Server) -> None:
    """It takes as long as it takes: only news can be too much."""
    board = the_board()
    for number in range(3_000):
        board.put(f"value {number}", f"{number} " + "x" * 2_000)
    async with server.acknowledged({"Authorization": "Bearer ada"}) as socket:
        socket.transport.pause_reading()
        await subscribe(socket, NOTICES)
        await asyncio.sleep(0.3)
        for number in range(200):
            board.post(f"news {number}")
        socket.transport.resume_reading()
        told = await texts(socket, 1 + 3_000 + 200)

    assert [text.split()[0] for text in told[1:3_001]] == [str(number) for number in range(3_000)]
    assert told[3_001:] == [f"news {number}" for number in range(200)]


async def test_a_reader_who_leaves_while_they_are_told_a_lot_leaves_nothing(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3_000):
        the_board().put(f"value {number}", "x" * 2_000)
    before = len(asyncio.all_tasks())
    with caplog.at_level(logging.WARNING):
        async with server.acknowledged({"Authorization": "Bearer ada"}) as socket:
            socket.transport.pause_reading()
            await subscribe(socket, NOTICES)
            await asyncio.sleep(0.3)
            socket.transport.abort()
        await until(lambda: len(asyncio.all_tasks()) == before)
    assert (len(server.view.groups), len(server.view.sockets), caplog.records) == (0, 0, [])


async def test_a_ping_is_answered_while_nothing_else_is(server: Server) -> None:
    async with server.acknowledged() as socket:
        await send(socket, type="ping", payload={"from": "me"})

        assert (await received(socket))["type"] == "pong"
