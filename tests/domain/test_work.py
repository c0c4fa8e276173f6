"""One actor, one tenant, one transaction, one clock reading."""

import asyncio
from datetime import UTC, datetime

import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from domain import locations
from domain.actor import Actor, Permission, Role, tenant_by_slug
from domain.bus import Bus, Topic
from domain.errors import Conflict, Forbidden, NotFound, Unavailable
from domain.events import Envelope
from domain.stations import StationRegistered
from domain.work import Workplace
from tests.factories import a_location, a_station
from tests.tester import Tester

pytestmark = pytest.mark.anyio


async def test_what_a_work_wrote_is_there_after_it(acme: Tester) -> None:
    location = await a_location(acme, "Harbor")

    async with acme.work(read_only=True) as work:
        assert (await locations.by_id(work, location.id)).name == "Harbor"


async def test_what_a_failed_work_wrote_never_was(acme: Tester) -> None:
    with pytest.raises(RuntimeError, match="stop"):
        async with acme.work() as work:
            location = await locations.create(work, name="Nowhere")
            await work.session.flush()
            raise RuntimeError("stop")

    async with acme.work() as work:
        with pytest.raises(NotFound):
            await locations.by_id(work, location.id)


async def test_postgresql_itself_refuses_a_write_in_read_only_work(acme: Tester) -> None:
    with pytest.raises(Forbidden, match="read-only"):
        async with acme.work(read_only=True) as work:
            await (await work.session.connection()).execute(text("update tenant set name = 'changed'"))


async def test_a_session_without_a_tenant_is_refused(workplace: Workplace) -> None:
    async with workplace.engine.connect() as connection:
        with pytest.raises(DBAPIError):
            await connection.execute(text("select * from station"))


async def test_a_scoped_session_without_a_tenant_raises(workplace: Workplace) -> None:
    from domain.work import _ScopedSession

    async with AsyncSession(workplace.engine, sync_session_class=_ScopedSession) as session:
        with pytest.raises(RuntimeError, match="without a tenant"):
            await session.connection()


async def test_the_tenant_is_gone_from_the_connection_after_the_work(acme: Tester, workplace: Workplace) -> None:
    await a_location(acme)
    async with workplace.engine.connect() as connection:
        assert await connection.scalar(text("select coalesce(current_setting('app.tenant_id', true), '')")) == ""


async def test_a_row_cannot_be_written_for_another_tenant(acme: Tester, rival: Tester) -> None:
    with pytest.raises(DBAPIError, match="row-level security"):
        async with acme.work() as work:
            await (await work.session.connection()).execute(
                text(
                    "insert into location (id, tenant_id, created_at, name) values (gen_random_uuid(), :t, now(), 'x')"
                ),
                {"t": rival.tenant_id},
            )


async def test_a_foreign_key_cannot_point_at_another_tenants_row(acme: Tester, rival: Tester) -> None:
    theirs = await a_location(rival)
    station = await a_station(acme)
    with pytest.raises(Conflict):
        async with acme.work() as work:
            await (await work.session.connection()).execute(
                text("update station set location_id = :theirs where id = :ours"),
                {"theirs": theirs.id, "ours": station.id},
            )


async def test_work_does_not_nest(acme: Tester) -> None:
    async with acme.work():
        with pytest.raises(RuntimeError, match="does not nest"):
            async with acme.work():
                pass


async def test_works_of_concurrent_tasks_do_not_see_each_other(acme: Tester) -> None:
    async def one(number: int) -> None:
        async with acme.work() as work:
            await locations.create(work, name=f"L{number}")
            await asyncio.sleep(0)

    await asyncio.gather(*(one(number) for number in range(10)))


async def test_a_viewer_may_not_change_anything(acme: Tester) -> None:
    with pytest.raises(Forbidden, match="VIEWER may not control"):
        async with acme.work(role=Role.VIEWER) as work:
            await locations.create(work, name="Mine")


async def test_scopes_narrow_what_a_role_may(acme: Tester) -> None:
    narrow = Actor(acme.tenant_id, Role.ADMIN, "reader", scopes=frozenset({Permission.VIEW}))

    assert narrow.may(Permission.VIEW)
    assert not narrow.may(Permission.CONTROL)


async def test_now_is_read_once(acme: Tester) -> None:
    acme.clock.now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    async with acme.work() as work:
        acme.clock.forward(hours=1)
        assert work.now == datetime(2026, 3, 1, 12, tzinfo=UTC)


async def test_an_event_is_heard_after_the_commit_by_its_own_tenant_alone(acme: Tester, rival: Tester) -> None:
    bus = acme.house.bus
    async with (
        bus.listen(Topic(acme.tenant_id, "station")) as ours,
        bus.listen(Topic(rival.tenant_id, "station")) as theirs,
    ):
        station = await a_station(acme, "CP-7")
        other = await a_station(rival, "CP-8")
        async with asyncio.timeout(5):
            for ear, expected in ((ours, station), (theirs, other)):
                message = await anext(aiter(ear))
                event = Envelope.decode(message.payload).event  # type: ignore[union-attr]
                assert isinstance(event, StationRegistered)
                assert (event.station_id, event.identity) == (expected.id, expected.identity)


async def test_nothing_is_heard_of_what_was_rolled_back(acme: Tester) -> None:
    async with acme.house.bus.listen(Topic(acme.tenant_id, "station")) as ear:
        with pytest.raises(RuntimeError):
            async with acme.work() as work:
                work.emit(StationRegistered(station_id=acme.tenant_id, identity="ghost"))
                await work.session.flush()
                raise RuntimeError
        await a_station(acme, "real")
        async with asyncio.timeout(5):
            message = await anext(aiter(ear))
        assert Envelope.decode(message.payload).event.identity == "real"  # type: ignore[union-attr, attr-defined]


async def test_a_tenant_is_found_by_its_slug_alone(acme: Tester, workplace: Workplace) -> None:
    assert await tenant_by_slug(workplace.engine, acme.slug) == acme.tenant_id
    assert await tenant_by_slug(workplace.engine, "nobody-here") is None


async def test_news_that_nobody_can_be_told_is_a_line_in_the_log_and_not_one_each(
    acme: Tester, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def be_deaf(_news: object) -> None:
        raise Unavailable("Redis is not reachable")

    with structlog.testing.capture_logs() as logs:
        with monkeypatch.context() as patch:
            patch.setattr(acme.workplace.port(Bus), "publish", be_deaf)  # type: ignore[type-abstract]
            for _ in range(5):
                await a_station(acme)
        await a_station(acme)

    assert [line["event"] for line in logs] == ["news cannot be told", "news is told again"]
    assert logs[1]["lost"] == 5
