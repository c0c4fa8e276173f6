"""A small query, a list and columns over HTTP: the whole door, beside stock Strawberry and a bare endpoint."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

from bench.graphql_schema import COLUMNS, LIST, SMALL, SMALL_VARIABLES, UNLIMITED
from bench.graphql_servers import bare
from bench.http_load import Load, answer, load, post
from bench.rows import Row, table
from bench.serving import Server, data_folder, server

ROUNDS = 5
SECONDS = 1.0
WARM_S = 0.5
BUSY = 0.9  # below, it was not the server that limited the rate, which is then said
HUGE_BYTES = 999_000  # just under what the door reads
FEW = 4  # connections for answers that take a server milliseconds each

RICH = {f"VOLTGRAPH_GRAPHQL_{name}": str(UNLIMITED) for name in ("COST_MAX", "BUDGET_PER_S", "BUDGET_BURST")}

OURS, STOCK, CACHED, PLAIN = "ours", "stock", "cached", "plain"


@dataclass
class Runs:
    """Of one server with one request, round by round."""

    loads: list[Load] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    @property
    def per_s(self) -> float:
        return median(one.per_s for one in self.loads)

    def __str__(self) -> str:
        p50, p99 = median(one.p50_ms for one in self.loads), median(one.p99_ms for one in self.loads)
        cpu_us, busy = median(self.cpu_us), median(self.busy)
        idle = "" if busy > BUSY else f" (server {busy:.0%} busy)"
        return f"{self.per_s:,.0f}/s{idle}, p50 {p50:.1f} ms, p99 {p99:.1f} ms, {cpu_us:,.0f} µs of server CPU"


def run() -> list[Row]:
    with ExitStack() as stack:
        folder = stack.enter_context(data_folder())
        ours = stack.enter_context(server(folder, program="bench.graphql_servers", settings=RICH))
        servers = {OURS: ours, **{name: stack.enter_context(bare(name)) for name in (STOCK, CACHED, PLAIN)}}
        return [*_small(servers), *_large(servers), _refusal(servers)]


def _small(servers: dict[str, Server]) -> list[Row]:
    request = {"query": SMALL, "variables": SMALL_VARIABLES}
    runs = _answered(servers, request, connections=32, seconds=SECONDS)
    ours = runs[OURS]
    beside = {STOCK: "stock Strawberry", CACHED: "with its caches", PLAIN: "bare Starlette endpoint"}
    what = "GraphQL: a small query through the whole door"
    return [
        Row(what, str(ours), f"{words} {other}", ours.per_s / other.per_s)
        for other, words in ((runs[name], words) for name, words in beside.items())
    ]


def _large(servers: dict[str, Server]) -> list[Row]:
    rows = []
    for what, query in (("1,000 objects of 8 fields", LIST), ("10 series of 1,440 values", COLUMNS)):
        two = {name: servers[name] for name in (OURS, CACHED)}
        runs = _answered(two, {"query": query}, connections=FEW, seconds=SECONDS / 2)
        ratio = runs[OURS].per_s / runs[CACHED].per_s
        rows.append(Row(f"GraphQL over HTTP: {what}", str(runs[OURS]), f"stock with its caches {runs[CACHED]}", ratio))
    return rows


def _refusal(servers: dict[str, Server]) -> Row:
    """What the longest body costs that is read at all; most of it is the reading."""
    body = {"query": f"{{ meter(id: 1) {{ {'id ' * (HUGE_BYTES // 3)} }} }}", "variables": SMALL_VARIABLES}
    two = {name: (servers[name], _request(servers[name], body)) for name in (OURS, PLAIN)}
    status, content = answer(servers[OURS].port, two[OURS][1])
    assert content["errors"][0]["extensions"]["code"] == "LIMIT", content
    runs = _measured(two, connections=FEW, seconds=SECONDS / 2, status={OURS: status, PLAIN: 200})
    beside = f"bare Starlette endpoint that answers it {runs[PLAIN]}"
    return Row(
        "GraphQL over HTTP: refusing a body of 1 MB", str(runs[OURS]), beside, runs[OURS].per_s / runs[PLAIN].per_s
    )


def _answered(servers: dict[str, Server], body: object, *, connections: int, seconds: float) -> dict[str, Runs]:
    requests = {name: (one, _request(one, body)) for name, one in servers.items()}
    answers = [answer(one.port, request) for one, request in requests.values()]
    data = answers[-1][1]["data"]
    assert all(status == 200 and content.get("data") == data for status, content in answers), answers[0]
    return _measured(requests, connections=connections, seconds=seconds, status=dict.fromkeys(servers, 200))


def _measured(
    requests: dict[str, tuple[Server, bytes]], *, connections: int, seconds: float, status: dict[str, int]
) -> dict[str, Runs]:
    """Round by round in turn, so that a machine's moods meet all alike."""
    runs = {name: Runs() for name in requests}
    for name, (one, request) in requests.items():
        load(one.port, request, seconds=WARM_S, connections=connections, status=status[name])
    for _ in range(ROUNDS):
        for name, (one, request) in requests.items():
            cpu_s, wanted_s, started = one.cpu_s(), one.wanted_s(), perf_counter()
            done = load(one.port, request, seconds=seconds, connections=connections, status=status[name])
            runs[name].loads.append(done)
            runs[name].cpu_us.append((one.cpu_s() - cpu_s) / done.count * 1e6)
            runs[name].busy.append((one.wanted_s() - wanted_s) / (perf_counter() - started))
    return runs


def _request(one: Server, body: object) -> bytes:
    return post("/graphql", body, **({"authorization": f"Bearer {one.secret}"} if one.secret else {}))


if __name__ == "__main__":
    print(table(run()))
