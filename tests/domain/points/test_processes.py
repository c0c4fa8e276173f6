"""Several processes of one cluster meet the same points for the first time."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from domain import history, points
from domain.page import PageRequest, total
from domain.points import LatestReading, Reading, ValueType
from tests.domain.points import recorder
from tests.tester import Tester
from voltgraph.settings import Settings

pytestmark = pytest.mark.anyio

ADDRESSES = [f"m/{n}" for n in range(500)]


Batches = list[list[tuple[str, int]]]


async def a_process(
    settings: Settings, tester: Tester, does: str, program: str = "tests.domain.points.recorder"
) -> Process:
    urls = json.dumps({"database": settings.database_url, "redis": settings.redis_url})
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        program,
        urls,
        str(tester.tenant_id),
        does,
        stdin=PIPE,
        stdout=PIPE,
        cwd=Path(recorder.__file__).parents[3],
    )


async def all_recorded(settings: Settings, tester: Tester, *batches: Batches) -> None:
    """Each by a process of its own, all at once."""
    processes = [await a_process(settings, tester, json.dumps(own)) for own in batches]
    assert [await said(process) for process in processes] == ["ready"] * len(processes)
    for process in processes:
        assert process.stdin
        process.stdin.write(b"go\n")
        await process.stdin.drain()
    counts = [sum(map(len, own)) for own in batches]
    assert [json.loads(await said(process)) for process in processes] == [[count, []] for count in counts]
    assert [await process.wait() for process in processes] == [0] * len(processes)


async def said(process: Process) -> str:
    assert process.stdout
    return (await asyncio.wait_for(process.stdout.readline(), timeout=120)).decode().strip()


async def test_two_processes_that_see_the_same_points_first_make_each_of_them_once(
    settings: Settings, acme: Tester
) -> None:
    first = [(address, 0) for address in ADDRESSES]
    await all_recorded(settings, acme, [first], [first[::-1]])

    async with acme.work(read_only=True) as work:
        page = await points.listed(work, PageRequest(first=1))
        assert await total(work, page.query) == 500
        series = {point.series for point in (await points.by_addresses(work, ADDRESSES)).values()}
        assert len(series) == 500


async def test_of_what_two_processes_record_in_any_order_the_newest_is_the_latest_and_all_is_kept(
    settings: Settings, acme: Tester
) -> None:
    chance = Random(6)
    told = [(address, second) for address in ("a", "b", "c") for second in range(200)]
    chance.shuffle(told)
    batches = [told[start : start + 10] for start in range(0, len(told), 10)]
    await all_recorded(settings, acme, batches[::2], batches[1::2])

    async with acme.work(read_only=True) as work:
        found = await points.by_addresses(work, ["a", "b", "c"])
        latest = await points.latest_of(work, [point.id for point in found.values()])
    assert [reading.value for reading in latest.values()] == [199, 199, 199]
    kept = await history.history(
        acme.workplace, acme.actor, addresses=["a", "b", "c"], from_=recorder.NOON, to=recorder.NOON + timedelta(1)
    )
    assert [list(series.values) for series in kept.series] == [list(range(200))] * 3


async def told(process: Process) -> None:
    """To record one more, which it has by then."""
    assert process.stdin
    process.stdin.write(b"more\n")
    await process.stdin.drain()
    assert await said(process)


async def latest(tester: Tester, address: str) -> LatestReading:
    async with tester.work(read_only=True) as work:
        point = await points.by_address(work, address)
        return (await points.latest_of(work, [point.id]))[point.id]


async def test_a_type_that_is_changed_in_one_process_is_heard_of_in_the_others(
    settings: Settings, acme: Tester, rival: Tester
) -> None:
    """A number fits a point of numbers, so a process that was not told would go on with it for ever."""
    others = [
        await a_process(settings, tester, "a/mode", program="tests.domain.points.steady") for tester in (acme, rival)
    ]
    for process, tester in zip(others, (acme, rival), strict=True):
        await told(process)
        await told(process)
        assert (await latest(tester, "a/mode")).value == 2
    async with acme.work() as work:
        assert (await points.record(work, [Reading("a/mode", recorder.NOON, text="eco")])).quarantined

    await points.release_quarantined(acme.workplace, acme.actor, address="a/mode", value_type=ValueType.TEXT)

    async with asyncio.timeout(30):
        while (await latest(acme, "a/mode")).text is None:
            await told(others[0])
    await told(others[1])
    assert (await latest(rival, "a/mode")).value == 3
    for process in others:
        assert process.stdin
        process.stdin.close()
        assert await process.wait() == 0
