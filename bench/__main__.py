"""`make bench`: every figure, or those that are named (`python -m bench latency`)."""

import sys
from importlib import import_module

from bench.rows import table

ALL = (
    "latency",
    "messages",
    "station_log",
    "idle",
    "fleet",
    "ingest",
    "imports",
    "history",
    "history_graphql",
    "graphql",
    "subscriptions",
)


def main(names: list[str]) -> None:
    unknown = set(names) - set(ALL)
    if unknown:
        sys.exit(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    rows = []
    for name in names or ALL:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        rows += import_module(f"bench.{name}").run()
    print(table(rows))


if __name__ == "__main__":
    main(sys.argv[1:])
