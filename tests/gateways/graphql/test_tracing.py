"""What a collector sees of operations."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import strawberry
import structlog
from graphql import GraphQLError
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import get_current_span
from strawberry.types.execution import ExecutionContext

from domain.errors import NotFound, TimedOut
from gateways.graphql import Answer, Call, Engine, Executor, Limits, Rights
from gateways.graphql.engine import Joinable
from gateways.graphql.tracing import Tracing
from schema.errors import show
from tests.collector import Collector, Received, collecting
from tests.gateways.graphql.conftest import GUARD_S, Caller
from voltgraph.tracing import span_processor

pytestmark = pytest.mark.anyio

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"
RIGHTS = Rights("ada")


@strawberry.type
class Query:
    @strawberry.field
    async def span(self) -> str:
        """That its work would be a part of."""
        await asyncio.sleep(0)
        return format(get_current_span().get_span_context().span_id, "016x")

    @strawberry.field
    def missing(self) -> int | None:
        raise NotFound("no such station")

    @strawberry.field
    def broken(self) -> int | None:
        raise RuntimeError("hunter2")

    @strawberry.field
    async def forever(self) -> int:
        Waiting.begun.set()
        await asyncio.Event().wait()
        return 1


class Waiting:
    begun: asyncio.Event


@strawberry.type
class Mutation:
    @strawberry.mutation
    def fail(self) -> int:
        raise RuntimeError("hunter2")

    @strawberry.mutation
    def late(self) -> int:
        raise TimedOut("the station does not answer")


@strawberry.type
class Event:
    @strawberry.field
    def span(self) -> str:
        return format(get_current_span().get_span_context().span_id, "016x")


async def two_events() -> AsyncIterator[Event]:
    yield Event()
    yield Event()


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def spans(self, count: int = 2) -> AsyncIterator[Event]:
        for _ in range(count):
            yield Event()

    shared: AsyncIterator[Event] = strawberry.subscription(resolver=two_events, metadata={"coalesce": True})

    @strawberry.subscription
    async def breaking(self) -> AsyncIterator[Event]:
        yield Event()
        raise RuntimeError("hunter2")

    @strawberry.subscription
    async def missing(self) -> AsyncIterator[Event]:
        raise NotFound("no such station")
        yield Event()


class Schema(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        for error in errors:
            show(error)


SCHEMA = Schema(Query, Mutation, Subscription, execution_context_class=Executor)


class Traced:
    """An engine whose spans a collector receives."""

    def __init__(self, collector: Collector, provider: TracerProvider, *, limits: Limits | None = None) -> None:
        self.engine = Engine(SCHEMA, limits=limits, tracing=Tracing(provider))
        self._collector = collector
        self._provider = provider

    async def answer(self, query: str, **call: Any) -> Answer:
        return await self.engine.execute(Call(query, **call), None, RIGHTS)

    async def answers(self, query: str, **call: Any) -> list[Answer]:
        return [answer async for answer in self.engine.stream(Call(query, **call), None, RIGHTS)]

    def spans(self) -> list[Received]:
        """Of what has ended until now."""
        self._provider.force_flush()
        return self._collector.spans

    def span(self) -> Received:
        (span,) = self.spans()
        return span


class EventsAlone(Sampler):
    """What a ratio may come to."""

    def should_sample(self, parent_context: Any, trace_id: int, name: str, *args: Any, **given: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_AND_SAMPLE if name == "subscription event" else Decision.DROP)

    def get_description(self) -> str:
        return "events alone"


@contextmanager
def providing(sampler: Sampler | None = None) -> Iterator[tuple[Collector, TracerProvider]]:
    with collecting() as collector:
        provider = TracerProvider(sampler, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{collector.endpoint}/v1/traces")))
        yield collector, provider
        provider.shutdown()


@pytest.fixture
def traced() -> Iterator[Traced]:
    with providing() as (collector, provider):
        yield Traced(collector, provider)


async def test_a_query_is_one_span_around_what_it_does(traced: Traced) -> None:
    answer = await traced.answer("query Mine { span }")

    span = traced.span()
    assert (span.name, span.kind, span.status, span.parent_id) == ("query", "SERVER", "UNSET", "")
    assert answer.data == {"span": span.span_id}
    assert span.attributes == {
        "graphql.operation.type": "query",
        "graphql.operation.name": "Mine",
        "voltgraph.graphql.outcome": "OK",
        "voltgraph.graphql.cost": (answer.extensions or {})["cost"]["requested"],
    }
    assert not get_current_span().get_span_context().is_valid


async def test_an_operation_without_a_name_has_none(traced: Traced) -> None:
    await traced.answer("{ span }")

    assert traced.span().name == "query"
    assert "graphql.operation.name" not in traced.span().attributes


async def test_what_stands_in_a_document_stays_here(traced: Traced) -> None:
    await traced.answer('query Mine($of: Boolean = true) { span @include(if: $of) __type(name: "secret") { name } }')

    assert "secret" not in str(traced.span().span)


async def test_a_name_is_cut_before_it_is_a_burden(traced: Traced) -> None:
    await traced.answer(f"query {'x' * 5_000} {{ span }}")

    assert traced.span().attributes["graphql.operation.name"] == "x" * 100


@pytest.mark.parametrize(
    ("query", "code"),
    [("mutation { fail }", "INTERNAL"), ("mutation { late }", "TIMEOUT"), ("{ missing broken }", "INTERNAL")],
)
async def test_a_fault_of_the_servers_own_fails_the_span(traced: Traced, query: str, code: str) -> None:
    answer = await traced.answer(query)

    span = traced.span()
    assert (span.status, span.attributes["error.type"]) == ("ERROR", code)
    assert span.span.status.message in [error.message for error in answer.errors or []]
    assert not span.span.events
    assert "hunter2" not in str(span.span)


async def test_a_fault_is_found_in_the_log_by_its_span_and_by_its_id(traced: Traced) -> None:
    logged: list[dict[str, Any]] = []

    def keep(_logger: Any, _method: str, event: Any) -> Any:
        logged.append(dict(event))
        raise structlog.DropEvent

    before = structlog.get_config()
    try:
        structlog.configure(processors=[span_processor(), keep])
        await traced.answer("mutation { fail }")
    finally:
        structlog.configure(**before)

    (line,) = logged
    span = traced.span()
    assert (line["trace_id"], line["span_id"]) == (span.trace_id, span.span_id)
    assert span.span.status.message == f"internal error {line['error_id']}"


async def test_a_line_outside_any_operation_has_no_span() -> None:
    assert span_processor()(None, "info", {"event": "x"}) == {"event": "x"}


async def test_not_even_a_fault_of_the_engine_tells_its_text(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("hunter2")

    monkeypatch.setattr(SCHEMA, "process_errors", fail)
    with pytest.raises(RuntimeError):
        await traced.answer("{ missing }")

    assert traced.span().name == "query"
    assert "hunter2" not in str(traced.span().span)


@pytest.mark.parametrize(
    ("query", "outcome"),
    [("{ missing }", "NOT_FOUND"), ("mutation Mine($n: Int!) { fail @include(if: $n) }", "INVALID")],
)
async def test_a_fault_of_the_clients_does_not_fail_the_span(traced: Traced, query: str, outcome: str) -> None:
    await traced.answer(query)

    span = traced.span()
    assert (span.status, span.attributes["voltgraph.graphql.outcome"]) == ("UNSET", outcome)
    assert "error.type" not in span.attributes


@pytest.mark.parametrize("query", ["{", "{ nothing }", "", None])
async def test_a_document_that_is_refused_is_a_span_of_no_type(traced: Traced, query: Any) -> None:
    await traced.answer(query)
    await traced.answers(query)

    for span in traced.spans():
        assert (span.name, span.kind, span.status) == ("GraphQL Operation", "SERVER", "UNSET")
        assert span.attributes == {"voltgraph.graphql.outcome": "INVALID"}
    assert len(traced.spans()) == 2


async def test_an_operation_that_costs_too_much_is_named_and_weighed() -> None:
    with providing() as (collector, provider):
        traced = Traced(collector, provider, limits=Limits(cost=1))

        await traced.answer("query Greedy { span missing broken }")

        assert traced.span().name == "query"
        assert traced.span().attributes["voltgraph.graphql.outcome"] == "LIMIT"
        assert traced.span().attributes["voltgraph.graphql.cost"] > 1


async def test_of_a_subscription_the_start_and_each_event_are_spans_while_it_goes_on(traced: Traced) -> None:
    answers = traced.engine.stream(Call("subscription Mine { spans(count: 2) { span } }"), None, RIGHTS)
    seen = [(await anext(answers)).data, (await anext(answers)).data]

    start, *events = traced.spans()
    assert (start.name, start.kind, start.status) == ("subscription", "SERVER", "UNSET")
    assert start.attributes["voltgraph.graphql.outcome"] == "OK"
    assert start.attributes["voltgraph.graphql.cost"] > 0
    assert seen == [{"spans": {"span": event.span_id}} for event in events]
    for event in events:
        assert (event.name, event.kind, event.status) == ("subscription event", "INTERNAL", "UNSET")
        assert (event.parent_id, event.links) == ("", [(start.trace_id, start.span_id)])
        assert event.attributes["graphql.operation.name"] == "Mine"
    assert len({span.trace_id for span in [start, *events]}) == 3
    assert start.span.end_time_unix_nano <= events[0].span.start_time_unix_nano

    assert [answer async for answer in answers] == []
    assert len(traced.spans()) == 3


async def test_shared_news_is_linked_to_the_start_of_whoever_was_first(traced: Traced) -> None:
    call = Call("subscription Mine { shared { span } }")
    first = await traced.engine.begin(call, None, RIGHTS, joins=True)
    assert isinstance(first, Joinable)
    seen = [answer.data async for answer in traced.engine.answers(first, first.news_call, Caller(None))]

    start, *events = traced.spans()
    assert (start.name, start.attributes["voltgraph.graphql.outcome"]) == ("subscription", "OK")
    assert seen == [{"shared": {"span": event.span_id}} for event in events]
    assert [event.links for event in events] == [[(start.trace_id, start.span_id)]] * 2


async def test_between_the_answers_no_span_is_current(traced: Traced) -> None:
    async for _ in traced.engine.stream(Call("subscription { spans { span } }"), None, RIGHTS):
        assert not get_current_span().get_span_context().is_valid
    async for _ in traced.engine.stream(Call("{ span }"), None, RIGHTS):
        assert not get_current_span().get_span_context().is_valid


async def test_a_subscription_that_breaks_says_so_in_a_span(traced: Traced) -> None:
    await traced.answers("subscription { breaking { span } }")

    start, event, end = traced.spans()
    assert (start.status, event.status, end.status) == ("UNSET", "UNSET", "ERROR")
    assert (end.name, end.attributes["error.type"]) == ("subscription event", "INTERNAL")
    assert end.links == [(start.trace_id, start.span_id)]


async def test_what_a_stream_brings_of_a_query_is_one_span(traced: Traced) -> None:
    (answer,) = await traced.answers("query Mine { span }")

    assert answer.data == {"span": traced.span().span_id}
    assert traced.span().attributes["voltgraph.graphql.cost"] > 0


@pytest.mark.parametrize("query", ["query { span }", "subscription { spans(count: 1) { span } }"])
async def test_the_callers_span_is_the_parent(traced: Traced, query: str) -> None:
    await traced.answers(query, carrier={"traceparent": SAMPLED, "tracestate": "vendor=1"})

    span = traced.spans()[0]
    assert (span.trace_id, span.parent_id, span.span.trace_state) == (TRACE, PARENT, "vendor=1")


async def test_an_operation_on_a_socket_brings_its_callers_span_along(traced: Traced) -> None:
    await traced.answers("{ span }", extensions={"traceparent": SAMPLED})

    assert (traced.span().trace_id, traced.span().parent_id) == (TRACE, PARENT)


async def test_the_headers_of_a_request_go_before_its_body(traced: Traced) -> None:
    await traced.answers("{ span }", carrier={}, extensions={"traceparent": SAMPLED})

    assert traced.span().parent_id == ""


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "00",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"{SAMPLED},{SAMPLED}",
        "x" * 10_000,
        7,
        None,
        {},
    ],
)
async def test_a_caller_who_is_not_understood_is_no_parent(traced: Traced, traceparent: Any) -> None:
    answer = await traced.answer("{ span }", extensions={"traceparent": traceparent, "tracestate": ["x"]})

    assert not answer.errors
    assert (traced.span().parent_id, traced.span().trace_id != TRACE) == ("", True)


async def test_what_the_caller_does_not_record_is_not_recorded_here(traced: Traced) -> None:
    for query in ("mutation { fail }", "subscription { spans { span } }", "subscription { breaking { span } }"):
        assert await traced.answers(query, carrier={"traceparent": UNSAMPLED})

    assert traced.spans() == []


async def test_a_sample_of_the_events_is_one_of_its_own() -> None:
    with providing(sampler=ParentBased(EventsAlone())) as (collector, provider):
        traced = Traced(collector, provider)
        await traced.answers("subscription { spans { span } }")

        assert [span.name for span in traced.spans()] == ["subscription event"] * 2


def test_only_what_is_of_the_trace_is_taken_from_the_headers() -> None:
    headers = [(b"tracestate", b"a=1"), (b"cookie", b"x"), (b"traceparent", SAMPLED.encode()), (b"tracestate", b"b=2")]

    assert Tracing.carrier(headers) == {"traceparent": SAMPLED, "tracestate": "a=1,b=2"}
    assert Tracing.carrier([(b"accept", b"*/*")]) == {}


async def test_a_client_that_leaves_leaves_a_span_that_says_what_it_asked(traced: Traced) -> None:
    Waiting.begun = asyncio.Event()
    asking = asyncio.create_task(traced.answer("query Mine { forever }"))
    async with asyncio.timeout(GUARD_S):
        await Waiting.begun.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    span = traced.span()
    assert (span.name, span.status) == ("query", "UNSET")
    assert span.attributes == {"graphql.operation.type": "query", "graphql.operation.name": "Mine"}


UNTRACED = """
import asyncio, sys, strawberry
from gateways.graphql import Call, Engine, Executor, Rights

@strawberry.type
class Query:
    name: str

engine = Engine(strawberry.Schema(Query, execution_context_class=Executor))
answer = asyncio.run(engine.execute(Call("{ __typename }"), None, Rights("ada")))
assert answer.data == {"__typename": "Query"}, answer
assert not [name for name in sys.modules if name.split(".")[0] == "opentelemetry"]
"""


def test_an_engine_that_is_not_traced_does_not_load_opentelemetry() -> None:
    subprocess.run([sys.executable, "-c", UNTRACED], check=True, timeout=GUARD_S)
