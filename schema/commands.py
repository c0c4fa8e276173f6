from collections.abc import AsyncGenerator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from domain import commands
from domain.commands import CommandKind, CommandStatus
from resolvers import commands as door
from schema import limits
from schema.page import Connection
from schema.scalars import JSON
from schema.stations import Station
from schema.view import EVENT_ID, answer, attribute, stream, view

if TYPE_CHECKING:
    from schema.sessions import Session


@view(commands.Command)
class Command:
    """An order to a station and what became of it."""

    id: strawberry.ID = attribute("Ours.")
    kind: CommandKind = attribute("What was ordered.")
    shown_arguments: JSON = attribute("How; without passwords.", name="arguments")
    status: CommandStatus = attribute("What became of it.")
    result: JSON | None = attribute("What the station answered.")
    error: str | None = attribute("Why it came to nothing.")
    actor: str = attribute("Who ordered it.")
    created_at: datetime = attribute("When it was ordered.")
    sent_at: datetime | None = attribute("When it went out last.")
    attempts: int = attribute("How often it was sent where the station may have heard it.")
    next_attempt_at: datetime | None = attribute(
        "Of an order that waits: not before then it is sent again; null: as soon as the station is there."
    )
    expires_at: datetime | None = attribute(
        "Of an order that may wait: after that it is not sent any more; null: it is sent at once or never."
    )
    deadline_at: datetime = attribute("Until when its end is known: the station has answered, or has not.")
    completed_at: datetime | None = attribute("When its end was known.")
    station: Station | None = answer(door.station, "Whom it was for.")
    session: Annotated["Session", strawberry.lazy("schema.sessions")] | None = answer(
        door.session, "The charge that it ended, or that came of it as soon as the station has told of one."
    )
    event_id: strawberry.ID | None = answer(
        door.event_id, f"Of an item of `commandUpdates`. {EVENT_ID}", cost=limits.NOTHING
    )


@strawberry.type
class CommandQuery:
    commands: Connection[Command] | None = answer(door.listed, "Orders, the newest first.")
    command: Command | None = answer(door.by_id, "One order.")


@strawberry.type
class CommandMutation:
    send_command: Command | None = answer(
        door.send,
        "Order a station to do something. Answers when the station has, or at the deadline; with `queueForS` at once, "
        "as QUEUED, where the station is not there or has others before it. `commandUpdates` tells of the rest.",
    )
    cancel_command: Command | None = answer(
        door.cancel, "Call off an order. CONFLICT where it is on the wire already, or has ended."
    )


@strawberry.type
class CommandSubscription:
    command_updates: AsyncGenerator[Command, None] = stream(
        door.updates,
        "An order as it is, then every change; where none is named, all that have no end yet. With `after`, an "
        "`eventId`, what came since in place of the first look.",
    )
