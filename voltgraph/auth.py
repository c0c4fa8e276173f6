"""Who shows a credential, and how long the answer is remembered.

Asking the database costs more than most questions that follow, so a process remembers for a short time whom it has let
in. A revocation ends that at once: every process hears of all of them, and one that may have missed any (a gap in the
news, Redis away) remembers nobody. No secret is kept, only its hash under the server's key.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Generic, TypeVar
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy.exc import SQLAlchemyError

from domain.actor import Actor, credential_by_hash
from domain.bus import Gap, Message, Overflowed
from domain.credentials import REVOCATIONS, SecretKey, digest
from domain.errors import Unauthenticated, Unavailable
from domain.work import Workplace
from gateways.redis import RedisBus

log = structlog.get_logger()

Value = TypeVar("Value")

LOOKUPS = Counter("voltgraph_credential_lookups", "Credentials asked the database for, by answer", ["result"])

KNOWN_S = 30.0  # so long may a credential outlive its revocation, if nobody can be told of that
UNKNOWN_S = 1.0  # a wrong secret in a loop asks the database once in so long
REMEMBERED_MAX = 10_000
_PAUSE_S = 1.0


class Memory(Generic[Value]):
    """Each value for a while, and at most so many of them: the one that was put first goes first."""

    def __init__(self, size: int, tick: Callable[[], float]) -> None:
        self._size = size
        self._tick = tick
        self._entries: dict[bytes, tuple[Value, float]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> Value | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[1] <= self._tick():
            del self._entries[key]
            return None
        return entry[0]

    def put(self, key: bytes, value: Value, lasts_s: float) -> None:
        self._entries.pop(key, None)
        while len(self._entries) >= self._size:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = value, self._tick() + lasts_s

    def drop(self, unwanted: Callable[[Value], bool]) -> None:
        self._entries = {key: entry for key, entry in self._entries.items() if not unwanted(entry[0])}

    def clear(self) -> None:
        self._entries.clear()


class Doorkeeper:
    """Called with an Authorization header: the actor behind `Bearer <credential>`; None without one;
    `Unauthenticated` for one that opens nothing, `Unavailable` where that cannot be known.

    Within `kept` it remembers whom it has let in.
    """

    def __init__(
        self,
        workplace: Workplace,
        bus: RedisBus,
        *,
        known_s: float = KNOWN_S,
        unknown_s: float = UNKNOWN_S,
        size: int = REMEMBERED_MAX,
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        self._workplace = workplace
        self._bus = bus
        self._known_s, self._unknown_s = known_s, unknown_s
        self._key = workplace.port(SecretKey)  # type: ignore[type-abstract]
        self._known: Memory[Actor] = Memory(size, tick)
        self._unknown: Memory[bool] = Memory(size, tick)  # apart, so that guessers push nobody out
        self._asking: dict[bytes, asyncio.Task[Actor | None]] = {}
        self._listening = False
        self._revocations = 0  # heard, or perhaps missed
        self._told: list[Callable[[UUID | None], None]] = []

    @property
    def remembers(self) -> bool:
        """Whether every revocation would be heard."""
        return self._listening and self._bus.up

    async def __call__(self, authorization: str | None) -> Actor | None:
        secret = _secret(authorization)
        if secret is None:
            return None
        secret_hash = digest(self._key, secret)
        actor = self._known.get(secret_hash) if self.remembers else None
        if actor is None and not self._unknown.get(secret_hash):
            actor = await self._asked_once(secret_hash)
        if actor is None:
            raise Unauthenticated("the credential is unknown, revoked or expired")
        return actor

    def tell(self, of_revocation: Callable[[UUID | None], None]) -> None:
        """Whoever is to hear whose credential was revoked; None: anybody's may have been."""
        self._told.append(of_revocation)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Hears of revocations, which is what allows it to remember."""
        listening = asyncio.create_task(self._listen(), name="revocations")
        try:
            yield
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _asked_once(self, secret_hash: bytes) -> Actor | None:
        """A crowd that shows the same credential shares one question; who leaves does not take it along."""
        asking = self._asking.get(secret_hash)
        if asking is None:
            asking = self._asking[secret_hash] = asyncio.create_task(self._ask(secret_hash), name="credential")
            asking.add_done_callback(partial(self._asked, secret_hash))
        return await asyncio.shield(asking)

    def _asked(self, secret_hash: bytes, asking: "asyncio.Task[Actor | None]") -> None:
        if self._asking.get(secret_hash) is asking:
            del self._asking[secret_hash]
        if not asking.cancelled():
            asking.exception()  # is seen, even where everybody has left

    async def _ask(self, secret_hash: bytes) -> Actor | None:
        revocations = self._revocations
        actor = await self._looked_up(secret_hash)
        now = self._workplace.clock()
        if actor is None or (actor.expires_at is not None and actor.expires_at <= now):
            self._unknown.put(secret_hash, True, self._unknown_s)
            return None
        if self.remembers and revocations == self._revocations:  # else it may be of before a revocation
            self._known.put(secret_hash, actor, self._lasts_s(actor, now))
        return actor

    async def _looked_up(self, secret_hash: bytes) -> Actor | None:
        try:
            actor = await credential_by_hash(self._workplace.engine, secret_hash)
        except (Unavailable, SQLAlchemyError, OSError) as error:
            LOOKUPS.labels("failed").inc()
            log.warning("a credential cannot be looked up", reason=str(error))
            raise Unavailable("the credential cannot be looked up now") from error
        LOOKUPS.labels("unknown" if actor is None else "known").inc()
        return actor

    def _lasts_s(self, actor: Actor, now: datetime) -> float:
        if actor.expires_at is None:
            return self._known_s
        return min(self._known_s, (actor.expires_at - now).total_seconds())

    async def _listen(self) -> None:
        while True:
            try:
                async with self._bus.listen(REVOCATIONS) as ear:
                    self._listening = True
                    async for news in ear:
                        self._hear(news)
                return  # the bus has stopped
            except (Unavailable, Overflowed) as error:
                log.warning("revocations are not heard", reason=str(error) or type(error).__name__)
            finally:
                self._listening = False
                self._hear(Gap())
            await asyncio.sleep(_PAUSE_S)

    def _hear(self, news: Message | Gap) -> None:
        """Whoever comes from here on does not share a question that was asked before."""
        self._revocations += 1
        self._asking.clear()
        revoked = _revoked(news)
        if revoked is None:
            self._known.clear()
        else:
            self._known.drop(lambda actor: actor.id == revoked)
        for told in self._told:
            told(revoked)


def _revoked(news: Message | Gap) -> UUID | None:
    """Whose it was; None where it may have been anybody's."""
    try:
        return None if isinstance(news, Gap) else UUID(news.payload.decode())
    except ValueError:
        return None


def _secret(authorization: str | None) -> str | None:
    if authorization is None:
        return None
    scheme, _, secret = authorization.strip().partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("Authorization must be `Bearer <credential>`")
    return secret.strip() or None  # none: GraphiQL before somebody has filled it in
