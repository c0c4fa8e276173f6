"""What belongs to no charge is listed until somebody settles it."""

import pytest

from domain import sessions
from domain.actor import Role
from domain.errors import Conflict, Forbidden, Invalid
from domain.page import PageRequest
from domain.sessions import OrphanKind, SessionOrphan, SessionOrphanAssigned, SessionOrphanDismissed, SessionStatus
from tests.domain.sessions.charger import Charger, a_charger, minute, sample
from tests.tester import Tester

pytestmark = pytest.mark.anyio


async def an_orphan(charger: Charger, at: float = 30, meter_wh: float = 2_500) -> SessionOrphan:
    """The stop of another card."""
    await charger.stop(at, meter_wh=meter_wh, transaction_id="0", token_uid="ANOTHER", reason="Local")
    return (await charger.orphans())[0]


async def test_a_stop_that_is_given_to_a_charge_ends_it_and_is_told_with_who_did_it(acme: Tester) -> None:
    charger = await a_charger(acme)
    session = (await charger.start(0, meter_wh=1_000)).session
    orphan = await an_orphan(charger)

    async with acme.work(role=Role.OPERATOR) as work:
        settled = await sessions.assign_orphan(work, orphan_id=orphan.id, session_id=session.id)
        assert SessionOrphanAssigned(orphan_id=orphan.id, session_id=session.id, by=acme.slug) in [
            envelope.event for envelope in work.emitted
        ]

    assert (settled.session_id, settled.settled_by) == (session.id, acme.slug)
    session = await charger.session()
    assert (session.status, session.energy_wh, session.ended_at) == (SessionStatus.COMPLETED, 1_500, minute(30))
    assert await charger.orphans() == []


async def test_the_charges_own_stop_counts_for_more_and_makes_it_an_orphan_again(acme: Tester) -> None:
    charger = await a_charger(acme)
    session = (await charger.start(0, meter_wh=1_000)).session
    orphan = await an_orphan(charger)
    async with acme.work() as work:
        await sessions.assign_orphan(work, orphan_id=orphan.id, session_id=session.id)

    await charger.stop(40, meter_wh=3_000, transaction_id=session.transaction_id)

    session = await charger.session()
    assert (session.energy_wh, session.ended_at) == (2_000, minute(40))
    (again,) = await charger.orphans()
    assert (again.id, again.settled_at, again.settled_by) == (orphan.id, None, None)


async def test_a_meter_value_that_is_given_to_a_charge_is_one_of_its_own(acme: Tester) -> None:
    charger = await a_charger(acme)
    await charger.meter(sample(5, 1_700), transaction_id="2147483647", evse=2)
    session = (await charger.start(0, meter_wh=1_000)).session
    (orphan,) = await charger.orphans()
    async with acme.work() as work:
        await sessions.assign_orphan(work, orphan_id=orphan.id, session_id=session.id)
    assert (await charger.session()).energy_wh == 700


async def test_what_is_dismissed_is_kept_and_listed_and_taken_no_more(acme: Tester) -> None:
    charger = await a_charger(acme, now=60)
    await charger.stop(30, meter_wh=2_500, transaction_id=None, token_uid="CARD")
    (orphan,) = await charger.orphans()
    async with acme.work() as work:
        await sessions.dismiss_orphan(work, orphan_id=orphan.id)
        (event,) = [envelope.event for envelope in work.emitted]
    assert event == SessionOrphanDismissed(orphan_id=orphan.id, by=acme.slug)

    await charger.stop(30, meter_wh=2_500, transaction_id=None, token_uid="CARD")
    await charger.start(0, meter_wh=1_000, token_uid="CARD")
    assert (await charger.session()).status is SessionStatus.ACTIVE
    assert await charger.orphans() == []


async def test_orphans_are_settled_once_and_only_where_they_fit(acme: Tester) -> None:
    charger, other = await a_charger(acme), await a_charger(acme)
    elsewhere, late = (await other.start(0)).session, (await charger.start(45)).session
    stopped = (await charger.start(0, evse=2)).session
    await charger.stop(10, meter_wh=1_000, transaction_id=stopped.transaction_id)
    orphan = await an_orphan(charger)
    async with acme.work() as work:
        with pytest.raises(Invalid, match="another station"):
            await sessions.assign_orphan(work, orphan_id=orphan.id, session_id=elsewhere.id)
        with pytest.raises(Invalid, match="began after"):
            await sessions.assign_orphan(work, orphan_id=orphan.id, session_id=late.id)
        with pytest.raises(Conflict, match="stopped already"):
            await sessions.assign_orphan(work, orphan_id=orphan.id, session_id=stopped.id)
        await sessions.dismiss_orphan(work, orphan_id=orphan.id)
        with pytest.raises(Conflict, match="settled already"):
            await sessions.dismiss_orphan(work, orphan_id=orphan.id)
    async with acme.work(role=Role.VIEWER) as work:
        with pytest.raises(Forbidden):
            await sessions.dismiss_orphan(work, orphan_id=orphan.id)


async def test_orphans_are_listed_by_what_is_wanted(acme: Tester) -> None:
    charger, other = await a_charger(acme), await a_charger(acme)
    await an_orphan(charger)
    await charger.meter(sample(5, 1_700), transaction_id="77", evse=2)
    await an_orphan(other)

    async def listed(**wanted: object) -> int:
        async with acme.work(read_only=True) as work:
            return len((await sessions.orphans(work, PageRequest(), **wanted)).rows)  # type: ignore[arg-type]

    assert await listed() == 3
    assert await listed(station_id=charger.station_id) == 2
    assert await listed(kind=OrphanKind.METER) == 1
    assert await listed(transaction_id="77") == 1
    assert await listed(token_uid="another") == 2
