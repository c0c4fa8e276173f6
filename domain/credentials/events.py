from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from domain.bus import Topic
from domain.events import Event

REVOCATIONS = Topic(UUID(int=0), "revocation")
"""Of the whole house: the id of each credential that is revoked, for doors, which remember those of every tenant."""


@dataclass(frozen=True, kw_only=True)
class CredentialRevoked(Event):
    """Told on the topic `credential`, narrower by the credential's id: whoever came in with it is to be shown out."""

    kind: ClassVar[str] = "credential"
    key: ClassVar[str | None] = "credential_id"

    credential_id: UUID
