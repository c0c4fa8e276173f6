from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from domain.actor import PERMISSIONS, Permission, Role
from domain.bus import Message
from domain.credentials.events import REVOCATIONS, CredentialRevoked
from domain.credentials.models import Credential
from domain.credentials.secrets import SecretKey, digest, new_secret
from domain.errors import Invalid
from domain.work import Work

_ISSUABLE = (Role.ADMIN, Role.OPERATOR, Role.VIEWER)


async def create(
    work: Work,
    *,
    name: str,
    role: Role,
    scopes: Sequence[Permission] = (),
    expires_at: datetime | None = None,
) -> tuple[Credential, str]:
    """A credential and its secret, which is shown this once. `scopes` narrow what the role may do; none = all of it.

    It may no more than whoever makes it.
    """
    work.require(Permission.MANAGE)
    if role not in _ISSUABLE:
        raise Invalid(f"a credential is {', '.join(_ISSUABLE)}, not {role}", field="role")
    for permission in sorted(PERMISSIONS[role].intersection(scopes or Permission)):
        work.require(permission)
    if not name.strip():
        raise Invalid("a credential needs a name", field="name")
    if expires_at is not None and expires_at <= work.now:
        raise Invalid("expiresAt is in the past", field="expiresAt")
    secret = new_secret()
    credential = Credential(
        name=name.strip(),
        role=role,
        scopes=list(scopes),
        secret_hash=digest(work.port(SecretKey), secret),  # type: ignore[type-abstract]
        expires_at=expires_at,
        created_at=work.now,
    )
    return work.add(credential), secret


async def revoke(work: Work, *, credential_id: UUID) -> Credential:
    """From now on it opens nothing. Repeating it changes nothing."""
    work.require(Permission.MANAGE)
    credential = await work.get(Credential, credential_id, lock=True)
    if credential.revoked_at is None:
        credential.revoked_at = work.now
        work.emit(CredentialRevoked(credential_id=credential.id))
        work.tell(Message(REVOCATIONS, str(credential.id).encode()))
    return credential
