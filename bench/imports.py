"""A file of a million readings in by HTTP and out again, beside the least that can be done with it, in the same run.

Ten points, a reading a minute, ascending; the file is sent and read by a client on the other core, which does nothing
else with it. Beside: csv.reader over the same file and nothing more; a COPY of it by PostgreSQL, straight into a table
with that key; and the COPY that gives it back. Memory is the server's, the most that it had, before and with each.
"""

import asyncio
import csv
import os
import tempfile
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from time import perf_counter
from typing import Any

import asyncpg

from bench.rows import Row, table
from bench.serving import Server, server
from voltgraph.client import Client
from voltgraph.database import plain_url
from voltgraph.embedded import Urls, throwaway
from voltgraph.migrate import migrate_now

POINTS = 10
ROWS = int(os.environ.get("VOLTGRAPH_BENCH_ROWS", "1000000"))
START = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = timedelta(days=366)
SLOW_BYTES, SLOW_S = 1 << 20, 0.2  # who reads slowly

_BEGIN = "mutation { importReadings(input: {}) { uploadPath } }"
_BARE = "create table bare (at timestamptz, address text, value double precision, primary key (address, at))"


def run() -> list[Row]:
    with throwaway(fast=False) as urls, tempfile.TemporaryDirectory(prefix="voltgraph-bench-") as folder:
        migrate_now(urls.database_owner, urls.database)
        file = _file(Path(folder))
        settings = {
            "VOLTGRAPH_DATABASE_URL": urls.database,
            "VOLTGRAPH_REDIS_URL": urls.redis,
            "VOLTGRAPH_SECRET_KEY": "only for this benchmark",
        }
        with server(Path(folder) / "data", settings=settings) as running:
            return _measured(running, urls, file)


def _measured(running: Server, urls: Urls, file: Path) -> list[Row]:
    client = Client(f"http://127.0.0.1:{running.port}/graphql", running.secret)
    _uploaded(client, _few(file))  # creates the points, and warms what there is to be warm
    idle = running.memory_kib()
    _forget_peak(running)
    cpu = running.cpu_s()
    first_s = _seconds(lambda: _uploaded(client, file))
    cpu = running.cpu_s() - cpu
    peak_in = _peak_kib(running)
    again_s = _seconds(lambda: _uploaded(client, file))
    reader_s = _seconds(lambda: _read(file))
    copy_s, back_s = asyncio.run(_copied(urls, file))
    _forget_peak(running)
    out_s = _seconds(lambda: _exported(running, slowly=False))
    peak_out = _peak_kib(running)
    _forget_peak(running)
    _exported(running, slowly=True)
    peak_slow = _peak_kib(running)
    return [
        Row("rows imported", _rate(first_s), f"csv.reader alone {_rate(reader_s)}", reader_s / first_s),
        Row("rows imported", _rate(first_s), f"COPY of the file into a bare table {_rate(copy_s)}", copy_s / first_s),
        Row("server's processor time for them", f"{cpu:.1f} s", f"the import took {first_s:.1f} s", cpu / first_s),
        Row("the same file again", _rate(again_s), f"the first time {_rate(first_s)}", first_s / again_s),
        Row("rows exported", _rate(out_s), f"COPY of the table to a client {_rate(back_s)}", back_s / out_s),
        Row("server's memory, most in an import", _mib(peak_in), f"before {_mib(idle)}", peak_in / idle),
        Row("the same, in an export", _mib(peak_out), f"before {_mib(idle)}", peak_out / idle),
        Row("the same, to a slow reader", _mib(peak_slow), f"before {_mib(idle)}", peak_slow / idle),
    ]


def _file(folder: Path) -> Path:
    file = folder / "readings.csv"
    with file.open("w") as out:
        out.write("timestamp,address,value\n")
        for minute in range(ROWS // POINTS):
            at = (START + timedelta(minutes=minute)).isoformat().replace("+00:00", "Z")
            out.writelines(f"{at},load/{point},{(minute * 7 + point) % 1000 / 10}\n" for point in range(POINTS))
    return file


def _few(file: Path) -> Path:
    """Of another time than the file."""
    few = file.with_name("few.csv")
    rows = (f"2024-01-01T00:{minute:02}:00Z,load/{point},1\n" for minute in range(60) for point in range(POINTS))
    few.write_text("timestamp,address,value\n" + "".join(rows))
    return few


def _uploaded(client: Client, file: Path) -> None:
    path = client.ask(_BEGIN)["importReadings"]["uploadPath"]
    with file.open("rb") as source:
        answer = client.upload(path, source, size_bytes=file.stat().st_size)
    assert answer is not None
    assert answer["import"]["failed"] == 0, answer


def _exported(running: Server, *, slowly: bool) -> None:
    connection = HTTPConnection("127.0.0.1", running.port)
    points = "&".join(f"points=load/{point}" for point in range(POINTS))
    asked = f"from={START:%Y-%m-%d}T00:00:00Z&to={START + DAYS:%Y-%m-%d}T00:00:00Z"
    connection.request(
        "GET", f"/exports/readings?{points}&{asked}", headers={"Authorization": f"Bearer {running.secret}"}
    )
    response = connection.getresponse()
    lines = 0
    while part := response.read(SLOW_BYTES):
        lines += part.count(b"\n")
        if slowly:
            asyncio.run(asyncio.sleep(SLOW_S))
    assert lines == ROWS + 1, lines


def _read(file: Path) -> None:
    with file.open(newline="") as source:
        assert sum(1 for _ in csv.reader(source)) == ROWS + 1


async def _copied(urls: Urls, file: Path) -> tuple[float, float]:
    bare = await asyncpg.connect(plain_url(urls.database_owner))
    try:
        await bare.execute(_BARE)
        into = await _awaited(bare.copy_to_table("bare", source=file, format="csv", header=True))
        back = await _awaited(bare.copy_from_table("bare", output=os.devnull, format="csv"))
    finally:
        await bare.close()
    return into, back


def _seconds(doing: Any) -> float:
    started = perf_counter()
    doing()
    return perf_counter() - started


async def _awaited(doing: Awaitable[Any]) -> float:
    started = perf_counter()
    await doing
    return perf_counter() - started


def _rate(seconds: float) -> str:
    return f"{ROWS / seconds:,.0f}/s"


def _mib(kib: float) -> str:
    return f"{kib / 1024:.0f} MiB"


def _peak_kib(running: Server) -> int:
    lines = Path(f"/proc/{running.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _forget_peak(running: Server) -> None:
    Path(f"/proc/{running.pid}/clear_refs").write_text("5")


if __name__ == "__main__":
    print(table(run()))
