import asyncio
from dataclasses import replace
from typing import Any

import pytest

from domain.actor import Actor, Role
from domain.users import User
from resolvers.context import context
from tests.factories import a_station
from tests.live import GUARD_S
from tests.tester import Tester, asked, watched

pytestmark = pytest.mark.anyio

CREATE = """
mutation ($input: CreateCredentialInput!) { createCredential(input: $input) {
  secret credential { id name role scopes expiresAt revokedAt }
} }
"""
REVOKE = "mutation ($id: ID!) { revokeCredential(id: $id) { id revokedAt } }"
ME = "{ me { name role tenant { slug name } credential { id name } user { email } } }"


async def asked_as(tester: Tester, actor: Actor | None, query: str) -> Any:
    return await asked(context(tester.workplace, actor), query)


async def test_a_credential_opens_until_it_is_revoked(acme: Tester) -> None:
    created = (await acme.gql(CREATE, {"input": {"name": "dashboard", "role": "VIEWER"}}))["createCredential"]
    shown = f"Bearer {created['secret']}"

    actor = await acme.house.door(shown)
    assert actor is not None
    me = (await asked_as(acme, actor, ME)).data["me"]
    assert (me["name"], me["role"], me["tenant"]["slug"]) == ("dashboard", "VIEWER", acme.slug)
    assert me["credential"] == {"id": created["credential"]["id"], "name": "dashboard"}
    assert me["user"] is None

    revoked = (await acme.gql(REVOKE, {"id": created["credential"]["id"]}))["revokeCredential"]
    assert revoked["revokedAt"] is not None
    with pytest.raises(Exception, match="revoked"):
        await acme.house.door(shown)


async def test_what_a_revoked_credential_watches_ends(acme: Tester) -> None:
    created = (await acme.gql(CREATE, {"input": {"name": "dashboard", "role": "VIEWER"}}))["createCredential"]
    other = await acme.gql(CREATE, {"input": {"name": "other", "role": "VIEWER"}})
    actor = await acme.house.door(f"Bearer {created['secret']}")
    assert actor is not None
    await a_station(acme)
    stream: Any = watched(context(acme.workplace, actor), "subscription { stationStatusUpdates { status } }")
    async with asyncio.timeout(GUARD_S):
        assert (await anext(stream)).data

        await acme.gql(REVOKE, {"id": other["createCredential"]["credential"]["id"]})
        await acme.gql(REVOKE, {"id": created["credential"]["id"]})

        (error,) = (await anext(stream)).errors
    assert error.extensions["code"] == "UNAUTHENTICATED"


async def test_a_secret_is_shown_once(acme: Tester) -> None:
    created = await acme.gql(CREATE, {"input": {"name": "ci", "role": "OPERATOR", "scopes": ["VIEW"]}})
    secret = created["createCredential"]["secret"]

    listed = await acme.gql("{ credentials { nodes { id name role scopes expiresAt revokedAt createdAt } } }")

    assert [node["name"] for node in listed["credentials"]["nodes"]] == ["ci"]
    assert listed["credentials"]["nodes"][0]["scopes"] == ["VIEW"]
    assert secret not in str(listed)


async def test_a_person_stands_behind_their_credential(acme: Tester) -> None:
    created = (await acme.gql(CREATE, {"input": {"name": "mine", "role": "ADMIN"}}))["createCredential"]
    async with acme.work() as work:
        from domain import credentials

        user = work.add(User(email="ada@acme.example", role=Role.ADMIN, created_at=work.now))
        await work.session.flush()
        (credential,) = (await credentials.listed(work, _first())).rows
        credential.user_id = user.id

    actor = await acme.house.door(f"Bearer {created['secret']}")

    assert (await asked_as(acme, actor, ME)).data["me"]["user"] == {"email": "ada@acme.example"}


def _first() -> Any:
    from domain.page import PageRequest

    return PageRequest()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "x", "role": "STATION"},
        {"name": " ", "role": "VIEWER"},
        {"name": "x", "role": "VIEWER", "expiresAt": "2001-01-01T00:00:00Z"},
    ],
)
async def test_a_credential_that_cannot_be_is_refused(acme: Tester, wrong: dict[str, str]) -> None:
    assert await acme.gql_errors(CREATE, {"input": wrong}) == ["INVALID"]


async def test_only_an_administrator_sees_and_makes_credentials(acme: Tester) -> None:
    for role in (Role.OPERATOR, Role.VIEWER):
        listed = "{ credentials { nodes { id } } }"
        assert await acme.gql_errors(listed, role=role) == ["FORBIDDEN"]
        assert await acme.gql_errors(CREATE, {"input": {"name": "x", "role": "ADMIN"}}, role=role) == ["FORBIDDEN"]


async def test_without_a_credential_every_field_says_so(acme: Tester) -> None:
    result = await asked_as(acme, None, "{ me { name } stations { nodes { id } } tokens { totalCount } }")

    assert result.data == {"me": None, "stations": None, "tokens": None}
    assert [error.extensions["code"] for error in result.errors] == ["UNAUTHENTICATED"] * 3


async def test_a_reporter_may_report_and_not_look(acme: Tester) -> None:
    reporter = replace(acme.actor, role=Role.STATION)

    recorded = await asked_as(
        acme,
        reporter,
        'mutation { recordReadings(readings: [{address: "a", at: "2026-03-01T12:00:00Z", value: 1}]) { recorded } }',
    )
    looked = await asked_as(acme, reporter, '{ point(address: "a") { id } }')

    assert recorded.data == {"recordReadings": {"recorded": 1}}
    assert [error.extensions["code"] for error in looked.errors] == ["FORBIDDEN"]
