"""Who may charge, as operators keep it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import locations, tokens
from domain.actor import Role
from domain.errors import Conflict, Forbidden, Invalid, NotFound
from domain.page import PageRequest
from domain.tokens import IdTokenType, TokenChanged, TokenStatus, TokenType
from tests.factories import a_location, a_token
from tests.tester import Tester

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


async def test_a_token_is_found_by_its_uid_in_any_capitalization(acme: Tester) -> None:
    token = await a_token(acme, "  AbCd01 ")
    async with acme.work(read_only=True) as work:
        found = await tokens.by_uid(work, "aBcD01")
    assert (found.id, found.uid) == (token.id, "AbCd01")


async def test_a_uid_belongs_to_one_token_of_a_tenant_whatever_its_capitals(acme: Tester, rival: Tester) -> None:
    await a_token(acme, "CARD-1")
    with pytest.raises(Conflict, match="card-1 exists already"):
        await a_token(acme, "card-1")
    await a_token(rival, "card-1")


async def test_a_conflict_on_creation_leaves_the_work_usable(acme: Tester) -> None:
    await a_token(acme, "TAKEN")
    async with acme.work() as work:
        with pytest.raises(Conflict):
            await tokens.create(work, uid="TAKEN")
        free = await tokens.create(work, uid="FREE")
    async with acme.work(read_only=True) as work:
        assert (await tokens.by_uid(work, "FREE")).id == free.id


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"uid": ""}, "uid"),
        ({"uid": "   "}, "uid"),
        ({"uid": "x" * 256}, "uid"),
        ({"uid": "two\nlines"}, "uid"),
        ({"group_uid": "x" * 37}, "group"),
        ({"contract_id": "x" * 37}, "contractId"),
        ({"max_sessions": 0}, "maxSessions"),
        ({"expires_at": datetime(2026, 6, 1)}, "expiresAt"),  # noqa: DTZ001  # that is what is wrong with it
    ],
)
async def test_what_cannot_be_a_token_is_refused_by_the_name_of_its_field(
    acme: Tester, given: dict[str, Any], field: str
) -> None:
    async with acme.work() as work:
        with pytest.raises(Invalid) as refused:
            await tokens.create(work, **{"uid": "GOOD", **given})
    assert refused.value.details["field"] == field


async def test_a_uid_has_up_to_255_characters(acme: Tester) -> None:
    assert (await a_token(acme, "x" * 255)).uid == "x" * 255


async def test_a_token_may_be_bound_to_places_that_are_there(acme: Tester, rival: Tester) -> None:
    here, theirs = await a_location(acme), await a_location(rival)
    token = await a_token(acme, location_ids=[here.id, here.id])
    assert token.location_ids == [here.id]
    async with acme.work() as work:
        for wrong, error in (([], Invalid), ([theirs.id], NotFound)):
            with pytest.raises(error):
                await tokens.create(work, uid="OTHER", location_ids=wrong)


async def test_a_token_is_not_set_free_by_the_end_of_its_only_place(acme: Tester) -> None:
    here, there = await a_location(acme), await a_location(acme)
    token = await a_token(acme, location_ids=[here.id])
    async with acme.work() as work:
        await locations.delete(work, location_id=here.id)
    async with acme.work() as work:
        kept = await tokens.update(work, token_id=token.id, contract_id="C1")
        assert not tokens.valid_at(kept, there.id)
        assert not tokens.valid_at(kept, None)
        assert tokens.valid_at(await tokens.update(work, token_id=token.id, location_ids=None), None)


async def test_a_card_is_shown_as_one_and_everything_else_as_the_systems_own(acme: Tester) -> None:
    shown = [
        (await a_token(acme, **given)).shown_type
        for given in ({}, {"type": TokenType.APP_USER}, {"id_token_type": IdTokenType.MAC_ADDRESS})
    ]
    assert shown == [IdTokenType.ISO14443, IdTokenType.CENTRAL, IdTokenType.MAC_ADDRESS]


async def test_what_stations_may_have_to_forget_is_told(acme: Tester) -> None:
    token = await a_token(acme, "CARD")
    here = await a_location(acme)
    steps: list[tuple[dict[str, Any], list[bool]]] = [
        ({"contract_id": "C1"}, [False]),
        ({"contract_id": "C1"}, []),
        ({"location_ids": [here.id]}, [True]),
        ({"location_ids": None}, [False]),
        ({"connector_types": ["cCCS2"]}, [True]),
        ({"connector_types": None}, [False]),
        ({"hours": [{"days": ["MONDAY"], "begin": "08:00", "end": "18:00"}]}, [True]),
        ({"hours": None}, [False]),
        ({"status": TokenStatus.BLOCKED}, [True]),
        ({"status": TokenStatus.INVALID}, [False]),
        ({"status": TokenStatus.ACCEPTED}, [False]),
        ({"uid": "OTHER"}, [True]),
    ]
    for changes, revoked in steps:
        async with acme.work() as work:
            await tokens.update(work, token_id=token.id, **changes)
        told = [envelope.event for envelope in work.emitted]
        assert [event.revoked for event in told if isinstance(event, TokenChanged)] == revoked, changes
    async with acme.work() as work:
        await tokens.delete(work, token_id=token.id)
    assert [envelope.event for envelope in work.emitted] == [TokenChanged(token_id=token.id, uid="OTHER", revoked=True)]


async def test_something_holds_for_a_group_until_it_is_deleted(acme: Tester, rival: Tester) -> None:
    async with acme.work() as work:
        made = await tokens.set_group(work, uid=" Fleet ", max_sessions=2)
        changed = await tokens.set_group(work, uid="fLEET", master_pass=True)
        assert (changed.id, changed.uid, changed.master_pass, changed.max_sessions) == (made.id, "fLEET", True, None)
    async with acme.work(read_only=True) as work:
        assert list(await tokens.master_keys(work)) == ["fleet"]
    async with rival.work() as work:
        assert (await tokens.groups(work, PageRequest())).rows == []
        with pytest.raises(NotFound):
            await tokens.delete_group(work, uid="FLEET")
    async with acme.work() as work:
        await tokens.delete_group(work, uid="FLEET")
        assert (await tokens.groups(work, PageRequest())).rows == []


@pytest.mark.parametrize(("given", "field"), [({"uid": " "}, "uid"), ({"max_sessions": 0}, "maxSessions")])
async def test_what_cannot_hold_for_a_group_is_refused(acme: Tester, given: dict[str, Any], field: str) -> None:
    async with acme.work() as work:
        with pytest.raises(Invalid) as refused:
            await tokens.set_group(work, **{"uid": "FLEET", **given})
    assert refused.value.details["field"] == field


async def test_only_what_is_given_changes(acme: Tester) -> None:
    token = await a_token(acme, type=TokenType.APP_USER, group_uid="FLEET", contract_id="DE-ABC-1")
    async with acme.work() as work:
        await tokens.update(work, token_id=token.id, status=TokenStatus.BLOCKED, group_uid=None)
    async with acme.work(read_only=True) as work:
        changed = await tokens.by_id(work, token.id)
    assert (changed.status, changed.group_uid) == (TokenStatus.BLOCKED, None)
    assert (changed.uid, changed.type, changed.contract_id) == (token.uid, TokenType.APP_USER, "DE-ABC-1")


async def test_a_token_cannot_take_the_uid_of_another(acme: Tester) -> None:
    await a_token(acme, "MINE")
    other = await a_token(acme, "YOURS")
    with pytest.raises(Conflict, match="mine exists already"):
        async with acme.work() as work:
            await tokens.update(work, token_id=other.id, uid="mine")
    async with acme.work() as work:
        assert (await tokens.update(work, token_id=other.id, uid="yours")).uid == "yours"


async def test_what_is_no_part_of_a_token_cannot_be_changed(acme: Tester) -> None:
    token = await a_token(acme)
    async with acme.work() as work:
        with pytest.raises(Invalid, match="tenant_id of a token cannot be changed"):
            await tokens.update(work, token_id=token.id, tenant_id=None)


async def test_a_deleted_token_is_gone(acme: Tester) -> None:
    token = await a_token(acme)
    async with acme.work() as work:
        await tokens.delete(work, token_id=token.id)
    async with acme.work(read_only=True) as work:
        assert await tokens.find(work, token.uid) is None
        with pytest.raises(NotFound):
            await tokens.by_id(work, token.id)


async def test_an_accepted_token_expires_by_itself_and_a_blocked_one_stays_blocked(acme: Tester) -> None:
    accepted = await a_token(acme, expires_at=NOW)
    blocked = await a_token(acme, expires_at=NOW, status=TokenStatus.BLOCKED)
    just_before = NOW - timedelta(microseconds=1)
    assert tokens.status_at(accepted, just_before) is TokenStatus.ACCEPTED
    assert tokens.status_at(accepted, NOW) is TokenStatus.EXPIRED
    assert tokens.status_at(blocked, NOW) is TokenStatus.BLOCKED


async def test_tokens_are_listed_page_by_page_and_only_ones_own(acme: Tester, rival: Tester) -> None:
    await a_token(rival)
    made = [(await a_token(acme)).id for _ in range(3)]
    async with acme.work(read_only=True) as work:
        first = await tokens.listed(work, PageRequest(first=2))
        second = await tokens.listed(work, PageRequest(first=2, after=first.end_cursor))
    assert (first.has_next, second.has_next) == (True, False)
    assert sorted(token.id for token in [*first.rows, *second.rows]) == sorted(made)


async def test_a_tenant_neither_sees_nor_changes_tokens_of_another(acme: Tester, rival: Tester) -> None:
    token = await a_token(acme)
    async with rival.work() as work:
        assert await tokens.by_ids(work, [token.id]) == []
        assert await tokens.find(work, token.uid) is None
        with pytest.raises(NotFound):
            await tokens.update(work, token_id=token.id, status=TokenStatus.BLOCKED)
        with pytest.raises(NotFound):
            await tokens.delete(work, token_id=token.id)


async def test_a_viewer_looks_and_an_operator_does_not_delete(acme: Tester) -> None:
    token = await a_token(acme)
    async with acme.work(role=Role.VIEWER) as work:
        assert (await tokens.by_id(work, token.id)).uid == token.uid
        with pytest.raises(Forbidden):
            await tokens.create(work, uid="NEW")
        with pytest.raises(Forbidden):
            await tokens.update(work, token_id=token.id, status=TokenStatus.BLOCKED)
    async with acme.work(role=Role.OPERATOR) as work:
        await tokens.create(work, uid="NEW")
        with pytest.raises(Forbidden):
            await tokens.delete(work, token_id=token.id)
    async with acme.work(role=Role.STATION) as work:
        with pytest.raises(Forbidden):
            await tokens.listed(work, PageRequest())
