"""Several processes of one cluster meet the same points for the first time."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from domain import points
from domain.page import PageRequest, total
from tests.domain.points import recorder
from tests.tester import Tester
from voltgraph.settings import Settings

pytestmark = pytest.mark.anyio

ADDRESSES = [f"m/{n}" for n in range(500)]


async def a_process(settings: Settings, tester: Tester, addresses: list[str]) -> Process:
    urls = json.dumps({"database": settings.database_url, "redis": settings.redis_url})
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.domain.points.recorder",
        urls,
        str(tester.tenant_id),
        json.dumps(addresses),
        stdin=PIPE,
        stdout=PIPE,
        cwd=Path(recorder.__file__).parents[3],
    )


async def said(process: Process) -> str:
    assert process.stdout
    return (await asyncio.wait_for(process.stdout.readline(), timeout=120)).decode().strip()


async def test_two_processes_that_see_the_same_points_first_make_each_of_them_once(
    settings: Settings, acme: Tester
) -> None:
    processes = [await a_process(settings, acme, ADDRESSES), await a_process(settings, acme, ADDRESSES[::-1])]
    assert [await said(process) for process in processes] == ["ready", "ready"]
    for process in processes:
        assert process.stdin
        process.stdin.write(b"go\n")
        await process.stdin.drain()

    assert [json.loads(await said(process)) for process in processes] == [[500, []], [500, []]]
    assert [await process.wait() for process in processes] == [0, 0]
    async with acme.work(read_only=True) as work:
        page = await points.listed(work, PageRequest(first=1))
        assert await total(work, page.query) == 500
        series = {point.series for point in (await points.by_addresses(work, ADDRESSES)).values()}
        assert len(series) == 500
