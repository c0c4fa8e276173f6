"""What is loaded: the benchmark's schema served by us, by stock Strawberry with and without its caches, and the same
answer by a bare Starlette endpoint. Run as a module each is a process of its own: `plain`, `stock`, `cached`, or
`serve --port 0`, which is `voltgraph serve` in all but the schema."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from starlette.routing import BaseRoute

from bench.serving import CLIENT_CORES, SERVER_CORE, Server


@contextmanager
def bare(*name: str, program: str = __name__) -> Iterator[Server]:
    """`plain`, `stock` or `cached`, or another program, on the server's core; the caller keeps to the client's."""
    process = subprocess.Popen([sys.executable, "-m", program, *name], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        os.sched_setaffinity(process.pid, {SERVER_CORE})
        os.sched_setaffinity(0, CLIENT_CORES)
        yield Server(port, process.pid, Path())
    finally:
        os.sched_setaffinity(0, set(range(os.cpu_count() or 1)))
        process.terminate()
        process.wait(30)


def _run_bare(name: str) -> None:
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route
    from strawberry.asgi import GraphQL

    from bench.graphql_schema import CACHES, DATA, build

    async def plain(request: Request) -> JSONResponse:
        meter = DATA.meters[int((await request.json())["variables"]["id"])]
        small = {"id": meter.id, "name": meter.name, "powerW": meter.power_w, "online": meter.online}
        return JSONResponse({"data": {"meter": small}})

    if name == "plain":
        route = Route("/graphql", plain, methods=["POST"])
    else:
        route = Route("/graphql", GraphQL(build(extensions=CACHES if name == "cached" else ())))
    serve_bare([route])


def serve_bare(routes: Sequence[BaseRoute]) -> None:
    """On the same uvicorn as ours; the first line that it prints is its port."""
    import uvicorn
    from starlette.applications import Starlette

    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        Starlette(routes=routes),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        access_log=False,
        log_config=None,
        server_header=False,
    )
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(config).run(sockets=[listener])


def _run_ours() -> None:
    """The command line's `serve` with another schema."""
    import schema
    from bench.graphql_schema import build
    from voltgraph.cli import main

    setattr(schema, "build", build)  # noqa: B010 -- the one thing that is not ours
    main()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _run_ours()
    else:
        _run_bare(sys.argv[1])
