"""Whether an order that has waited may still go out: cards are blocked meanwhile, and times run out."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from domain.commands.models import Command, CommandKind
from domain.work import Work

Objection = Callable[[Work, Command], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class Objections:
    """By kind, who is asked as an order is at last sent: what speaks against it, None where nothing does. A port that
    the wiring fills, for it is other slices that know."""

    by_kind: Mapping[CommandKind, Objection]


async def objection_to(work: Work, command: Command) -> str | None:
    ask = work.port(Objections).by_kind.get(command.kind)
    return None if ask is None else await ask(work, command)
