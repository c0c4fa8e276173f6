from typing import TYPE_CHECKING, Annotated

import strawberry

from domain import users
from domain.actor import Actor, Role
from resolvers import tenants
from resolvers import users as door
from schema.tenants import Tenant
from schema.view import answer, attribute, view

if TYPE_CHECKING:
    from schema.credentials import Credential


@view(users.User)
class User:
    """A person of a tenant."""

    id: strawberry.ID = attribute("Ours.")
    email: str = attribute("How they sign in.")
    name: str | None = attribute("What people call them.")
    role: Role = attribute("What they may do.")


@view(Actor)
class Me:
    """Who is asking."""

    name: str = attribute("Of the credential or user.")
    role: Role = attribute("What they may do.")
    tenant: Tenant | None = answer(tenants.own, "For whom they act.")
    credential: Annotated["Credential", strawberry.lazy("schema.credentials")] | None = answer(
        door.my_credential, "What they have shown."
    )
    user: User | None = answer(door.my_user, "The person behind the credential, where there is one.")


@strawberry.type
class UserQuery:
    me: Me | None = answer(door.me, "Who is asking.")
