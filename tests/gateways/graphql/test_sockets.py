"""How long a connection lasts, how many a caller may have, and what is said when it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from prometheus_client import REGISTRY

from domain.errors import Unavailable
from gateways.graphql import Departure, Engine, Terms
from tests.gateways.graphql.conftest import (
    CREDENTIAL,
    Brief,
    Revoked,
    Server,
    a_schema,
    closed,
    received,
    send,
    serving,
    subscribe,
    the_board,
    until,
)

pytestmark = pytest.mark.anyio

ADA, ADMIN, BRIEF = ({"Authorization": f"Bearer {name}"} for name in ("ada", "admin", "brief"))
FOREVER = "subscription { silent }"


@asynccontextmanager
async def on(**terms: Any) -> AsyncIterator[Server]:
    async with serving(Engine(a_schema()), terms=Terms(**terms)) as server:
        yield server


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"voltgraph_graphql_{name}", labels) or 0.0


async def next_ping(socket: Any) -> Any:
    while (message := await received(socket))["type"] != "ping":
        pass
    return message


async def test_who_answers_pings_stays() -> None:
    async with on(ping_s=0.05) as server, server.acknowledged() as socket:
        for _ in range(6):
            assert await next_ping(socket) == {"type": "ping"}
            await send(socket, type="pong")


async def test_who_never_answers_a_ping_is_let_be() -> None:
    async with on(ping_s=0.02) as server, server.acknowledged(ADA) as socket:
        await subscribe(socket, FOREVER)
        for _ in range(10):
            assert await next_ping(socket) == {"type": "ping"}


async def test_who_has_answered_and_says_nothing_for_two_pings_is_gone() -> None:
    """Whatever answers the WebSocket's own pings on the way."""
    async with on(ping_s=0.05) as server, server.acknowledged(ADA) as socket:
        await subscribe(socket, FOREVER)
        await next_ping(socket)
        await send(socket, type="pong")
        pings = [await next_ping(socket) for _ in range(2)]

        assert pings == [{"type": "ping"}] * 2
        assert (await closed(socket)) == (4408, "no answer to pings")
        await until(lambda: len(server.view.sockets) == 0)


async def test_without_pings_nobody_is_asked() -> None:
    async with on(ping_s=None) as server, server.acknowledged() as socket:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await received(socket)


async def test_a_credential_that_expires_is_announced_and_closes_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Brief, "lasts_s", 1.0)
    monkeypatch.setattr("gateways.graphql.websocket.WARNED_S", 0.6)
    async with on() as server, server.acknowledged(BRIEF) as socket:
        await subscribe(socket, "subscription { notices { text } }")
        await received(socket)

        assert await next_ping(socket) == {"type": "ping", "payload": {"credential": "expires", "inSeconds": 1}}
        assert await closed(socket) == (4403, "credential expired")
        await until(lambda: len(server.view.groups) == 0)


async def test_a_credential_that_is_revoked_closes_its_sockets_and_no_others(server: Server) -> None:
    async with server.acknowledged(ADMIN) as revoked, server.acknowledged(ADA) as other:
        await subscribe(revoked, "subscription { notices { text } }")
        await received(revoked)
        server.view.sockets.revoked(CREDENTIAL)

        assert await closed(revoked) == (4403, "credential revoked")
        await send(other, type="ping")
        assert (await received(other))["type"] == "pong"


async def test_where_a_revocation_may_have_been_missed_everybody_is_asked_about_again(server: Server) -> None:
    async with server.acknowledged(ADMIN) as revoked, server.acknowledged(ADA) as other:
        Revoked.credentials.add("Bearer admin")
        Revoked.credentials.add("Bearer ada")
        server.view.sockets.revoked(None)
        assert (await closed(revoked))[0] == (await closed(other))[0] == 4403
    async with server.acknowledged() as stranger:
        server.view.sockets.revoked(None)
        await send(stranger, type="ping")
        assert (await received(stranger))["type"] == "pong"


