"""What becomes of work when the database is not there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain import locations
from domain.actor import tenant_by_slug
from domain.bus import Bus
from domain.errors import Unavailable
from domain.work import Workplace
from tests.tester import Tester
from voltgraph.database import create_engine
from voltgraph.embedded import Urls

pytestmark = pytest.mark.anyio


@pytest.fixture
async def engine(urls: Urls, anyio_backend: str) -> AsyncIterator[AsyncEngine]:
    """With two connections."""
    engine = create_engine(urls.database, pool_size=1, patience_s=0.1)
    yield engine
    await engine.dispose()


@pytest.mark.parametrize("address", ["host={folder}", "host=127.0.0.1&port=1", "host=nowhere.invalid"])
async def test_a_database_that_is_not_there_is_unavailable(address: str, acme: Tester, tmp_path: Path) -> None:
    engine = create_engine(f"postgresql+asyncpg://somebody@/some?{address.format(folder=tmp_path)}")
    try:
        with pytest.raises(Unavailable, match="not reachable"):
            async with Workplace(engine, ports={}).open_work(acme.actor) as work:
                await locations.create(work, name="Harbor")
                await work.session.flush()
        with pytest.raises(Unavailable):
            await tenant_by_slug(engine, acme.slug)
    finally:
        await engine.dispose()


async def test_work_whose_connection_is_cut_is_unavailable_and_never_was(acme: Tester, engine: AsyncEngine) -> None:
    bus = acme.workplace.port(Bus)  # type: ignore[type-abstract]
    workplace = Workplace(engine, ports={Bus: bus})
    with pytest.raises(Unavailable):
        async with workplace.open_work(acme.actor) as work:
            await locations.create(work, name="Harbor")
            connection = await work.session.connection()
            pid = await connection.scalar(text("select pg_backend_pid()"))
            async with acme.workplace.engine.connect() as other:
                await other.execute(text("select pg_terminate_backend(:pid)"), {"pid": pid})
    async with workplace.open_work(acme.actor) as work:
        assert (await work.session.exec(text("select name from location"))).all() == []  # type: ignore[call-overload]


async def test_work_that_gets_no_connection_in_time_is_unavailable(acme: Tester, engine: AsyncEngine) -> None:
    workplace = Workplace(engine, ports={})
    async with engine.connect(), engine.connect():
        with pytest.raises(Unavailable, match="too much to do"):
            async with workplace.open_work(acme.actor) as work:
                await work.session.connection()


async def test_two_that_wait_for_each_other_are_told_to_try_again(acme: Tester) -> None:
    """PostgreSQL ends one of them."""
    async with acme.work() as work:
        ids = [(await locations.create(work, name=name)).id for name in ("Harbor", "Station")]
    reached = [asyncio.Event(), asyncio.Event()]

    async def take(first: int, second: int) -> None:
        async with acme.work() as work:
            await locations.update(work, location_id=ids[first], city="Here")
            await work.session.flush()
            reached[first].set()
            await reached[second].wait()
            await locations.update(work, location_id=ids[second], city="There")

    ends = await asyncio.gather(take(0, 1), take(1, 0), return_exceptions=True)

    assert sorted(map(type, ends), key=str) == [type(None), Unavailable]
