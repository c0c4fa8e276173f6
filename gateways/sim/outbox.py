"""What a station has yet to tell: kept in order, over lost connections and resets."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from uuid import uuid4

from gateways.sim.outlet import Outlet, Session
from gateways.sim.wire import Payload

MOST_MESSAGES = 4_000


class Stage(Enum):
    STATUS = auto()
    START = auto()
    UPDATE = auto()
    METER = auto()
    STOP = auto()


@dataclass(eq=False, slots=True)
class Message:
    """Made when its event happens, so that it keeps that moment's timestamp however late it goes out."""

    action: str
    payload: Payload
    stage: Stage
    outlet: Outlet | None = None
    session: Session | None = None
    register_wh: int | None = None
    id: str = field(default_factory=lambda: str(uuid4()))
    attempts: int = 0
    refusals: int = 0

    def renew_id(self) -> None:
        self.id = str(uuid4())


class Outbox:
    def __init__(self) -> None:
        self.filled = asyncio.Event()
        self.emptied = asyncio.Event()
        self.emptied.set()
        self._messages: deque[Message] = deque()

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def head(self) -> Message:
        return self._messages[0]

    def put(self, message: Message) -> None:
        if len(self._messages) >= MOST_MESSAGES:
            self._thin()
        self._messages.append(message)
        self._signal()

    def remove(self, message: Message) -> None:
        if self._messages and self._messages[0] is message:
            self._messages.popleft()
        self._signal()

    def drop_statuses(self) -> list[Message]:
        """A status is worth telling only as it is now; the station says it anew when it is back."""
        dropped = [message for message in self._messages if message.stage is Stage.STATUS]
        self._messages = deque(message for message in self._messages if message.stage is not Stage.STATUS)
        self._signal()
        return dropped

    def holds(self, transaction_id: str | None) -> bool:
        """Whether anything of this transaction, or of any, has still to be told."""
        told = (message.session for message in self._messages if message.session)
        return any(transaction_id in (None, session.transaction_id) for session in told)

    def _thin(self) -> None:
        """Every second meter message goes when memory is short, never a start or a stop (2.0.1 E04.FR.08 ff.)."""
        kept: deque[Message] = deque()
        meters = 0
        for message in self._messages:
            meters += message.stage is Stage.METER
            if message.stage is not Stage.METER or meters % 2:
                kept.append(message)
        self._messages = kept

    def _signal(self) -> None:
        if self._messages:
            self.filled.set()
            self.emptied.clear()
        else:
            self.filled.clear()
            self.emptied.set()
