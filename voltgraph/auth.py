"""Who shows a credential."""

from domain.actor import Actor, credential_by_hash
from domain.credentials import SecretKey, digest
from domain.errors import Unauthenticated
from domain.work import Workplace


async def authenticate(workplace: Workplace, authorization: str | None) -> Actor | None:
    """The actor behind `Bearer <credential>`; None without one; `Unauthenticated` for one that opens nothing."""
    if authorization is None:
        return None
    scheme, _, secret = authorization.strip().partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("Authorization must be `Bearer <credential>`")
    if not secret.strip():
        return None  # GraphiQL before somebody has filled it in
    secret_hash = digest(workplace.port(SecretKey), secret.strip())  # type: ignore[type-abstract]
    actor = await credential_by_hash(workplace.engine, secret_hash)
    if actor is None:
        raise Unauthenticated("the credential is unknown, revoked or expired")
    return actor
