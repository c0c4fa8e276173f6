"""A station's configuration: what it told us, and changing several keys at once."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from domain.actor import Actor
from domain.commands.delivering import deliver
from domain.commands.models import Command, CommandKind, CommandStatus
from domain.commands.service import request
from domain.errors import Conflict, Invalid
from domain.stations import Station
from domain.work import Workplace

KEYS_MAX = 100  # one after the other, within one deadline


async def configure(workplace: Workplace, actor: Actor, *, station_id: UUID, wanted: Mapping[str, Any]) -> Station:
    """Sets each key on the station, one command after the other; `Conflict` names those that it did not take."""
    if len(wanted) > KEYS_MAX:
        raise Invalid(f"config may have {KEYS_MAX} keys, not {len(wanted)}", field="config")
    values = {key: written(key, value) for key, value in wanted.items()}
    ordered: list[Command] = []
    async with workplace.open_work(actor) as work:
        for key, value in values.items():
            arguments = {"key": key, "value": value}
            ordered.append(
                await request(work, station_id=station_id, kind=CommandKind.CHANGE_CONFIGURATION, arguments=arguments)
            )
    done = [await deliver(workplace, actor, command) for command in ordered]
    refused = {c.arguments["key"]: c.error for c in done if c.status is not CommandStatus.ACCEPTED}
    if refused:
        reasons = "; ".join(f"{key}: {error}" for key, error in refused.items())
        raise Conflict(f"the station did not take {reasons}", refused=refused)
    async with workplace.open_work(actor, read_only=True) as work:
        return await work.get(Station, station_id)


def written(key: str, value: Any) -> str:
    """A value as OCPP writes it: booleans in lower case, lists with commas."""
    match value:
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return str(value)
        case list() if all(isinstance(item, str | int | float) for item in value):
            return ",".join(str(item) for item in value)
    raise Invalid(f"{key} must be a string, a number, a boolean or a list of them", field=key)
