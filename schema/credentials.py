from datetime import datetime

import strawberry

from domain import credentials
from domain.actor import Permission, Role
from resolvers import credentials as door
from schema.page import Connection
from schema.users import User
from schema.view import answer, attribute, view


@view(credentials.Credential)
class Credential:
    """An API secret, without the secret."""

    id: strawberry.ID = attribute("Ours.")
    name: str = attribute("What it is for.")
    role: Role = attribute("What it may do.")
    scopes: list[Permission] = attribute("What of the role's rights it has; none named means all of them.")
    created_at: datetime = attribute("When it was made.")
    expires_at: datetime | None = attribute("From then on it opens nothing; null: it does not expire.")
    revoked_at: datetime | None = attribute("Since then it opens nothing.")
    user: User | None = answer(door.user, "Whom it belongs to, where it is a person's.")


@view(door.NewCredential)
class NewCredential:
    """A credential that was just made."""

    credential: Credential = attribute("What is kept of it.")
    secret: str = attribute("Shown this once: `Authorization: Bearer <secret>`.")


@strawberry.type
class CredentialQuery:
    credentials: Connection[Credential] | None = answer(door.listed, "All API credentials, revoked ones among them.")


@strawberry.type
class CredentialMutation:
    create_credential: NewCredential | None = answer(door.create, "Make an API credential.")
    revoke_credential: Credential | None = answer(door.revoke, "From now on it opens nothing.")
