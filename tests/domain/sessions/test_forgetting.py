"""A token that may no longer charge is forgotten by stations that remember it, where the house wants so."""

from typing import Any

import pytest

from domain import commands, sessions, tokens
from domain.commands import CommandKind, CommandStatus
from domain.page import PageRequest
from domain.sessions import AuthorizationRules
from domain.tokens import TokenChanged, TokenStatus
from domain.work import Workplace
from tests.domain.sessions.charger import a_charger
from tests.factories import a_token
from tests.tester import Tester

pytestmark = pytest.mark.anyio


async def cleared(tester: Tester) -> list[tuple[Any, CommandStatus]]:
    async with tester.work(read_only=True) as work:
        found = (await commands.listed(work, PageRequest(), kind=[CommandKind.CLEAR_CACHE])).rows
    return [(command.station_id, command.status) for command in found]


async def react(tester: Tester, changed: TokenChanged, *, clears_caches: bool) -> None:
    ports = {**tester.workplace._ports, AuthorizationRules: AuthorizationRules(clears_caches=clears_caches)}
    house = Workplace(tester.workplace.engine, ports=ports, clock=tester.clock)
    async with house.open_work(tester.actor) as work:
        await sessions.clear_caches(work, changed)


async def test_stations_where_a_token_has_charged_lately_forget_when_it_is_blocked(acme: Tester, rival: Tester) -> None:
    token = await a_token(acme, "Card")
    here, long_ago, never, theirs = [await a_charger(tester, now=0) for tester in (acme, acme, acme, rival)]
    await here.start(0, token_uid="CARD")
    await long_ago.start(-200 * 24 * 60, token_uid="CARD")
    await never.start(0, token_uid="OTHER")
    await theirs.start(0, token_uid="CARD")
    blocked = TokenChanged(token_id=token.id, uid="Card", revoked=True)
    await react(acme, blocked, clears_caches=False)
    await react(acme, TokenChanged(token_id=token.id, uid="Card", revoked=False), clears_caches=True)
    assert await cleared(acme) == []
    for _ in range(2):  # at least once, and no more than it takes
        await react(acme, blocked, clears_caches=True)
    assert await cleared(acme) == [(here.station_id, CommandStatus.QUEUED)]
    assert await cleared(rival) == []


async def test_by_default_stations_keep_what_they_remember(acme: Tester) -> None:
    token = await a_token(acme, "CARD")
    charger = await a_charger(acme)
    await charger.start()
    async with acme.work() as work:
        await tokens.update(work, token_id=token.id, status=TokenStatus.BLOCKED)
    await acme.relay()
    assert await cleared(acme) == []
