"""Spans of operations, by OpenTelemetry's conventions for GraphQL servers (docs/decisions/0023).

Imported only by whoever wants tracing: OpenTelemetry is not among the packages that a server needs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from graphql import GraphQLError
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TracerProvider, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from domain import errors
from gateways.graphql.documents import Operation
from gateways.graphql.engine import Answer, Call
from gateways.graphql.metrics import outcome_of

TYPE, NAME = "graphql.operation.type", "graphql.operation.name"
COST, OUTCOME, ERROR_TYPE = "voltgraph.graphql.cost", "voltgraph.graphql.outcome", "error.type"

_UNKNOWN = "GraphQL Operation"  # what the conventions call one whose type is not known
_EVENT = "subscription event"
_NAME_CHARACTERS_MAX = 100
_CLIENTS = {
    family.code
    for family in (
        errors.Conflict,
        errors.Forbidden,
        errors.Invalid,
        errors.LimitExceeded,
        errors.NotFound,
        errors.Resync,
        errors.Unauthenticated,
    )
}
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

    @contextmanager
    def operation(self, call: Call) -> Iterator[Span]:
        """From the look-up to the answer, or until a subscription has begun; the caller's span is its parent."""
        with self._span(_UNKNOWN, _caller(call), kind=SpanKind.SERVER) as span:
            yield span

    @contextmanager
    def event(self, start: SpanContext, operation: Operation) -> Iterator[Span]:
        """A trace of its own, which names the start: a subscription lives for days, and its trace would too."""
        with self._span(_EVENT, Context(), attributes=_attributes(operation), links=[Link(start)]) as span:
            yield span

    @staticmethod
    def found(operation: Operation) -> None:
        """Of the current span, as soon as it is known: clients leave while they wait."""
        span = get_current_span()
        if span.is_recording():
            span.update_name(operation.kind)
            span.set_attributes(_attributes(operation))

    @staticmethod
    def answered(span: Span, answer: Answer) -> None:
        if not span.is_recording():
            return
        span.set_attribute(OUTCOME, outcome_of(answer.errors))
        if answer.extensions and (cost := answer.extensions.get("cost")):
            span.set_attribute(COST, cost["requested"])
        if fault := _fault(answer.errors or ()):
            # No exception is recorded: its text may hold what clients entered. The log has it, under this message's id.
            span.set_attribute(ERROR_TYPE, outcome_of([fault]))
            span.set_status(Status(StatusCode.ERROR, fault.message))

    def _span(self, name: str, context: Context, **given: Any) -> Any:
        return self._tracer.start_as_current_span(
            name, context, record_exception=False, set_status_on_exception=False, **given
        )


def _attributes(operation: Operation) -> dict[str, str]:
    """Without the document: literals in it are what clients entered. The name is not the span's: clients invent it."""
    attributes: dict[str, str] = {TYPE: operation.kind}
    if operation.name is not None:
        attributes[NAME] = operation.name[:_NAME_CHARACTERS_MAX]
    return attributes


def _fault(shown: Sequence[GraphQLError]) -> GraphQLError | None:
    """The first error that is not the client's own: a span of a server fails only with those."""
    return next((error for error in shown if outcome_of([error]) not in _CLIENTS), None)


def _caller(call: Call) -> Context:
    """HTTP has headers for it; a WebSocket's are those of the page that opened it, so operations bring their own."""
    carried: Mapping[str, Any] = call.carrier if call.carrier is not None else call.extensions or {}
    return _W3C.extract({name: text for name in _CARRIED.values() if isinstance(text := carried.get(name), str)})
