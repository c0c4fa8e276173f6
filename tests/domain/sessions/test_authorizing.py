"""What a station is told about a card."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from domain import sessions, stations
from domain.actor import Role
from domain.errors import Conflict, Forbidden, Invalid
from domain.sessions import Authorization, AuthorizationRules, AuthorizationStatus, Purpose, Stage
from domain.stations import Registration
from domain.tokens import TokenStatus
from domain.work import Workplace
from tests.domain.sessions.charger import NOON, Charger, a_charger
from tests.factories import a_group, a_location, a_station, a_token
from tests.statements import assert_statements
from tests.tester import Tester

pytestmark = pytest.mark.anyio

ACCEPTED, CONCURRENT = AuthorizationStatus.ACCEPTED, AuthorizationStatus.CONCURRENT


async def shown(
    charger: Charger,
    uid: str | None = "CARD",
    *,
    evse: int | None = None,
    transaction_id: str | None = None,
    purpose: Purpose = Purpose.ASK,
) -> Authorization:
    async with charger.tester.work(read_only=True, role=Role.STATION) as work:
        return await sessions.authorize(
            work,
            token_uid=uid,
            station_id=charger.station_id,
            evse_number=evse,
            transaction_id=transaction_id,
            purpose=purpose,
        )


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        (TokenStatus.ACCEPTED, AuthorizationStatus.ACCEPTED),
        (TokenStatus.BLOCKED, AuthorizationStatus.BLOCKED),
        (TokenStatus.EXPIRED, AuthorizationStatus.EXPIRED),
        (TokenStatus.INVALID, AuthorizationStatus.INVALID),
    ],
)
async def test_a_station_is_told_what_is_kept_of_a_card(
    acme: Tester, kept: TokenStatus, told: AuthorizationStatus
) -> None:
    charger = await a_charger(acme)
    token = await a_token(acme, "Card", status=kept, group_uid="FLEET")
    authorization = await shown(charger, "cARD")
    assert (authorization.status, authorization.token_id, authorization.group_uid) == (told, token.id, "FLEET")


@pytest.mark.parametrize("registration", [Registration.PENDING, Registration.REJECTED])
async def test_nobody_may_charge_at_a_station_that_may_not_work(acme: Tester, registration: Registration) -> None:
    """Else whoever knocks as a new station learns which cards are good."""
    token = await a_token(acme, "CARD")
    charger = Charger(acme, (await a_station(acme, registration=registration)).id)
    assert await shown(charger, "NOBODYS") == Authorization(AuthorizationStatus.INVALID)
    assert (await shown(charger)).status is AuthorizationStatus.INVALID

    started = await charger.start(token_uid="CARD")

    assert (started.authorization.status, started.session.token_id) == (AuthorizationStatus.INVALID, token.id)


async def test_a_card_of_another_tenant_is_as_unknown_as_nobodys(acme: Tester, rival: Tester) -> None:
    await a_token(rival, "CARD")
    charger = await a_charger(acme)
    assert await shown(charger, "CARD") == Authorization(AuthorizationStatus.UNKNOWN)
    for uid in ("", None):
        assert await shown(charger, uid) == Authorization(AuthorizationStatus.INVALID)


async def test_a_card_expires_when_its_time_has_come(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    await a_token(acme, "CARD", expires_at=NOON + timedelta(minutes=1))
    assert (await shown(charger)).status is ACCEPTED
    acme.clock.forward(minutes=1)
    expired = await shown(charger)
    assert (expired.status, expired.expires_at) == (AuthorizationStatus.EXPIRED, NOON + timedelta(minutes=1))


async def test_a_card_without_a_limit_charges_anywhere_at_once(acme: Tester) -> None:
    await a_token(acme, "CARD")
    for _ in range(3):
        charger = await a_charger(acme)
        assert (await charger.start()).authorization.status is ACCEPTED


async def test_a_card_is_concurrent_while_it_charges_as_often_as_it_may_elsewhere(acme: Tester) -> None:
    await a_token(acme, "CARD", max_sessions=2)
    chargers = [await a_charger(acme) for _ in range(3)]
    statuses = [(await charger.start()).authorization.status for charger in chargers]
    assert statuses == [ACCEPTED, ACCEPTED, CONCURRENT]
    first = await chargers[0].session()
    await chargers[0].stop(30, meter_wh=2_000, transaction_id=first.transaction_id)
    await chargers[2].stop(30, meter_wh=2_000, transaction_id=(await chargers[2].session()).transaction_id)
    assert (await shown(chargers[2])).status is ACCEPTED


async def test_a_card_is_not_concurrent_with_the_charge_that_it_is_shown_for(acme: Tester) -> None:
    """It stops its own charge, its start is repeated, its connector is plugged in again (steve#141)."""
    await a_token(acme, "CARD", max_sessions=1)
    charger = await a_charger(acme)
    await charger.start(0, evse=1)
    assert (await charger.start(0, evse=1)).authorization.status is ACCEPTED
    again = await charger.start(20, evse=1)
    assert again.authorization.status is ACCEPTED
    for asked in ({}, {"evse": 1}, {"transaction_id": again.session.transaction_id}):
        assert (await shown(charger, **asked)).status is ACCEPTED, asked


async def test_a_card_is_concurrent_with_its_charge_on_the_other_connector(acme: Tester) -> None:
    await a_token(acme, "CARD", max_sessions=1)
    charger = await a_charger(acme)
    await charger.start(0, evse=1)
    assert (await charger.start(0, evse=2)).authorization.status is CONCURRENT


async def test_a_card_shown_in_a_transaction_is_not_concurrent_with_that_transaction(acme: Tester) -> None:
    await a_token(acme, "CARD", max_sessions=1)
    charger = await a_charger(acme)
    for at in (0, 1):
        reported = await charger.report(Stage.UPDATED, at, token_uid="CARD")
        assert reported.authorization is not None
        assert reported.authorization.status is ACCEPTED


async def test_the_cards_of_a_group_count_together(acme: Tester) -> None:
    await a_group(acme, "FLEET", max_sessions=2)
    for uid, group in (("A", "FLEET"), ("B", "fleet"), ("C", "Fleet"), ("D", None)):
        await a_token(acme, uid, group_uid=group)
    chargers = [await a_charger(acme) for _ in "ABCD"]
    statuses = [
        (await charger.start(token_uid=uid)).authorization.status for charger, uid in zip(chargers, "ABCD", strict=True)
    ]
    assert statuses == [ACCEPTED, ACCEPTED, CONCURRENT, ACCEPTED]
    await chargers[0].stop(30, meter_wh=2_000, transaction_id=(await chargers[0].session()).transaction_id)
    await chargers[2].stop(30, meter_wh=2_000, transaction_id=(await chargers[2].session()).transaction_id)
    assert (await shown(chargers[2], "C")).status is ACCEPTED


async def test_a_card_that_charges_elsewhere_as_often_as_it_may_still_stops_a_charge_of_its_group(
    acme: Tester,
) -> None:
    """The station does not say whether it is shown to begin or to end."""
    for uid in ("MINE", "YOURS"):
        await a_token(acme, uid, group_uid="FAMILY", max_sessions=1)
    here, there, third = [await a_charger(acme) for _ in range(3)]
    await here.start(token_uid="MINE")
    await there.start(token_uid="YOURS")
    asked = await shown(here, "YOURS")
    assert (asked.status, asked.group_uid) == (ACCEPTED, "FAMILY")
    assert (await shown(here, "YOURS", evse=2, purpose=Purpose.START)).status is CONCURRENT
    assert (await shown(here, "YOURS", purpose=Purpose.STOP)).status is ACCEPTED
    assert (await shown(third, "YOURS")).status is CONCURRENT
    for stage in (Stage.STARTED, Stage.UPDATED, Stage.ENDED):
        uid = "MINE" if stage is Stage.STARTED else "YOURS"
        reported = await third.report(stage, 1, token_uid=uid)
        assert reported.authorization is not None
        assert reported.authorization.status is (CONCURRENT if stage is Stage.STARTED else ACCEPTED), stage


async def test_a_master_pass_ends_charges_and_begins_none(acme: Tester) -> None:
    await a_group(acme, "GUARDS", master_pass=True)
    await a_token(acme, "PASS", group_uid="GUARDS")
    charger = await a_charger(acme)
    for purpose, told in (
        (Purpose.ASK, AuthorizationStatus.MASTER),
        (Purpose.START, AuthorizationStatus.MASTER),
        (Purpose.STOP, ACCEPTED),
    ):
        authorization = await shown(charger, "PASS", purpose=purpose)
        assert (authorization.status, authorization.group_uid) == (told, "GUARDS")


async def test_a_card_charges_where_it_may(acme: Tester) -> None:
    here, there = await a_location(acme), await a_location(acme)
    await a_token(acme, "CARD", location_ids=[here.id])
    told = [
        (await shown(Charger(acme, (await a_station(acme, location_id=location_id)).id))).status
        for location_id in (here.id, there.id, None)
    ]
    elsewhere = AuthorizationStatus.NOT_AT_THIS_LOCATION
    assert told == [ACCEPTED, elsewhere, elsewhere]


WEEKDAYS = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"]
NOT_NOW, NOT_HERE = AuthorizationStatus.NOT_AT_THIS_TIME, AuthorizationStatus.NOT_ALLOWED_TYPE_EVSE


async def test_a_card_charges_when_it_may_by_the_clock_of_the_place(acme: Tester) -> None:
    """Noon in Greenwich, of a Monday, is two in the afternoon in Berlin and seven in the morning in Chicago."""
    await a_token(acme, "CARD", hours=[{"days": WEEKDAYS, "begin": "08:00", "end": "14:30"}])
    acme.clock.now = NOON
    told = []
    for zone in ("Europe/Berlin", "America/Chicago", None):
        location = await a_location(acme, zone or "Nowhere", timezone=zone)
        charger = Charger(acme, (await a_station(acme, location_id=location.id)).id)
        told.append(await shown(charger))
    assert [one.status for one in told] == [ACCEPTED, NOT_NOW, ACCEPTED], "the tenant's, UTC, where it has none"
    assert [one.expires_at for one in told] == [NOON + timedelta(minutes=30), None, NOON + timedelta(hours=2.5)]
    acme.clock.now = NOON + timedelta(days=5)
    assert (await shown(charger)).status is NOT_NOW, "a Saturday"


async def test_a_card_that_may_charge_no_longer_ends_its_charge_all_the_same(acme: Tester) -> None:
    await a_token(acme, "CARD", hours=[{"days": WEEKDAYS, "begin": "08:00", "end": "12:05"}], group_uid="G")
    await a_token(acme, "OTHER", hours=[{"days": ["SUNDAY"], "begin": "08:00", "end": "09:00"}], group_uid="G")
    charger = await a_charger(acme, now=0)
    assert (await charger.start(token_uid="CARD")).authorization.status is ACCEPTED
    acme.clock.forward(minutes=10)

    assert [(await shown(charger, uid)).status for uid in ("CARD", "OTHER")] == [ACCEPTED, ACCEPTED]
    assert (await shown(charger, purpose=Purpose.START, evse=2)).status is NOT_NOW
    assert (await shown(await a_charger(acme))).status is NOT_NOW


async def with_plugs(charger: Charger, *types: str) -> None:
    """By its own word, EVSE by EVSE."""
    async with charger.tester.work(role=Role.STATION) as work:
        told = [
            stations.Told(
                name=stations.VariableName(
                    component="Connector", variable="ConnectorType", evse_number=number, connector_number=1
                ),
                value=type,
                attribute=stations.AttributeType.ACTUAL,
            )
            for number, type in enumerate(types, 1)
        ]
        await stations.observe(work, station_id=charger.station_id, told=told)


async def test_a_card_charges_at_plugs_that_it_may(acme: Tester) -> None:
    await a_token(acme, "CARD", connector_types=["sType2", "cType2"])
    mixed, fast, unknown, slow = [await a_charger(acme) for _ in range(4)]
    await with_plugs(mixed, "cCCS2", "cType2", "STYPE2")
    await with_plugs(fast, "cCCS2")
    await with_plugs(slow, "sType2")

    told = [await shown(charger) for charger in (mixed, fast, unknown, slow)]
    assert [one.status for one in told] == [ACCEPTED, NOT_HERE, ACCEPTED, ACCEPTED]
    assert [one.evse_numbers for one in told] == [(2, 3), None, None, None]
    at = [(await shown(mixed, evse=number, purpose=Purpose.START)).status for number in (1, 2, 4)]
    assert at == [NOT_HERE, ACCEPTED, ACCEPTED], "of the fourth nothing is known"

    async with acme.work(role=Role.OPERATOR) as work:
        with pytest.raises(Invalid, match="name one of 2, 3"):
            await sessions.request_start(work, station_id=mixed.station_id, token_uid="CARD")
        await sessions.request_start(work, station_id=mixed.station_id, token_uid="CARD", evse_number=3)
        with pytest.raises(Conflict, match="NOT_ALLOWED_TYPE_EVSE"):
            await sessions.request_start(work, station_id=mixed.station_id, token_uid="CARD", evse_number=1)


async def test_a_station_is_told_how_long_it_may_remember(acme: Tester) -> None:
    charger = await a_charger(acme, now=0)
    await a_token(acme, "CARD", expires_at=NOON + timedelta(minutes=30))
    rules = AuthorizationRules(remembered_for=timedelta(minutes=10))
    forgetful = Workplace(
        acme.workplace.engine, ports={**acme.workplace._ports, AuthorizationRules: rules}, clock=acme.clock
    )
    for minutes, ends_at in ((0, 10), (25, 30)):
        acme.clock.now = NOON + timedelta(minutes=minutes)
        for uid in ("CARD", "NOBODYS"):
            async with forgetful.open_work(acme.acting_as(Role.STATION)) as work:
                told = await sessions.authorize(work, token_uid=uid, station_id=charger.station_id)
            bound = ends_at if uid == "CARD" else minutes + 10
            assert told.expires_at == NOON + timedelta(minutes=bound), uid


async def test_an_answer_costs_one_statement_and_two_where_a_limit_is_to_be_kept(acme: Tester) -> None:
    await a_group(acme, "FLEET", max_sessions=5)
    await a_token(acme, "FREE")
    await a_token(acme, "LIMITED", max_sessions=1, group_uid="FLEET")
    charger = await a_charger(acme)
    for uid, statements in (("NOBODYS", 1), ("FREE", 1), ("LIMITED", 2)):
        with assert_statements(acme, statements):
            await shown(charger, uid)


@dataclass(frozen=True)
class Start:
    card: str
    charger: int
    evse: int
    ends: bool


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.builds(Start, st.sampled_from("ABX"), st.integers(0, 1), st.integers(1, 2), st.booleans()), max_size=6),
    st.integers(1, 2),
    st.integers(1, 3),
)
async def test_a_card_is_concurrent_with_other_live_charges_of_its_own_and_its_groups_alone(
    acme: Tester, starts: list[Start], own_max: int, group_max: int
) -> None:
    """A and B are a group, X is nobody's. Whatever is told, the charge is recorded; a repeat is told the same."""
    run = uuid7().hex[-10:]
    await a_group(acme, f"G{run}", max_sessions=group_max)
    for card in "AB":
        await a_token(acme, card + run, group_uid=f"G{run}", max_sessions=own_max)
    await a_token(acme, "X" + run, max_sessions=own_max)
    chargers = [await a_charger(acme) for _ in range(2)]
    live: dict[tuple[int, int], str] = {}
    for number, start in enumerate(starts):
        charger, where = chargers[start.charger], (start.charger, start.evse)
        others = [card for place, card in live.items() if place != where]
        group = [card for card in others if (card == "X") == (start.card == "X")]
        full = others.count(start.card) >= own_max or (start.card != "X" and len(group) >= group_max)
        for _ in range(2):
            told = await charger.start(number, token_uid=start.card + run, evse=start.evse, meter_wh=number)
            assert told.authorization.status is (CONCURRENT if full else ACCEPTED)
        live[where] = start.card
        if start.ends:
            await charger.stop(number + 0.5, meter_wh=number, transaction_id=told.session.transaction_id)
            del live[where]
    assert sum([len(await charger.sessions()) for charger in chargers]) == len(starts)


async def test_whether_a_card_may_charge_is_for_stations_to_ask(acme: Tester) -> None:
    charger = await a_charger(acme)
    async with acme.work(role=Role.VIEWER) as work:
        with pytest.raises(Forbidden):
            await sessions.authorize(work, token_uid="CARD", station_id=charger.station_id)
