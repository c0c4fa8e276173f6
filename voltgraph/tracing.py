"""OpenTelemetry, where a setting names a collector; without one nothing of it is imported."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any

import structlog

from gateways.graphql import Tracer
from voltgraph.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

log = structlog.get_logger()

_FLUSH_S = 5.0


@asynccontextmanager
async def tracing(settings: Settings) -> AsyncIterator[Tracer | None]:
    """For one process, of which it ends last: it waits for the last spans to go out, though not for long."""
    if settings.otlp_endpoint is None:
        yield None
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from gateways.graphql.tracing import Tracing

    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{settings.otlp_endpoint}/v1/traces")))
    try:
        yield Tracing(provider)
    finally:
        # The SDK's own patience with a collector that is away is half a minute, which is all that a server has to end.
        ending = Thread(target=provider.shutdown, daemon=True)
        ending.start()
        ending.join(_FLUSH_S)
        if ending.is_alive():
            log.warning("the last spans did not reach the collector", endpoint=settings.otlp_endpoint)


def span_processor() -> structlog.typing.Processor:
    """Puts the span that is current into a line of the log."""
    from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

    def with_span(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        span = get_current_span().get_span_context()
        if span.is_valid:
            event["trace_id"] = format_trace_id(span.trace_id)
            event["span_id"] = format_span_id(span.span_id)
        return event

    return with_span


def _resource() -> "Resource":
    """What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say goes before what we know ourselves."""
    from importlib.metadata import version

    from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource

    ours = Resource.create({SERVICE_NAME: "voltgraph", SERVICE_VERSION: version("voltgraph")})
    return ours.merge(OTELResourceDetector().detect())
