"""API secrets: who may make which."""

from dataclasses import replace

import pytest

from domain import credentials
from domain.actor import Permission, Role
from domain.errors import Forbidden
from tests.tester import Tester

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("role", "scopes"),
    [
        (Role.ADMIN, ()),
        (Role.OPERATOR, ()),
        (Role.VIEWER, (Permission.VIEW,)),
        (Role.ADMIN, (Permission.MANAGE, Permission.CONTROL)),
    ],
)
async def test_nobody_makes_a_credential_that_may_more_than_themselves(
    acme: Tester, role: Role, scopes: tuple[Permission, ...]
) -> None:
    narrow = replace(acme.actor, scopes=frozenset({Permission.MANAGE}))
    async with acme.workplace.open_work(narrow) as work:
        with pytest.raises(Forbidden, match="may not"):
            await credentials.create(work, name="wide", role=role, scopes=scopes)


async def test_what_one_may_oneself_a_credential_may_too(acme: Tester) -> None:
    narrow = replace(acme.actor, scopes=frozenset({Permission.MANAGE, Permission.VIEW}))
    async with acme.workplace.open_work(narrow) as work:
        same, _ = await credentials.create(work, name="same", role=Role.ADMIN, scopes=tuple(narrow.scopes))
        less, _ = await credentials.create(work, name="less", role=Role.VIEWER)
    assert {same.name, less.name} == {"same", "less"}
