from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from domain.events import Event


@dataclass(frozen=True, kw_only=True)
class TokenEvent(Event):
    """Told on the topic `token`: what stations keep of tokens is not what it should be any more."""

    kind: ClassVar[str] = "token"


@dataclass(frozen=True, kw_only=True)
class TokenChanged(TokenEvent):
    """Made, changed or deleted. `revoked`: it may no longer charge, whatever a station remembers of it."""

    token_id: UUID
    uid: str
    revoked: bool


@dataclass(frozen=True, kw_only=True)
class TokenGroupChanged(TokenEvent):
    group_uid: str
