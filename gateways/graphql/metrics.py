"""What was asked, how it went and where the time was spent.

Names of operations come from clients, who may invent any number of them: the first hundred have series of their
own. The children of a series are looked up once per name, since looking them up costs more than counting.
"""

from collections.abc import Sequence
from functools import cached_property
from time import perf_counter

from graphql import GraphQLError
from prometheus_client import Counter, Gauge, Histogram

NAME_CHARACTERS_MAX = 100
_NAMES_MAX = 100
OTHER = "other"
_ANONYMOUS = ""
UNKNOWN = "unknown"

OPERATIONS = Counter(
    "voltgraph_graphql_operations_total",
    "Operations by kind and name, and how they ended: OK or the first error's code",
    ["kind", "operation", "outcome"],
)
RUNNING = Gauge(
    "voltgraph_graphql_operations_running",
    "Operations that have not ended, by kind",
    ["kind"],
    multiprocess_mode="livesum",
)
PHASES = Histogram(
    "voltgraph_graphql_phase_seconds",
    "Time of an operation by phase: prepare (document, limits, budget), execute (of a subscription each event), encode",
    ["phase", "operation"],
    buckets=(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0),
)
ITEMS = Counter("voltgraph_graphql_items_total", "Results that subscriptions have yielded")
SOCKETS = Gauge("voltgraph_graphql_sockets", "WebSockets of GraphQL clients", multiprocess_mode="livesum")
CLOSES = Counter(
    "voltgraph_graphql_closes_total", "WebSockets that have ended, by the code they were closed with", ["code"]
)
STREAMS = Gauge("voltgraph_graphql_streams", "Server-sent event streams", multiprocess_mode="livesum")
GROUPS = Gauge("voltgraph_graphql_groups", "Groups of subscribers who ask for the same", multiprocess_mode="livesum")
MEMBERS = Gauge("voltgraph_graphql_members", "Subscribers in groups", multiprocess_mode="livesum")
DELIVERIES = Counter("voltgraph_graphql_deliveries_total", "Results that groups have put before their members")
REPLAYED = Counter("voltgraph_graphql_replayed_total", "Events that were told to subscribers who came back")
GAPS = Counter("voltgraph_graphql_gaps_total", "Subscriptions that have ended because their reader was too slow")
_DROPS = Counter(
    "voltgraph_graphql_drops_total",
    "Results that were not sent: conflated (a newer value took the place), overflow (their operation has ended)",
    ["reason"],
)
CONFLATED, OVERFLOWED = _DROPS.labels("conflated"), _DROPS.labels("overflow")
OUTBOX_DEPTH = Histogram(
    "voltgraph_graphql_outbox_depth",
    "The most that waited for a reader, each time that one did not keep up",
    buckets=(0, 1, 4, 16, 64, 128, 256, 1024, 4096),
)
LAG = Histogram(
    "voltgraph_graphql_lag_seconds",
    "From an event's publication until its group has told all members",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)


class Meter:
    """Of the operations of one kind and name."""

    def __init__(self, kind: str, operation: str) -> None:
        self._kind = kind
        self._operation = operation
        self._running = RUNNING.labels(kind)
        self._prepare, self._execute, self._encode = (
            PHASES.labels(phase, operation) for phase in ("prepare", "execute", "encode")
        )
        self._outcomes: dict[str, Counter] = {}

    @cached_property
    def part(self) -> "Part":
        return Part(self._kind, self._operation)

    def started(self) -> None:
        self._running.inc()

    def prepared(self, since: float) -> float:
        """What `perf_counter` says now; the phase has lasted since then."""
        return _observed(self._prepare, since)

    def executed(self, since: float) -> float:
        return _observed(self._execute, since)

    def encoded(self, since: float) -> float:
        return _observed(self._encode, since)

    def ended(self, errors: Sequence[GraphQLError] | None) -> None:
        self._running.dec()
        outcome = outcome_of(errors)
        counter = self._outcomes.get(outcome)
        if counter is None:
            counter = self._outcomes[outcome] = OPERATIONS.labels(self._kind, self._operation, outcome)
        counter.inc()


class Part(Meter):
    """Of what is a part of an operation, which is counted as a whole."""

    def started(self) -> None:
        pass

    def ended(self, errors: Sequence[GraphQLError] | None) -> None:
        pass


_METERS: dict[tuple[str, str], Meter] = {}


def meter(kind: str, name: str | None) -> Meter:
    key = (kind, name or _ANONYMOUS)
    found = _METERS.get(key)
    if found is not None:
        return found
    if name and (len(_METERS) >= _NAMES_MAX or len(name) > NAME_CHARACTERS_MAX):
        key = (kind, OTHER)
    return _METERS.get(key) or _METERS.setdefault(key, Meter(*key))


def refused(errors: Sequence[GraphQLError]) -> None:
    """An operation that was not executed: nobody knows of what kind it was, and its name is anybody's."""
    OPERATIONS.labels(UNKNOWN, _ANONYMOUS, outcome_of(errors)).inc()


def outcome_of(errors: Sequence[GraphQLError] | None) -> str:
    if not errors:
        return "OK"
    return str((errors[0].extensions or {}).get("code", UNKNOWN))


def _observed(phase: Histogram, since: float) -> float:
    now = perf_counter()
    phase.observe(now - since)
    return now
