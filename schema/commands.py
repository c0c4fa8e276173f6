from collections.abc import AsyncGenerator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from domain import commands
from domain.commands import CommandKind, CommandStatus, UnlockStatus
from domain.stations import AttributeType
from resolvers import commands as door
from schema import limits
from schema.page import Connection
from schema.scalars import JSON
from schema.stations import Station, StationReport
from schema.view import EVENT_ID, answer, attribute, member, stream, view

if TYPE_CHECKING:
    from schema.reservations import Reservation
    from schema.sessions import Session


@member(commands.StatusOutcome)
class StatusOutcome:
    """A word of the station's, such as Accepted or Rejected."""

    status: str = attribute("As OCPP has it.")
    scheduled: bool = attribute("It will be done when the running charge is over.")
    reason_code: str | None = attribute("Why, where OCPP 2.x tells.")
    additional_info: str | None = attribute("What else it says of that.")


@view(commands.Setting)
class Setting:
    """A key of a station's configuration."""

    key: str = attribute("OCPP 2.x: Component.Variable.")
    value: str | None = attribute("Null where it has none.")
    readonly: bool = attribute("Whether it cannot be changed, where the station tells.")


@member(commands.ConfigurationOutcome)
class ConfigurationOutcome:
    """What a station told of its configuration."""

    values: list[Setting] = attribute("What it has.")
    unknown: list[str] = attribute("The keys that it does not know.")


@view(commands.VariableOutcome)
class VariableOutcome:
    """What a station answered about one variable."""

    component: str = attribute("What it belongs to.")
    component_instance: str | None = attribute("Which of several.")
    evse_number: int | None = attribute("Where the component belongs to an EVSE.")
    connector_number: int | None = attribute("Where it belongs to a connector of that.")
    variable: str = attribute("What it is.")
    variable_instance: str | None = attribute("Which of several.")
    status: str = attribute("Accepted, or why not, as OCPP has it.")
    value: str | None = attribute("What it read, where it was asked to.")
    attribute: AttributeType = attribute("Which of its values.")


@member(commands.VariablesOutcome)
class VariablesOutcome:
    """What a station answered about several variables."""

    variables: list[VariableOutcome] = attribute("One by one.")


@member(commands.UnlockOutcome)
class UnlockOutcome:
    """Whether a plug was released."""

    status: str = attribute("As OCPP has it.")
    unlock: UnlockStatus = attribute("What became of it, in one word for all versions.")


@member(commands.DataTransferOutcome)
class DataTransferOutcome:
    """What a vendor's station answered to a message of the vendor's."""

    status: str = attribute("Accepted, Rejected, UnknownMessageId or UnknownVendorId.")
    data: JSON | None = attribute("What it said.")


@member(commands.TransactionStatusOutcome)
class TransactionStatusOutcome:
    """What a station knows of a charge."""

    ongoing: bool | None = attribute("Whether the charge goes on; null where none was named.")
    messages_in_queue: bool = attribute("Whether messages wait to be sent.")


@member(commands.LocalListVersionOutcome)
class LocalListVersionOutcome:
    """Which list of tokens a station has."""

    version: int = attribute("0: none yet; -1: it keeps none.")
    supported: bool = attribute("Whether it keeps any.")


CommandOutcome = Annotated[
    StatusOutcome
    | ConfigurationOutcome
    | VariablesOutcome
    | UnlockOutcome
    | DataTransferOutcome
    | TransactionStatusOutcome
    | LocalListVersionOutcome,
    strawberry.union("CommandOutcome", description="What a station answered, by the kind of the order."),
]


@view(commands.Command)
class Command:
    """An order to a station and what became of it."""

    id: strawberry.ID = attribute("Ours.")
    kind: CommandKind = attribute("What was ordered.")
    shown_arguments: JSON = attribute("How; without passwords.", name="arguments")
    status: CommandStatus = attribute("What became of it.")
    result: JSON | None = attribute("What the station answered.")
    outcome: CommandOutcome | None = answer(
        door.outcome,
        "The same, in types; null where it has not answered, or with an error. Of an order that took several messages "
        "and failed: what was answered before.",
        cost=limits.NOTHING,
    )
    error: str | None = attribute("Why it came to nothing; of an order that waits, why its last attempt did.")
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
    reservation: Annotated["Reservation", strawberry.lazy("schema.reservations")] | None = answer(
        door.reservation, "The reservation that it asked for or cancelled."
    )
    report: StationReport | None = answer(
        door.report, "The report that it asked for (OCPP 2.x), as far as it has come."
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
    rotate_station_password: Command | None = answer(
        door.rotate_password,
        "Give a station a new password, one that nobody sees where none is given: the order that did. The one before "
        "is good until the station has connected with the new one, and for good where it refuses that.",
    )


@strawberry.type
class CommandSubscription:
    command_updates: AsyncGenerator[Command, None] = stream(
        door.updates,
        "An order as it is, then every change; where none is named, all that have no end yet. With `after`, an "
        "`eventId`, what came since in place of the first look.",
    )
