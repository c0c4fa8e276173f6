"""What `make run` runs: the server, the tenant `demo`, and a simulated fleet in a process of its own."""

import asyncio
import subprocess
from typing import Self

from voltgraph import logging
from voltgraph.processes import child, end
from voltgraph.seed import DEMO_TENANT, DEMO_TOKEN, seed_demo
from voltgraph.server import run_worker, run_workers, with_free_port
from voltgraph.servers import owned
from voltgraph.settings import Settings
from voltgraph.wiring import House

_WELCOME = """
  Voltgraph is up.

  GraphiQL       http://{address}/graphql#{secret}
  Health         http://{address}/health/detailed      Metrics  http://{address}/metrics
  Chargers       ws://{address}/ocpp/demo/<identity>   (OCPP 1.6, 2.0.1 and 2.1; token DEMO charges)
  Credential     {secret}

  See it live    .venv/bin/voltgraph watch
  Stop it        Ctrl-C (the data stay in {data_dir})
"""


def run_demo(settings: Settings, workers: int, stations: int) -> None:
    logging.configure(log_format=settings.log_format, level=settings.log_level)
    with owned(settings) as found:
        complete = with_free_port(found)
        secret = asyncio.run(_seed(complete))
        with Fleet(complete, stations) as fleet:

            def ready() -> None:
                address = f"{complete.host}:{complete.port}"
                print(_WELCOME.format(address=address, secret=secret, data_dir=complete.data_dir), flush=True)
                fleet.start()

            if workers == 1:
                run_worker(complete, when_ready=ready)
            else:
                run_workers(complete, workers, when_ready=ready)


async def _seed(settings: Settings) -> str:
    async with House.built(settings) as house:
        return await seed_demo(house)


class Fleet:
    """The simulated stations' process; ends with us."""

    def __init__(self, settings: Settings, count: int) -> None:
        url = f"ws://{settings.host}:{settings.port}/ocpp/{DEMO_TENANT}"
        registers = str(settings.data_dir / "simulated.registers")
        self._arguments = ["simulate", "stations", "--url", url, "--count", str(count), "--token", DEMO_TOKEN]
        self._arguments += ["--registers", registers]
        self._wanted = count > 0
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        if self._wanted:
            self._processes.append(child(*self._arguments))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end(self._processes, within_s=5)