async def test_whom_nobody_can_be_asked_about_is_asked_about_until_it_is_known(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis and the database may be away together, and the database for longer."""

    async def away(_authorization: str | None) -> Any:
        raise Unavailable("the database is not reachable")

    monkeypatch.setattr("gateways.graphql.sockets.ASK_AGAIN_S", 0.02)
    async with server.acknowledged(ADMIN) as socket:
        with monkeypatch.context() as database:
            database.setattr(server.view, "authenticate", away)
            server.view.sockets.revoked(None)
            await asyncio.sleep(0.1)
            await send(socket, type="ping")
            assert (await received(socket))["type"] == "pong"
            Revoked.credentials.add("Bearer admin")

        assert await closed(socket) == (4403, "credential revoked")


async def test_a_caller_has_only_so_many_sockets_and_streams() -> None:
    async with on(connections_per_caller=2) as server, AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(server.acknowledged(ADA))
        async with server.socket() as third:
            await send(third, type="connection_init", payload=ADA)
            assert (await closed(third))[0] == 4429
        async with server.http("ada") as client:
            answer = await client.post(server.url, json={"query": FOREVER}, headers={"Accept": "text/event-stream"})
            assert (answer.status_code, answer.json()["errors"][0]["extensions"]) == (429, {"code": "LIMIT"})
        async with server.acknowledged({"Authorization": "Bearer bob"}):
            pass
        await stack.aclose()
        await until(lambda: len(server.view.sockets) == 0)
        async with server.acknowledged(ADA):
            pass


async def test_a_process_has_only_so_many_sockets() -> None:
    async with on(connections=1) as server, server.acknowledged(ADA), server.socket() as second:
        await send(second, type="connection_init", payload={})

        assert (await closed(second))[0] == 4429


async def test_a_caller_runs_only_so_many_operations_on_all_sockets_together() -> None:
    async with (
        on(operations_per_caller=2) as server,
        server.acknowledged(ADA) as one,
        server.acknowledged(ADA) as other,
    ):
        await subscribe(one, FOREVER, "a")
        await subscribe(one, FOREVER, "b")
        await send(one, type="ping")
        await received(one)
        await subscribe(other, "{ name }", "c")
        refused = await received(other)
        assert (refused["id"], refused["type"], refused["payload"][0]["extensions"]) == (
            "c",
            "error",
            {"code": "LIMIT"},
        )
        await send(one, id="a", type="complete")
        await send(one, type="ping")
        await received(one)
        await subscribe(other, "{ name }", "d")

        assert (await received(other))["payload"]["data"] == {"name": "ada"}


async def test_who_sends_too_many_messages_is_cut_off() -> None:
    async with on(messages_per_s=1, messages_burst=20) as server, server.acknowledged() as socket:
        for _ in range(25):
            await send(socket, type="ping")

        assert await closed(socket) == (4429, "too many messages")


async def test_a_socket_without_operations_ends_and_one_with_some_does_not() -> None:
    async with (
        on(idle_s=0.3, ping_s=None) as server,
        server.acknowledged(ADA) as busy,
        server.acknowledged(ADA) as idle,
    ):
        await subscribe(busy, FOREVER)
        assert await closed(idle) == (1001, "idle")
        await send(busy, type="ping")
        assert (await received(busy))["type"] == "pong"
        await send(busy, id="1", type="complete")
        assert await closed(busy) == (1001, "idle")


async def test_no_socket_lives_for_ever_where_none_is_to() -> None:
    async with on(lifetime_s=0.3, ping_s=None) as server, server.acknowledged(ADA) as socket:
        await subscribe(socket, FOREVER)

        assert await closed(socket) == (1001, "come again")


async def test_each_departure_is_told_once() -> None:
    told: list[Departure] = []
    async with serving(Engine(a_schema()), left=told.append) as server:
        async with server.acknowledged(ADA) as socket:
            await socket.close(1000, "bye")
        async with server.acknowledged() as socket:
            await socket.send("[1]")
            await closed(socket)
        async with server.acknowledged(ADMIN) as socket:
            server.view.sockets.revoked(CREDENTIAL)
            await closed(socket)
        async with server.socket() as socket:
            await send(socket, type="connection_init", payload={"Authorization": "Bearer mallory"})
            await closed(socket)
        await until(lambda: len(told) == 4)

    assert [(one.principal, one.code, one.reason) for one in told] == [
        ("ada", 1000, "bye"),
        ("anonymous:127.0.0.1", 4400, "a message is an object with a type"),
        ("admin", 4403, "credential revoked"),
        (None, 4403, "Forbidden"),
    ]
    assert all(one.lasted_s >= 0 and one.host == "127.0.0.1" for one in told)


async def test_a_departure_that_nobody_can_be_told_of_hurts_nobody() -> None:
    def left(_: Departure) -> None:
        raise RuntimeError("a fault of the hook's")

    async with serving(Engine(a_schema()), left=left) as server:
        for _ in range(2):
            async with server.acknowledged(ADA):
                pass
        await until(lambda: len(server.view.sockets) == 0)


async def test_connections_and_how_they_ended_are_counted(server: Server) -> None:
    def closes() -> list[float]:
        return [counted("closes_total", code=code) for code in ("4400", "other")]

    before, open_ = closes(), counted("sockets")
    async with server.acknowledged(ADA) as socket, server.acknowledged(ADA) as other:
        assert counted("sockets") == open_ + 2
        await socket.send("{}")
        await closed(socket)
        await other.close(3456)
    await until(lambda: counted("sockets") == open_)

    assert closes() == [count + 1 for count in before]


async def test_what_is_shared_is_counted(server: Server) -> None:
    before = [counted(name) for name in ("groups", "members", "deliveries_total", "items_total")]
    async with AsyncExitStack() as stack:
        for _ in range(3):
            socket = await stack.enter_async_context(server.acknowledged(ADA))
            await subscribe(socket, "subscription { notices { text } }")
            await received(socket)
        assert [counted(name) for name in ("groups", "members")] == [before[0] + 1, before[1] + 3]
    await until(lambda: [counted(name) for name in ("groups", "members")] == before[:2])


async def test_what_is_told_is_counted_and_how_long_that_took(server: Server) -> None:
    names = ("items_total", "deliveries_total", "replayed_total", "lag_seconds_count")
    before = [counted(name) for name in names]
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(server.acknowledged(ADA)) for _ in range(3)]
        for socket in sockets:
            await subscribe(socket, "subscription { notices { text } }")
            await received(socket)
        first = the_board().post("to three")
        the_board().post("and again")
        for socket in sockets:
            await received(socket), await received(socket)
        late = await stack.enter_async_context(server.acknowledged(ADA))
        await subscribe(late, f'subscription {{ notices(after: "{first}") {{ text }} }}')
        await received(late)

    items = 3 + 2 + 1  # three looks, two events for however many, one replayed
    assert [counted(name) - count for name, count in zip(names, before, strict=True)] == [items, 6, 1, 2]


async def test_one_task_looks_after_all_of_them_and_none_after_nobody() -> None:
    async with on(ping_s=5) as server:
        before = {task.get_name() for task in asyncio.all_tasks()}
        async with server.acknowledged(ADA), server.acknowledged(ADA):
            names = [task.get_name() for task in asyncio.all_tasks()]
            assert names.count("sweeper") == 1
        await until(lambda: {task.get_name() for task in asyncio.all_tasks()} == before)
