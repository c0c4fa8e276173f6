"""A file on its way in: what of it is kept, and what becomes of it when something breaks."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from domain import history, imports
from domain.actor import Role
from domain.errors import Conflict, Forbidden, LimitExceeded, NotFound, Unavailable
from domain.imports import Import, ImportRules, ImportStatus, Layout
from domain.page import PageRequest
from domain.points import Quality, Source
from domain.work import Work
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FILE = "timestamp,address,value\n2026-03-01T12:00:00Z,a,1\n2026-03-01T12:01:00Z,a,2\n2026-03-01T12:00:00Z,b,3\n"


async def begun(tester: Tester, **layout: Any) -> Import:
    async with tester.work() as work:
        return await imports.begin(work, layout=Layout(**layout))


async def parts(*given: str) -> AsyncIterator[bytes]:
    for part in given:
        yield part.encode()


async def receive(tester: Tester, one: Import, *given: str) -> Import:
    return await imports.receive(tester.workplace, tester.actor, import_id=one.id, parts=parts(*given))


async def now(tester: Tester, one: Import) -> Import:
    async with tester.work(read_only=True) as work:
        return await imports.by_id(work, one.id)


async def kept(tester: Tester, *addresses: str) -> list[tuple[Any, ...]]:
    found = await history.readings(
        tester.workplace,
        tester.actor,
        addresses=addresses,
        from_=NOON - timedelta(days=1),
        to=NOON + timedelta(days=1),
    )
    return [(page.point.address, row.at, row.value) async for page in found for row in page.rows]


async def test_a_file_is_recorded_and_counted(acme: Tester) -> None:
    one = await begun(acme)
    done = await receive(acme, one, FILE[:40], FILE[40:])

    assert (done.status, done.bytes_read, done.rows_read) == (ImportStatus.COMPLETED, len(FILE), 3)
    assert (done.recorded, done.failed, done.errors, done.error) == (3, 0, [], None)
    assert [column.meaning for column in done.read_columns or ()] == ["at", "address", "value"]
    assert done.upload_path is None
    assert await kept(acme, "a", "b") == [
        ("a", NOON, 1.0),
        ("a", NOON + timedelta(minutes=1), 2.0),
        ("b", NOON, 3.0),
    ]


async def test_what_is_imported_says_so_and_is_no_news(acme: Tester) -> None:
    await receive(acme, await begun(acme), FILE)

    found = await history.readings(
        acme.workplace, acme.actor, addresses=["a"], from_=NOON, to=NOON + timedelta(hours=1)
    )
    rows = [row async for page in found for row in page.rows]
    assert {(row.source, row.quality, row.version) for row in rows} == {(Source.IMPORTED, Quality.GOOD, 1)}


async def test_good_rows_are_kept_beside_bad_ones_which_are_told_by_their_line(acme: Tester) -> None:
    done = await receive(
        acme, await begun(acme), FILE + "now,a,1\n2026-03-01T12:05:00Z,a,inf\n2026-03-01T12:06:00Z,a,9\n"
    )

    assert (done.status, done.rows_read, done.recorded, done.failed) == (ImportStatus.COMPLETED, 6, 4, 2)
    assert [error.line for error in done.first_errors] == [5, 6]


async def test_of_many_errors_the_first_are_kept_and_all_are_counted(acme: Tester) -> None:
    done = await receive(acme, await begun(acme), FILE + "now,a,1\n" * 250)

    assert (done.failed, len(done.errors)) == (250, 100)


async def test_a_file_without_a_good_row_has_failed(acme: Tester) -> None:
    done = await receive(acme, await begun(acme), "timestamp,address,value\nnow,a,1\n")

    assert (done.status, done.error) == (ImportStatus.FAILED, "no row could be recorded")


async def test_a_file_that_cannot_be_read_has_failed_and_says_why(acme: Tester) -> None:
    done = await receive(acme, await begun(acme), "this,is\nno,file\n")

    assert done.status is ImportStatus.FAILED
    assert "layout.at" in (done.error or "")


async def test_times_without_a_zone_are_the_tenants_or_the_one_that_was_said(acme: Tester) -> None:
    one = await begun(acme, timezone="America/New_York")
    await receive(acme, one, "timestamp,address,value\n2026-03-01 07:00,a,1\n")

    assert await kept(acme, "a") == [("a", NOON, 1.0)]


async def test_a_line_that_breaks_leaves_what_was_recorded_and_the_file_may_come_again(acme: Tester) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield FILE.encode()
        raise Unavailable("the upload was cut off")

    one = await begun(acme)
    with pytest.raises(Unavailable):
        await imports.receive(acme.workplace, acme.actor, import_id=one.id, parts=broken())
    interrupted = await now(acme, one)
    again = await receive(acme, one, FILE)

    assert (interrupted.status, interrupted.error) == (ImportStatus.INTERRUPTED, "the upload was cut off")
    assert interrupted.upload_path == f"/imports/{one.id}"
    assert (again.status, again.recorded) == (ImportStatus.COMPLETED, 3)
    assert len(await kept(acme, "a", "b")) == 3


async def test_an_import_takes_one_file(acme: Tester) -> None:
    one = await begun(acme)
    await receive(acme, one, FILE)

    with pytest.raises(Conflict):
        await receive(acme, one, FILE)


class Held:
    """A file whose rest comes when it is let."""

    def __init__(self) -> None:
        self.has_begun = asyncio.Event()
        self._rest = asyncio.Event()

    def let(self) -> None:
        self._rest.set()

    async def parts(self) -> AsyncIterator[bytes]:
        yield FILE.encode()
        self.has_begun.set()
        await self._rest.wait()
        yield b"2026-03-01T12:09:00Z,a,9\n"


async def test_an_import_that_is_cancelled_ends(acme: Tester) -> None:
    one, held = await begun(acme), Held()
    receiving = asyncio.ensure_future(imports.receive(acme.workplace, acme.actor, import_id=one.id, parts=held.parts()))
    await held.has_begun.wait()
    async with acme.work() as work:
        await imports.cancel(work, import_id=one.id)

    with pytest.raises(Conflict):
        await receiving
    assert (await now(acme, one)).status is ImportStatus.CANCELLED
    async with acme.work() as work:
        assert (await imports.cancel(work, import_id=one.id)).status is ImportStatus.CANCELLED


async def test_a_task_that_is_cancelled_leaves_the_import_interrupted(acme: Tester) -> None:
    one, held = await begun(acme), Held()
    receiving = asyncio.ensure_future(imports.receive(acme.workplace, acme.actor, import_id=one.id, parts=held.parts()))
    await held.has_begun.wait()
    receiving.cancel("the server restarts")

    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert ((await now(acme, one)).status, (await now(acme, one)).error) == (
        ImportStatus.INTERRUPTED,
        "the server restarts",
    )


async def test_a_task_that_is_cancelled_as_its_import_begins_leaves_it_interrupted_too(
    acme: Tester, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, is_committed, goes_on = await begun(acme), asyncio.Event(), asyncio.Event()

    async def held(_work: Work) -> None:
        is_committed.set()
        await goes_on.wait()

    monkeypatch.setattr(acme.workplace, "_publish", held)
    receiving = asyncio.ensure_future(receive(acme, one, FILE))
    await is_committed.wait()
    receiving.cancel("the server restarts")
    goes_on.set()

    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert (await now(acme, one)).status is ImportStatus.INTERRUPTED


async def test_only_so_many_run_at_once(acme: Tester, rival: Tester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(acme.workplace._ports, ImportRules, ImportRules(at_once=1))
    held = Held()
    running = await begun(acme)
    receiving = asyncio.ensure_future(
        imports.receive(acme.workplace, acme.actor, import_id=running.id, parts=held.parts())
    )
    await held.has_begun.wait()
    another = await begun(acme)

    with pytest.raises(LimitExceeded):
        await receive(acme, another, FILE)
    assert (await receive(rival, await begun(rival), FILE)).status is ImportStatus.COMPLETED
    held.let()
    await receiving
    assert (await receive(acme, another, FILE)).status is ImportStatus.COMPLETED


@pytest.mark.parametrize("rules", [ImportRules(max_bytes=50), ImportRules(max_points=1)])
async def test_a_file_that_is_too_much_has_failed(
    acme: Tester, monkeypatch: pytest.MonkeyPatch, rules: ImportRules
) -> None:
    monkeypatch.setitem(acme.workplace._ports, ImportRules, rules)

    done = await receive(acme, await begun(acme), FILE)

    assert done.status is ImportStatus.FAILED


async def test_an_import_whose_server_died_is_interrupted_and_one_without_a_file_forgotten(acme: Tester) -> None:
    died, waits = await begun(acme), await begun(acme)
    async with acme.work() as work:
        lost = await work.get(Import, died.id)
        lost.status = ImportStatus.RUNNING
    acme.clock.forward(seconds=61)
    async with acme.work() as work:
        await imports.look_after(work)
    assert ((await now(acme, died)).status, (await now(acme, waits)).status) == (
        ImportStatus.INTERRUPTED,
        ImportStatus.WAITING,
    )

    acme.clock.forward(days=1)
    async with acme.work() as work:
        await imports.look_after(work)
    assert ((await now(acme, waits)).status, (await now(acme, waits)).error) == (ImportStatus.FAILED, "no file came")


async def test_an_import_that_ended_long_ago_is_forgotten_and_its_readings_are_not(acme: Tester, rival: Tester) -> None:
    old, theirs = await begun(acme), await begun(rival)
    for tester, one in ((acme, old), (rival, theirs)):
        await receive(tester, one, FILE)
    acme.clock.forward(days=89)
    new = await begun(acme)
    acme.clock.forward(days=1, seconds=1)

    async with acme.work() as work:
        await imports.look_after(work)

    async with acme.work(read_only=True) as work:
        assert [one.id for one in (await imports.listed(work, PageRequest())).rows] == [new.id]
    assert (await now(rival, theirs)).status is ImportStatus.COMPLETED
    assert len(await kept(acme, "a", "b")) == 3


async def test_imports_are_counted(acme: Tester) -> None:
    def counted(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"voltgraph_import{name}", labels) or 0

    names = ("_rows_total", "_readings_total", "_refused_total")
    before = [*map(counted, names), counted("s_total", status="completed")]

    await receive(acme, await begun(acme), FILE + "now,a,1\n")

    after = [*map(counted, names), counted("s_total", status="completed")]
    assert [new - old for new, old in zip(after, before, strict=True)] == [4, 3, 1, 1]
    assert counted("s_running") == 0


async def test_another_tenants_import_is_not_there(acme: Tester, rival: Tester) -> None:
    theirs = await begun(rival)

    with pytest.raises(NotFound):
        await receive(acme, theirs, FILE)
    async with acme.work() as work:
        with pytest.raises(NotFound):
            await imports.cancel(work, import_id=theirs.id)
        assert (await imports.listed(work, PageRequest())).rows == []
    assert (await now(rival, theirs)).status is ImportStatus.WAITING


async def test_whoever_may_only_look_imports_nothing(acme: Tester) -> None:
    one = await begun(acme)
    viewer = replace(acme.actor, role=Role.VIEWER)

    with pytest.raises(Forbidden):
        await imports.receive(acme.workplace, viewer, import_id=one.id, parts=parts(FILE))
