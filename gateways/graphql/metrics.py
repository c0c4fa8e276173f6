"""What was asked and how it went. Labels are few: names come from clients, who may invent any number of them."""

from collections.abc import Iterator

from prometheus_client import Counter, Gauge
from strawberry.extensions import SchemaExtension

OPERATIONS = Counter(
    "voltgraph_graphql_operations_total",
    "Operations by kind and how they ended: OK or an error's code",
    ["kind", "outcome"],
)
RUNNING = Gauge(
    "voltgraph_graphql_operations_running",
    "Operations that have not ended, by kind",
    ["kind"],
    multiprocess_mode="livesum",
)
ITEMS = Counter("voltgraph_graphql_items_total", "Results that subscriptions have yielded")
SOCKETS = Gauge("voltgraph_graphql_sockets", "WebSockets of GraphQL clients", multiprocess_mode="livesum")

UNKNOWN = "unknown"


class Metrics(SchemaExtension):
    def on_operation(self) -> Iterator[None]:
        self._kind = UNKNOWN
        try:
            yield
        finally:
            if self._kind != UNKNOWN:
                RUNNING.labels(self._kind).dec()
            OPERATIONS.labels(self._kind, self._outcome()).inc()

    def on_validate(self) -> Iterator[None]:
        self._kind = self.execution_context.operation_type.name.lower()
        RUNNING.labels(self._kind).inc()
        yield

    def on_stream_result(self, result: object) -> Iterator[None]:
        if self._kind == "subscription":
            ITEMS.inc()
        yield

    def _outcome(self) -> str:
        errors = getattr(self.execution_context.result, "errors", None) or self.execution_context.pre_execution_errors
        if not errors:
            return "OK"
        return str((errors[0].extensions or {}).get("code", UNKNOWN))
