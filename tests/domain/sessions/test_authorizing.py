"""What a station is told about a card."""

from datetime import timedelta

import pytest

from domain import sessions
from domain.actor import Role
from domain.errors import Forbidden
from domain.sessions import Authorization, AuthorizationStatus, Stage
from domain.stations import Registration
from domain.tokens import TokenStatus
from tests.domain.sessions.charger import NOON, Charger, a_charger
from tests.factories import a_station, a_token
from tests.tester import Tester

pytestmark = pytest.mark.anyio

ACCEPTED, CONCURRENT = AuthorizationStatus.ACCEPTED, AuthorizationStatus.CONCURRENT


async def shown(
    charger: Charger, uid: str | None = "CARD", *, evse: int | None = None, transaction_id: str | None = None
) -> Authorization:
    async with charger.tester.work(read_only=True, role=Role.STATION) as work:
        return await sessions.authorize(
            work, token_uid=uid, station_id=charger.station_id, evse_number=evse, transaction_id=transaction_id
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
    assert (await shown(charger)).status is AuthorizationStatus.INVALID

    started = await charger.start(token_uid="CARD")

    assert (started.authorization.status, started.session.token_id) == (AuthorizationStatus.INVALID, token.id)


async def test_an_unknown_card_is_invalid_and_so_is_that_of_another_tenant(acme: Tester, rival: Tester) -> None:
    await a_token(rival, "CARD")
    charger = await a_charger(acme)
    for uid in ("CARD", "", None):
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


async def test_whether_a_card_may_charge_is_for_stations_to_ask(acme: Tester) -> None:
    charger = await a_charger(acme)
    async with acme.work(role=Role.VIEWER) as work:
        with pytest.raises(Forbidden):
            await sessions.authorize(work, token_uid="CARD", station_id=charger.station_id)
