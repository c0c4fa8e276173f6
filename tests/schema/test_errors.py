import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import strawberry
from structlog.testing import capture_logs

from domain.errors import Conflict, Resync
from resolvers.context import context
from schema import Schema
from tests.tester import Tester, watched

pytestmark = pytest.mark.anyio


@strawberry.type
class Query:
    @strawberry.field
    def secret(self) -> str:
        raise ValueError("the password is hunter2")

    @strawberry.field
    def taken(self) -> str:
        raise Conflict("CP-1 exists already", identity="CP-1")

    @strawberry.field
    def shapeless(self) -> int:
        return "not a number"  # type: ignore[return-value]

    @strawberry.field
    def missing(self) -> str:
        return None  # type: ignore[return-value]


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def broken(self) -> AsyncIterator[int]:
        yield 1
        raise ValueError("the password is hunter2")

    @strawberry.subscription
    async def late(self) -> AsyncIterator[int]:
        yield 1
        raise Resync("subscribe again")


SCHEMA = Schema(query=Query, subscription=Subscription)


async def errors_of(query: str) -> list[dict[str, Any]]:
    result = await SCHEMA.execute(query)
    return [dict(error.formatted) for error in result.errors or []]


async def test_a_refusal_shows_its_code_and_details() -> None:
    (error,) = await errors_of("{ taken }")

    assert error["message"] == "CP-1 exists already"
    assert error["extensions"] == {"code": "CONFLICT", "identity": "CP-1"}
    assert error["path"] == ["taken"]


@pytest.mark.parametrize("field", ["secret", "shapeless", "missing"])
async def test_a_fault_of_ours_shows_an_id_that_is_in_the_log(field: str, caplog: pytest.LogCaptureFixture) -> None:
    with capture_logs() as logs, caplog.at_level(logging.DEBUG):
        (error,) = await errors_of(f"{{ {field} }}")

    assert error["extensions"]["code"] == "INTERNAL"
    (entry,) = logs
    assert (entry["error_id"], entry["path"], entry["log_level"]) == (error["extensions"]["id"], field, "error")
    assert "hunter2" not in str(error)
    assert caplog.records == []  # nothing is logged twice


@pytest.mark.parametrize(
    "query", ["{", "{ nothing }", "query ($n: Int!) { taken @include(if: $n) }", "{ taken(x: 1) }"]
)
async def test_what_the_client_wrote_wrongly_is_invalid(query: str) -> None:
    assert {error["extensions"]["code"] for error in await errors_of(query)} == {"INVALID"}


@pytest.mark.parametrize(("field", "code"), [("broken", "INTERNAL"), ("late", "RESYNC")])
async def test_a_subscription_ends_with_a_code(field: str, code: str) -> None:
    results = [result async for result in await SCHEMA.subscribe(f"subscription {{ {field} }}")]

    assert results[0].data == {field: 1}
    (error,) = results[1].errors or []
    assert error.extensions is not None
    assert error.extensions["code"] == code
    assert "hunter2" not in str(error.formatted)
    assert len(results) == 2


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ('{ station(id: "x") { id } }', "id"),
        ('{ stations(filter: {locationId: "x"}) { totalCount } }', "filter.locationId"),
        ('mutation { stopSession(sessionId: "x") { id } }', "sessionId"),
        ('mutation { revokeCredential(id: "x") { id } }', "id"),
    ],
)
async def test_an_id_that_is_none_is_named(acme: Tester, query: str, named: str) -> None:
    (error,) = (await acme.answer(query)).errors or []
    assert error.extensions is not None
    assert (error.extensions["code"], error.extensions["field"]) == ("INVALID", named)
    assert "'x'" in error.message


NOBODY = "018f0000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("update", "given", "field"),
    [
        ("updateStation", "UpdateStationInput", "registration"),
        ("updateToken", "UpdateTokenInput", "uid"),
        ("updateToken", "UpdateTokenInput", "type"),
        ("updateToken", "UpdateTokenInput", "status"),
        ("updateLocation", "UpdateLocationInput", "name"),
    ],
)
async def test_what_may_be_left_out_and_not_be_null_is_named(acme: Tester, update: str, given: str, field: str) -> None:
    literal = f'mutation {{ {update}(id: "{NOBODY}", input: {{{field}: null}}) {{ id }} }}'
    variable = f'mutation ($input: {given}!) {{ {update}(id: "{NOBODY}", input: $input) {{ id }} }}'

    for answer in (await acme.answer(literal), await acme.answer(variable, {"input": {field: None}})):
        (error,) = answer.errors or []
        assert error.message == f"{field} cannot be null"
        assert error.extensions == {"code": "INVALID", "field": f"input.{field}"}


async def test_a_null_in_a_one_of_is_told_in_graphqls_words(acme: Tester) -> None:
    literal = 'mutation { sendCommand(stationId: "x", command: {reset: null}) { id } }'
    variable = 'mutation ($command: StationCommand!) { sendCommand(stationId: "x", command: $command) { id } }'

    for answer in (await acme.answer(literal), await acme.answer(variable, {"command": {"reset": None}})):
        assert answer.errors
        for error in answer.errors:
            assert (error.extensions or {})["code"] == "INVALID"
            assert "Maybe" not in error.message


async def test_a_reader_who_is_too_slow_is_told_to_begin_again(acme: Tester) -> None:
    from domain.bus import Bus, Message, Topic
    from domain.points import news

    def told(number: int) -> Message:
        return Message(Topic(acme.tenant_id, news.KIND, "somebody"), b"[]", conflate=str(number))

    stream = watched(context(acme.workplace, acme.actor), "subscription { pointUpdates { address } }")
    async with asyncio.timeout(20):
        waiting = asyncio.ensure_future(anext(stream))
        bus = acme.workplace.port(Bus)  # type: ignore[type-abstract]
        while not waiting.done():
            await bus.publish([told(number) for number in range(1_000)])
            await asyncio.sleep(0)
        result = await waiting

    assert [error.extensions for error in result.errors or ()] == [{"code": "RESYNC"}]


@pytest.mark.parametrize("odd", ["a\0b", "a\ud800b"])
@pytest.mark.parametrize(
    "query",
    [
        "query ($odd: String!) { stations(filter: {text: $odd}) { totalCount } }",
        "query ($odd: String!) { stationByIdentity(identity: $odd) { id } }",
        "mutation ($odd: String!) { createLocation(input: {name: $odd}) { id } }",
    ],
)
async def test_text_that_the_database_cannot_hold_is_invalid(acme: Tester, query: str, odd: str) -> None:
    assert await acme.gql_errors(query, {"odd": odd}) == ["INVALID"]
