"""Spans of operations, by OpenTelemetry's conventions for GraphQL servers (docs/decisions/0023).

Imported only by whoever wants tracing: OpenTelemetry is not among the packages that a server needs.
"""

from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from typing import Any

from graphql import GraphQLError
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    Span,
    SpanKind,
    Status,
    StatusCode,
    TracerProvider,
    get_current_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from domain.errors import Conflict, Forbidden, Invalid, LimitExceeded, NotFound, Resync, Unauthenticated
from gateways.graphql.documents import Operation
from gateways.graphql.engine import Answer, Call, Reached, Subscription
from gateways.graphql.metrics import NAME_CHARACTERS_MAX, outcome_of

TYPE, NAME = "graphql.operation.type", "graphql.operation.name"
COST, OUTCOME, ERROR_TYPE = "voltgraph.graphql.cost", "voltgraph.graphql.outcome", "error.type"

_UNKNOWN = "GraphQL Operation"  # what the conventions call one whose type is not known
_EVENT = "subscription event"
_OF_CLIENTS = (Conflict, Forbidden, Invalid, LimitExceeded, NotFound, Resync, Unauthenticated)
_CLIENTS_CODES = frozenset(family.code for family in _OF_CLIENTS)
_CARRIED = {b"traceparent": "traceparent", b"tracestate": "tracestate"}
_W3C = TraceContextTextMapPropagator()


class Tracing:
    """One span for an operation, one for the start of a subscription, and one for each of its events."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("voltgraph.graphql", version("voltgraph"))

    @staticmethod
    def carrier(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
        """What a request says of its caller's trace; a field that comes twice is one list (RFC 9110, 5.3)."""
        carried: dict[str, str] = {}
        for field, value in headers:
            if name := _CARRIED.get(field):
                text = value.decode("latin-1")
                carried[name] = f"{carried[name]},{text}" if name in carried else text
        return carried

    async def operation(self, call: Call, running: Coroutine[Any, Any, Reached]) -> Reached:
        """From the look-up to the answer, or until a subscription has begun; the caller's span is its parent."""
        caller = _caller(call)
        with self._span(_UNKNOWN, caller, kind=SpanKind.SERVER) as span:
            reached = await running
            if isinstance(reached, Subscription):
                reached.span = None if _is_declined(span, caller) else span.get_span_context()
            _end(span, reached)
            return reached

    async def event(self, subscription: Subscription, running: Coroutine[Any, Any, Answer]) -> Answer:
        with self._event(subscription) as span:
            answer = await running
            _end(span, answer)
            return answer

    def broken(self, subscription: Subscription, answer: Answer) -> None:
        """By something that is no event of it."""
        with self._event(subscription) as span:
            _end(span, answer)

    @staticmethod
    def found(operation: Operation) -> None:
        """Told of the current span at once: clients leave while they wait."""
        span = get_current_span()
        if span.is_recording():
            span.update_name(operation.kind)
            span.set_attributes(_attributes(operation))

    def _event(self, subscription: Subscription) -> AbstractContextManager[Span]:
        """In a trace of its own, which names the start: a subscription lives for days, and its trace would too."""
        if subscription.span is None:
            return nullcontext(INVALID_SPAN)
        attributes = _attributes(subscription.operation)
        return self._span(_EVENT, Context(), attributes=attributes, links=[Link(subscription.span)])

    def _span(self, name: str, context: Context, **given: Any) -> AbstractContextManager[Span]:
        return self._tracer.start_as_current_span(
            name, context, record_exception=False, set_status_on_exception=False, **given
        )


def _end(span: Span, reached: Answer | Subscription) -> None:
    """No exception is recorded: its text may hold what clients entered. The log has it, by the id in the message."""
    if not span.is_recording():
        return
    errors = reached.errors if isinstance(reached, Answer) else None
    attributes: dict[str, str | int] = {OUTCOME: outcome_of(errors)}
    if reached.extensions and (cost := reached.extensions.get("cost")):
        attributes[COST] = cost["requested"]
    if fault := _fault(errors or ()):
        attributes[ERROR_TYPE] = outcome_of([fault])
        span.set_status(Status(StatusCode.ERROR, fault.message))
    span.set_attributes(attributes)


def _attributes(operation: Operation) -> dict[str, str]:
    """Without the document: literals in it are what clients entered. The name is not the span's: clients invent it."""
    attributes: dict[str, str] = {TYPE: operation.kind}
    if operation.name is not None:
        attributes[NAME] = operation.name[:NAME_CHARACTERS_MAX]
    return attributes


def _fault(shown: Sequence[GraphQLError]) -> GraphQLError | None:
    """The first error that is not the client's own: a span of a server fails only with those."""
    return next((error for error in shown if outcome_of([error]) not in _CLIENTS_CODES), None)


def _is_declined(span: Span, caller: Context) -> bool:
    """By a caller who does not record its own trace; the events, which are in others, heed that too."""
    return not span.is_recording() and get_current_span(caller).get_span_context().is_valid


def _caller(call: Call) -> Context:
    """HTTP has headers for it; a WebSocket's are those of the page that opened it, so operations bring their own."""
    carried: Mapping[str, Any] = call.carrier if call.carrier is not None else call.extensions or {}
    return _W3C.extract({name: text for name in _CARRIED.values() if isinstance(text := carried.get(name), str)})
