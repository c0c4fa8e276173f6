"""Frames that no client should send: the socket lives on, or closes with the code for it, and nobody else notices."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from gateways.graphql import Engine, Terms
from tests.gateways.graphql.conftest import GUARD_S, Server, a_schema, received, send, serving, subscribe

pytestmark = pytest.mark.anyio

ADA = {"Authorization": "Bearer ada"}
CLOSES_FOR_FRAMES = {4400, 4401, 4403, 4409, 4429}
OPERATIONS_PER_SOCKET = 5  # of the tests' server


def message(type: str, **rest: Any) -> str:
    return json.dumps({"type": type, **rest})


def operation(id: Any = "2", **payload: Any) -> str:
    return message("subscribe", id=id, payload=payload)


@pytest.fixture(autouse=True)
def silence(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What clients do wrong is no news to whoever looks after the server."""
    with caplog.at_level(logging.WARNING), capture_logs() as told:
        yield
    assert caplog.records == []
    assert [one for one in told if one["log_level"] in ("warning", "error", "critical")] == []


@pytest.fixture
async def witness(server: Server) -> AsyncIterator["Witness"]:
    async with server.acknowledged(ADA) as socket:
        yield await Witness(socket).begun()


class Witness:
    """Somebody else on the same server, with two operations of whom nothing should become."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def begun(self) -> "Witness":
        await subscribe(self.socket, "subscription { forever }", "alone")
        await subscribe(self.socket, 'subscription { notices(topic: "witness") { text } }', "shared")
        async with asyncio.timeout(GUARD_S):
            ids: set[str] = set()
            while ids != {"alone", "shared"}:
                ids.add((await received(self.socket))["id"])
        return self

    async def goes_on(self) -> None:
        """It hears more, in time, and is asked what it asks."""
        await subscribe(self.socket, "{ name }", "asked")
        told: set[tuple[str, str]] = set()
        async with asyncio.timeout(GUARD_S):
            while told < {("alone", "next"), ("asked", "next"), ("asked", "complete")}:
                one = await received(self.socket)
                assert one["type"] in ("next", "complete"), one
                told.add((one["id"], one["type"]))


async def code_of(socket: ClientConnection) -> int:
    """The code that the server closes with, whatever it says before."""
    async with asyncio.timeout(GUARD_S):
        with pytest.raises(ConnectionClosed) as error:
            while True:
                await socket.recv()
    assert error.value.rcvd is not None, "it hung up without a word"
    assert len(error.value.rcvd.reason.encode()) <= 123
    return int(error.value.rcvd.code)


async def lives(socket: ClientConnection) -> list[Any]:
    """It answers a ping; what it says before."""
    await send(socket, type="ping")
    heard = []
    async with asyncio.timeout(GUARD_S):
        while (one := await received(socket))["type"] != "pong":
            heard.append(one)
    return heard


NO_MESSAGES: dict[str, str | bytes] = {
    "a list": "[1]",
    "a list of a message": '[{"type": "ping"}]',
    "null": "null",
    "a number": "3",
    "true": "true",
    "a text": '"ping"',
    "nothing": "",
    "white space": " \n",
    "half of one": '{"type": "ping"',
    "two at once": '{"type": "ping"}{"type": "ping"}',
    "single quotes": "{'type': 'ping'}",
    "a comment": '{"type": "ping"} // hello',
    "NaN": '{"type": "ping", "payload": {"n": NaN}}',
    "half a surrogate": '{"type": "subscribe", "id": "\\ud800", "payload": {"query": "{ name }"}}',
    "deeper than anything": '{"type": "ping", "payload": {"deep": ' + "[" * 50_000 + "]" * 50_000 + "}}",
    "an object in objects": '{"a":' * 5_000 + "1" + "}" * 5_000,
    "no type": "{}",
    "a type that is a number": '{"type": 3}',
    "a type that is null": '{"type": null}',
    "a type that is an object": '{"type": {}}',
    "a type that is a list": '{"type": ["ping"]}',
    "a type of no protocol": message("nonsense"),
    "a type that is empty": message(""),
    "a type with the wrong case": message("PING"),
    "a type of Python's": message("__class__"),
    "the old protocol's start": message("start", id="2", payload={"query": "{ name }"}),
    "the old protocol's end": message("connection_terminate"),
    "what only servers say: next": message("next", id="living", payload={"data": {}}),
    "what only servers say: error": message("error", id="living", payload=[]),
    "what only servers say: connection_ack": message("connection_ack"),
    "a ping of a list": message("ping", payload=[1]),
    "a pong of a text": message("pong", payload="late"),
    "an operation without anything": message("subscribe"),
    "an operation without an id": message("subscribe", payload={"query": "{ name }"}),
    "an operation with a number for an id": operation(2, query="{ name }"),
    "an operation with null for an id": operation(None, query="{ name }"),
    "an operation with an object for an id": operation({"id": "2"}, query="{ name }"),
    "an operation with an empty id": operation("", query="{ name }"),
    "an operation without a payload": message("subscribe", id="2"),
    "an operation whose payload is null": message("subscribe", id="2", payload=None),
    "an operation whose payload is a text": message("subscribe", id="2", payload="{ name }"),
    "an operation whose payload is a list": message("subscribe", id="2", payload=[{"query": "{ name }"}]),
    "an operation without a query": operation(),
    "an operation whose query is null": operation(query=None),
    "an operation whose query is a number": operation(query=1),
    "an operation whose query is an object": operation(query={"kind": "Document"}),
    "variables in a list": operation(query="{ name }", variables=[]),
    "variables in a text": operation(query="{ name }", variables='{"a": 1}'),
    "a number for the name of an operation": operation(query="{ name }", operationName=1),
    "a list of extensions": operation(query="{ name }", extensions=[1]),
    "an end of nothing": message("complete"),
    "an end of a number": message("complete", id=1),
    "an end of null": message("complete", id=None),
    "an end of a list": message("complete", id=["living"]),
    "bytes": b'{"type": "ping"}',
    "no bytes": b"",
}


@pytest.mark.parametrize("frame", NO_MESSAGES.values(), ids=NO_MESSAGES)
async def test_what_is_no_message_closes_its_own_socket_with_4400(
    server: Server, witness: Witness, frame: str | bytes
) -> None:
    async with server.acknowledged(ADA) as socket:
        await subscribe(socket, "subscription { silent }", "living")
        await socket.send(frame)

        assert await code_of(socket) == 4400
    await witness.goes_on()


async def test_before_connection_init_too(server: Server) -> None:
    codes = {}
    for name, frame in NO_MESSAGES.items():
        async with server.socket() as socket:
            await socket.send(frame)
            codes[name] = await code_of(socket)

    assert codes == dict.fromkeys(NO_MESSAGES, 4400)


UNUSUAL = {
    "an end of what never was": message("complete", id="never"),
    "an end with more in it": message("complete", id="never", payload={"reason": "?"}),
    "a pong that nobody asked for": message("pong"),
    "a pong that says something": message("pong", payload={"at": 1}),
    "a pong of null": message("pong", payload=None),
    "members of later protocols": message("pong", id="2", later={"deep": [1, None]}),
    "the last of two types": '{"type": "nonsense", "type": "pong"}',
    "spaces around": '  {"type" : "pong"}\n\n',
    "escapes": '{"\\u0074ype": "p\\u006fng"}',
}


@pytest.mark.parametrize("frame", UNUSUAL.values(), ids=UNUSUAL)
async def test_what_is_merely_unusual_is_taken_in_silence(server: Server, witness: Witness, frame: str) -> None:
    async with server.acknowledged(ADA) as socket:
        await socket.send(frame)

        assert await lives(socket) == []
    await witness.goes_on()


WRONG_OPERATIONS: dict[str, dict[str, Any]] = {
    "no GraphQL": {"query": "{"},
    "no text": {"query": ""},
    "nothing but a comment": {"query": "# hello"},
    "a NUL": {"query": "{ name }\0"},
    "an unknown field": {"query": "{ nothing }"},
    "a fragment of itself": {"query": "{ ...A } fragment A on Query { ...A }"},
    "two names and none said": {"query": "query A { name } query B { name }"},
    "a name that is not there": {"query": "query A { name }", "operationName": "B"},
    "nothing to execute": {"query": "fragment A on Query { name }"},
    "two subscriptions at once": {"query": "subscription { ticks { number } forever }"},
    "a variable that is missing": {"query": "query ($t: String!) { echo(text: $t) }"},
    "a variable that is null": {"query": "query ($t: String!) { echo(text: $t) }", "variables": {"t": None}},
    "a variable of another type": {"query": "query ($t: String!) { echo(text: $t) }", "variables": {"t": {"a": [1]}}},
    "a number that is no Int": {
        "query": "subscription ($c: Int!) { ticks(count: $c) { number } }",
        "variables": {"c": 10**18},
    },
    "a subscription that begins with an error": {"query": 'subscription { notices(topic: "forbidden") { text } }'},
    "deeper than is read": {"query": "{ deeper " * 40 + "{ name }" + "}" * 40},
    "more brackets than anything": {"query": "{" * 20_000},
    "a document that nobody knows": {"documentId": "sha256:" + "0" * 64},
    "a hash that nobody knows": {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}},
}


@pytest.mark.parametrize("payload", WRONG_OPERATIONS.values(), ids=WRONG_OPERATIONS)
async def test_an_operation_that_is_wrong_ends_with_an_error_and_alone(
    server: Server, witness: Witness, payload: dict[str, Any]
) -> None:
    async with server.acknowledged(ADA) as socket:
        await subscribe(socket, "subscription { silent }", "living")
        await socket.send(operation("wrong", **payload))

        (error,) = await answered(socket, "wrong")
        assert (error["type"], bool(error["payload"][0]["message"])) == ("error", True)
        await subscribe(socket, "{ name }", "wrong")  # its id is free, and whoever asks is known
        assert [one["type"] for one in await answered(socket, "wrong")] == ["next", "complete"]
        assert await is_taken(socket, "living")
    await witness.goes_on()


async def answered(socket: ClientConnection, id: str) -> list[Any]:
    """All that is said of an operation until its end."""
    heard: list[Any] = []
    async with asyncio.timeout(GUARD_S):
        while not heard or heard[-1]["type"] == "next":
            if (one := await received(socket)).get("id") == id:
                heard.append(one)
    return heard


async def is_taken(socket: ClientConnection, id: str) -> bool:
    """Whether an operation of that id is running; the question costs the socket."""
    await subscribe(socket, "{ name }", id)
    return await code_of(socket) == 4409


RIGHT_OPERATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "everything null that may be": ("2", {"query": "{ name }", "variables": None, "extensions": None}),
    "variables that nobody wants": ("2", {"query": "{ name }", "variables": {"deep": [[[{}]]]}}),
    "a long id": ("x" * 10_000, {"query": "{ name }"}),
    "an id with every kind of character": ('"\\\0\n\u2028é😀', {"query": "{ name }"}),
    "an id like a method": ("__init__", {"query": "{ name }"}),
    "members of later protocols": ("2", {"query": "{ name }", "later": True}),
}


@pytest.mark.parametrize(("id", "payload"), RIGHT_OPERATIONS.values(), ids=RIGHT_OPERATIONS)
async def test_what_is_strange_and_right_is_answered(server: Server, id: str, payload: dict[str, Any]) -> None:
    async with server.acknowledged(ADA) as socket:
        await socket.send(operation(id, **payload))

        result, end = await answered(socket, id)
    assert (result["payload"]["data"], end) == ({"name": "ada"}, {"id": id, "type": "complete"})


async def test_text_that_is_no_utf_8_closes_with_1007(server: Server, witness: Witness) -> None:
    async with server.acknowledged(ADA) as socket:
        await socket.send(b'{"type": "\xff"}', text=True)

        assert await code_of(socket) == 1007
    await witness.goes_on()


async def test_a_message_may_come_in_fragments(server: Server) -> None:
    async with server.acknowledged(ADA) as socket:
        await socket.send(list(operation(query="{ name }")))

        assert [one["type"] for one in await answered(socket, "2")] == ["next", "complete"]


async def test_a_second_connection_init_closes_with_4429(server: Server, witness: Witness) -> None:
    async with server.acknowledged(ADA) as socket:
        await send(socket, type="connection_init", payload=ADA)

        assert await code_of(socket) == 4429
    await witness.goes_on()


async def test_what_is_sent_behind_a_close_is_not_read(server: Server, witness: Witness) -> None:
    async with server.acknowledged(ADA) as socket:
        await socket.send("[1]")
        with suppress(ConnectionClosed):
            for number in range(200):
                await subscribe(socket, "subscription { silent }", str(number))

        assert await code_of(socket) == 4400
    await witness.goes_on()


async def test_who_floods_is_closed_with_4429(witness: Witness) -> None:
    terms = Terms(messages_per_s=1, messages_burst=50)
    async with (
        serving(Engine(a_schema()), terms=terms) as server,
        server.acknowledged(ADA) as polite,
        server.acknowledged(ADA) as socket,
    ):
        with suppress(ConnectionClosed):
            for _ in range(100):
                await send(socket, type="pong")

        assert await code_of(socket) == 4429
        assert await lives(polite) == []
    await witness.goes_on()


async def test_pings_are_answered_each_in_its_turn(server: Server) -> None:
    async with server.acknowledged(ADA) as socket:
        for _ in range(100):
            await send(socket, type="ping", payload={"at": 1})
        async with asyncio.timeout(GUARD_S):
            assert {(await received(socket))["type"] for _ in range(100)} == {"pong"}


# --- at random ---------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
TYPES = st.sampled_from(
    ["connection_init", "connection_ack", "subscribe", "complete", "next", "error", "ping", "pong", "start", ""]
)
PAYLOADS = JSON | st.fixed_dictionaries(
    {},
    optional={
        "query": st.sampled_from(["{ name }", "{", "subscription { silent }", "mutation { act }"]) | JSON,
        "variables": JSON,
        "operationName": JSON,
        "extensions": JSON,
        "documentId": JSON,
        "Authorization": st.sampled_from(["Bearer ada", "Bearer mallory"]) | JSON,
    },
)
MESSAGES = st.fixed_dictionaries(
    {}, optional={"type": TYPES | JSON, "id": st.sampled_from(["1", "2"]) | JSON, "payload": PAYLOADS}
)
FRAMES = st.one_of(
    MESSAGES.map(json.dumps),
    JSON.map(json.dumps),
    MESSAGES.map(json.dumps).flatmap(lambda text: st.integers(0, len(text)).map(lambda end: text[:end])),
    st.text(max_size=40).filter(lambda text: text.isprintable()),
    st.binary(max_size=40),
)
AT_RANDOM = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@AT_RANDOM
@given(frames=st.lists(FRAMES, min_size=1, max_size=8), is_acknowledged=st.booleans())
async def test_whatever_comes_the_socket_lives_or_closes_with_a_code_for_it(
    server: Server, witness: Witness, frames: list[str | bytes], is_acknowledged: bool
) -> None:
    async with server.acknowledged(ADA) if is_acknowledged else server.socket() as socket:
        with suppress(ConnectionClosed):
            for frame in frames:
                await socket.send(frame)
            await lives(socket)
            await socket.close()
        assert socket.close_code in {1000, *CLOSES_FOR_FRAMES}
    await witness.goes_on()
    await nobody_is_left(server, but=1)


async def nobody_is_left(server: Server, *, but: int) -> None:
    """Nothing of those who have left."""
    async with asyncio.timeout(GUARD_S):
        while len(server.view.sockets) > but or len(server.view.groups) > but:  # noqa: ASYNC110  # nobody is told
            await asyncio.sleep(0.005)


@dataclass
class Protocol:
    """What the protocol says of a socket."""

    is_begun: bool = False
    running: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    pongs: int = 0
    code: int | None = None

    def take(self, step: tuple[str, str]) -> None:
        what, id = step
        if self.code is not None:
            return
        match what:
            case "init":
                self.code = 4429 if self.is_begun else None
                self.is_begun = True
            case "init as nobody":
                self.code = 4429 if self.is_begun else 4403
            case "ping":
                self.pongs += 1
            case "complete":
                self.running.discard(id)
            case "subscribe" | "share" if not self.is_begun:
                self.code = 4401
            case "subscribe" | "share" if id in self.running:
                self.code = 4409
            case "subscribe" | "share" if len(self.running) >= OPERATIONS_PER_SOCKET:
                self.refused.append(id)
            case "subscribe" | "share":
                self.running.add(id)


SAID: dict[str, Callable[[str], str]] = {
    "init": lambda _: message("connection_init", payload=ADA),
    "init as nobody": lambda _: message("connection_init", payload={"Authorization": "Bearer mallory"}),
    "ping": lambda _: message("ping"),
    "pong": lambda _: message("pong"),
    "complete": lambda name: message("complete", id=name),
    "subscribe": lambda name: operation(name, query="subscription { silent }"),
    "share": lambda name: operation(name, query='subscription { notices(topic: "order") { text } }'),
}
USUAL = st.sampled_from(["complete", "subscribe", "share", "ping", "pong"])
STEPS = st.lists(st.tuples(st.sampled_from([*SAID]) | USUAL | USUAL | USUAL, st.sampled_from("abcdefg")), max_size=20)
BEGUN = STEPS.map(lambda steps: [("init", ""), *steps])


@AT_RANDOM
@given(steps=STEPS | BEGUN)
@example(steps=[("init", ""), *(("subscribe", id) for id in "abcdef"), ("complete", "a"), ("share", "f")])
@example(steps=[("init", ""), ("share", "a"), ("complete", "a"), ("share", "a"), ("share", "a")])
async def test_in_whatever_order_the_answers_are_the_protocols(server: Server, steps: list[tuple[str, str]]) -> None:
    said = Protocol()
    for step in steps:
        said.take(step)
    heard: list[Any] = []
    async with server.socket() as socket:
        with suppress(ConnectionClosed):
            for what, id in [*steps, ("ping", "")]:
                await socket.send(SAID[what](id))
        if said.code is None:
            while sum(one["type"] == "pong" for one in heard) <= said.pongs:
                heard.append(await received(socket))
        else:
            assert await code_of(socket) == said.code
    assert [one["id"] for one in heard if one["type"] == "error"] == said.refused[: len(heard)]
    await nobody_is_left(server, but=0)
