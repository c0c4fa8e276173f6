"""Tokens that are not ours, and partners who may know them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from domain import sessions
from domain.actor import Role
from domain.errors import Forbidden, Unavailable
from domain.sessions import Authorization, AuthorizationStatus, PatientAuthority, RoamingAuthority
from domain.work import Workplace
from gateways.ocpp import Version
from tests.factories import a_station, a_token
from tests.gateways.ocpp.translating import Speaker, a_speaker
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
UNKNOWN = Authorization(AuthorizationStatus.UNKNOWN)
ACCEPTED = Authorization(AuthorizationStatus.ACCEPTED, group_uid="PARTNERS", expires_at=NOON)


@dataclass
class Partner(RoamingAuthority):
    answers: Callable[[str], Awaitable[Authorization | None]]
    asked: list[str] = field(default_factory=list)

    async def ask(
        self, *, tenant_id: UUID, token_uid: str, station_id: UUID, evse_number: int | None
    ) -> Authorization | None:
        self.asked.append(token_uid)
        return await self.answers(token_uid)


def saying(answer: Authorization | Exception | None) -> Partner:
    async def answers(_uid: str) -> Authorization | None:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Partner(answers)


async def never(_uid: str) -> Authorization | None:
    await asyncio.Event().wait()
    return None


def beside(tester: Tester, partner: RoamingAuthority, **patience: Any) -> Workplace:
    patient = PatientAuthority(partner, **{"deadline_s": 0.05, "memory_s": 60, **patience})
    ports: dict[Any, Any] = {**tester.workplace._ports, RoamingAuthority: patient}
    return Workplace(tester.workplace.engine, ports=ports, clock=tester.clock)


async def told(
    tester: Tester, workplace: Workplace, uid: str, station_id: UUID, before: Authorization
) -> Authorization:
    return await sessions.ask_elsewhere(
        workplace, tester.acting_as(Role.STATION), before, token_uid=uid, station_id=station_id
    )


async def test_a_token_that_we_do_not_know_is_what_a_partner_says(acme: Tester) -> None:
    station, partner = await a_station(acme), saying(ACCEPTED)
    workplace = beside(acme, partner)
    for uid in ("THEIRS", "theirs", "THEIRS"):
        assert await told(acme, workplace, uid, station.id, UNKNOWN) == ACCEPTED
    assert partner.asked == ["THEIRS"]
    blocked = Authorization(AuthorizationStatus.BLOCKED)
    assert await told(acme, workplace, "OURS", station.id, blocked) == blocked
    assert await told(acme, workplace, "", station.id, UNKNOWN) == UNKNOWN
    assert partner.asked == ["THEIRS"]


@pytest.mark.parametrize(
    "partner", [Partner(never), saying(Unavailable("gone")), saying(RuntimeError("broken")), saying(None)]
)
async def test_a_partner_who_does_not_answer_leaves_a_token_unknown(acme: Tester, partner: Partner) -> None:
    station = await a_station(acme)
    async with asyncio.timeout(20):
        assert await told(acme, beside(acme, partner), "THEIRS", station.id, UNKNOWN) == UNKNOWN


async def test_an_answer_is_forgotten_after_a_moment_and_silence_is_never_remembered(acme: Tester) -> None:
    station, now = await a_station(acme), [0.0]
    partner, silent = saying(None), Partner(never)
    forgetful = beside(acme, partner, clock=lambda: now[0])
    for at, times in ((0.0, 1), (59.9, 1), (60.0, 2)):
        now[0] = at
        await told(acme, forgetful, "THEIRS", station.id, UNKNOWN)
        assert len(partner.asked) == times
    deaf = beside(acme, silent, clock=lambda: now[0])
    for _ in range(2):
        await told(acme, deaf, "THEIRS", station.id, UNKNOWN)
    assert len(silent.asked) == 2


async def test_partners_are_asked_for_stations_alone(acme: Tester) -> None:
    station = await a_station(acme)
    with pytest.raises(Forbidden):
        await sessions.ask_elsewhere(
            acme.workplace, acme.acting_as(Role.VIEWER), UNKNOWN, token_uid="X", station_id=station.id
        )


async def a_guest(tester: Tester, version: Version, partner: Partner) -> Speaker:
    speaker = await a_speaker(tester, version, now=NOON)
    speaker.workplace = beside(tester, partner)
    return speaker


CARD = {"idToken": "THEIRS", "type": "ISO14443"}


@pytest.mark.parametrize("partner", [saying(ACCEPTED), Partner(never)], ids=["accepting", "silent"])
async def test_a_station_gets_its_answer_and_the_charge_is_recorded_in_any_case(acme: Tester, partner: Partner) -> None:
    """No Work is open while the partner thinks: opening one would be refused."""

    async def looks_and_answers(uid: str) -> Authorization | None:
        async with acme.work(read_only=True):
            pass
        return await partner.answers(uid)

    looking = Partner(looks_and_answers)
    accepts = partner.answers is not never
    old = await a_guest(acme, Version.V16, looking)
    start = {"connectorId": 1, "idTag": "THEIRS", "meterStart": 0, "timestamp": "2026-06-01T12:00:00Z"}
    async with asyncio.timeout(30):
        info = (await old.say("Authorize", {"idTag": "THEIRS"}))["idTagInfo"]
        assert info["status"] == ("Accepted" if accepts else "Invalid")
        assert (await old.say("StartTransaction", start))["idTagInfo"] == info
        assert (await old.session()).token_uid == "THEIRS"
        new = await a_guest(acme, Version.V201, looking)
        info = (await new.say("Authorize", {"idToken": CARD}))["idTokenInfo"]
        assert info["status"] == ("Accepted" if accepts else "Unknown")
        begun = {
            "eventType": "Started",
            "timestamp": "2026-06-01T12:00:00Z",
            "triggerReason": "Authorized",
            "seqNo": 0,
            "transactionInfo": {"transactionId": "TX"},
            "idToken": CARD,
            "evse": {"id": 1},
        }
        assert (await new.say("TransactionEvent", begun))["idTokenInfo"] == info
    assert (await new.session()).token_uid == "THEIRS"


async def test_partners_are_not_asked_for_our_own(acme: Tester) -> None:
    await a_token(acme, "OURS")
    partner = saying(ACCEPTED)
    guest = await a_guest(acme, Version.V16, partner)
    assert (await guest.say("Authorize", {"idTag": "OURS"})) == {"idTagInfo": {"status": "Accepted"}}
    assert partner.asked == []
