"""Tokens that are not ours: somebody else may know whether they may charge."""

import asyncio
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

import structlog

from domain.actor import Actor, Permission
from domain.errors import Forbidden
from domain.sessions.authorizing import Authorization, AuthorizationStatus
from domain.tokens import uid_key
from domain.work import Workplace

log = structlog.get_logger()

_REMEMBERED_MAX = 10_000


class RoamingAuthority(Protocol):
    async def ask(
        self, *, tenant_id: UUID, token_uid: str, station_id: UUID, evse_number: int | None
    ) -> Authorization | None:
        """What a partner says of a token in real time; None where no partner knows it. Asked without an open Work."""
        ...


class NobodyElse(RoamingAuthority):
    """Without partners."""

    async def ask(
        self, *, tenant_id: UUID, token_uid: str, station_id: UUID, evse_number: int | None
    ) -> Authorization | None:
        return None


class PatientAuthority(RoamingAuthority):
    """Another one, waited for until a deadline and remembered for a moment. One that fails knows nobody."""

    def __init__(
        self,
        authority: RoamingAuthority,
        *,
        deadline_s: float,
        memory_s: float,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._authority = authority
        self._deadline_s = deadline_s
        self._memory_s = memory_s
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._remembered: dict[tuple[object, ...], tuple[float, Authorization | None]] = {}

    async def ask(
        self, *, tenant_id: UUID, token_uid: str, station_id: UUID, evse_number: int | None
    ) -> Authorization | None:
        question = (tenant_id, uid_key(token_uid), station_id, evse_number)
        until, remembered = self._remembered.get(question, (0.0, None))
        if self._clock() < until:
            return remembered
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await self._authority.ask(
                    tenant_id=tenant_id, token_uid=token_uid, station_id=station_id, evse_number=evse_number
                )
        except Exception as error:  # whatever is wrong with a partner, the driver stands in the rain
            reason = str(error) or type(error).__name__
            log.warning("roaming authority not heard", tenant=str(tenant_id), reason=reason)
            return None
        self._remember(question, answer)
        return answer

    def _remember(self, question: tuple[object, ...], answer: Authorization | None) -> None:
        _ = self._remembered.pop(question, None)
        self._remembered[question] = (self._clock() + self._memory_s, answer)
        while len(self._remembered) > _REMEMBERED_MAX:
            del self._remembered[next(iter(self._remembered))]


async def ask_elsewhere(
    workplace: Workplace,
    actor: Actor,
    authorization: Authorization,
    *,
    token_uid: str | None,
    station_id: UUID,
    evse_number: int | None = None,
) -> Authorization:
    """Of a token that we do not know, what a partner says; any other answer stands. May take its time: hold no Work."""
    if not actor.may(Permission.REPORT):
        raise Forbidden(f"{actor.role} may not report", permission=Permission.REPORT)
    if authorization.status is not AuthorizationStatus.UNKNOWN or not token_uid:
        return authorization
    authority = workplace.port(RoamingAuthority)  # type: ignore[type-abstract]
    told = await authority.ask(
        tenant_id=actor.tenant_id, token_uid=token_uid, station_id=station_id, evse_number=evse_number
    )
    return authorization if told is None else told
