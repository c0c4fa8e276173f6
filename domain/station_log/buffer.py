"""What waits to be kept: bounded, and honest about what found no room."""

from collections import Counter as Tally
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from prometheus_client import Counter

from domain.station_log.masking import Secrets
from domain.station_log.models import Direction, Entry, EntryKind, new_id

LOST = Counter("voltgraph_station_log_lost", "Entries that there was no room for, or that could not be kept")

PAYLOAD_CHARACTERS = 16 * 1024
_NAME_CHARACTERS = 100


class Draft(NamedTuple):
    """What a scribe makes of something that was said. `payload` is what JSON can hold, or a text that is none."""

    at: datetime
    direction: Direction
    kind: EntryKind
    action: str | None
    message_id: str | None
    payload: Any
    duration_ms: float | None = None
    error_code: str | None = None

    def entry(self, station_id: UUID, secrets: Secrets) -> Entry:
        return Entry(
            new_id(self.at),
            station_id,
            self.at,
            self.direction,
            self.kind,
            _name(self.action, secrets),
            _name(self.message_id, secrets),
            _cut(secrets.masked(self.payload)),
            self.duration_ms,
            _name(self.error_code, secrets),
        )


class Scribe(Protocol):
    """Of one line: it knows what is spoken there."""

    @property
    def tenant_id(self) -> UUID: ...

    @property
    def station_id(self) -> UUID: ...

    @property
    def secrets(self) -> Secrets: ...

    def put(self, said: Any) -> Draft | None:
        """Into words, once for everything that was handed over, in that order; None: not worth an entry."""
        ...


class Owed(NamedTuple):
    """An entry that is not kept yet, and how many would be lost with it."""

    tenant_id: UUID
    entry: Entry
    losses: int = 1


class Buffer:
    """First what is owed, then what was said after it; the oldest goes where there is no room."""

    def __init__(self, entries: int, characters: int) -> None:
        self._entries = entries
        self._characters = characters
        self._said: deque[tuple[Scribe, Any, int]] = deque()
        self._owed: deque[Owed] = deque()
        self._size = 0  # in characters
        self._losses: Tally[tuple[UUID, UUID]] = Tally()

    def __len__(self) -> int:
        return len(self._said) + len(self._owed)

    @property
    def is_empty(self) -> bool:
        return not (self._said or self._owed or self._losses)

    @property
    def said(self) -> int:
        """How much nobody has put into words yet."""
        return len(self._said)

    def take(self, scribe: Scribe, said: Any, characters: int) -> None:
        """On the hot path."""
        self._said.append((scribe, said, characters))
        self._size += characters
        if len(self._said) + len(self._owed) > self._entries or self._size > self._characters:
            self._drop()

    def put_next(self) -> Owed | None:
        """The next that was said, in words; it is not owed yet."""
        scribe, said, characters = self._said.popleft()
        self._size -= characters
        draft = scribe.put(said)
        return None if draft is None else Owed(scribe.tenant_id, draft.entry(scribe.station_id, scribe.secrets))

    def owe(self, owed: Owed) -> None:
        self._owed.append(owed)
        self._size += len(owed.entry.payload)

    def next_owed(self, count: int) -> list[Owed]:
        batch = [self._owed.popleft() for _ in range(min(count, len(self._owed)))]
        self._size -= sum(len(owed.entry.payload) for owed in batch)
        return batch

    def owe_again(self, batch: Sequence[Owed]) -> None:
        """In their old place."""
        self._owed.extendleft(reversed(batch))
        self._size += sum(len(owed.entry.payload) for owed in batch)
        self._drop()

    def admit_losses(self, at: datetime) -> None:
        """That something is missing is an entry too."""
        for (tenant_id, station_id), count in self._losses.items():
            draft = Draft(at, Direction.NONE, EntryKind.EVENT, "lost", None, {"entries": count})
            self.owe(Owed(tenant_id, draft.entry(station_id, Secrets()), count))
        self._losses.clear()

    def _drop(self) -> None:
        while self._owed and self._is_full():
            owed = self._owed.popleft()
            self._size -= len(owed.entry.payload)
            self._lose(owed.tenant_id, owed.entry.station_id, owed.losses)
        while self._said and self._is_full():
            scribe, _, characters = self._said.popleft()
            self._size -= characters
            self._lose(scribe.tenant_id, scribe.station_id, 1)

    def _is_full(self) -> bool:
        return len(self) > self._entries or self._size > self._characters

    def _lose(self, tenant_id: UUID, station_id: UUID, count: int) -> None:
        self._losses[tenant_id, station_id] += count
        LOST.inc()


def _cut(payload: str) -> str:
    if len(payload) > PAYLOAD_CHARACTERS:
        payload = f"{payload[:PAYLOAD_CHARACTERS]}… (cut, {len(payload)} characters)"
    return _storable(payload)


def _name(name: str | None, secrets: Secrets) -> str | None:
    return None if name is None else _storable(secrets.hidden_in(name)[:_NAME_CHARACTERS])


def _storable(said: str) -> str:
    """PostgreSQL takes no zero byte."""
    return said.replace("\x00", "\ufffd") if "\x00" in said else said
