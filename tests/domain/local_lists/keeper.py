"""A station that keeps a list as the standard has it, and the house beside it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from domain import local_lists, stations
from domain.actor import system
from domain.commands import Outcome, StationLink
from domain.errors import Unavailable
from domain.local_lists import LocalList, LocalListPolicy
from domain.stations import Presence
from domain.work import Workplace
from tests.factories import a_station
from tests.tester import Tester, a_tester
from voltgraph.wiring import House

ACCEPTED = Outcome("ACCEPTED", {"status": "Accepted"}, None)


def refusing(word: str) -> Outcome:
    return Outcome("REJECTED", {"status": word}, f"the station answered {word}")


@dataclass
class Keeper:
    """`heard` are the messages with a list; `fault` is said in place of an answer, as often as it stands there."""

    tester: Tester
    station_id: UUID
    online: bool = True
    version: int = 0
    held: dict[str, str] = field(default_factory=dict)  # by uid in lower case, the status
    configuration: dict[str, str] = field(default_factory=dict)
    heard: list[tuple[str, list[str]]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    faults: list[Outcome | Exception] = field(default_factory=list)
    loses_answers: int = 0

    def answer(self, kind: str, arguments: dict[str, Any]) -> Outcome:
        self.kinds.append(kind)
        if kind == "GET_CONFIGURATION":
            told = {key: {"value": self.configuration[key]} for key in arguments["keys"] if key in self.configuration}
            return Outcome("ACCEPTED", {"configuration": told, "unknown": []}, None)
        if kind == "GET_LOCAL_LIST_VERSION" and not self.faults:
            return Outcome("ACCEPTED", {"version": self.version}, None)
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, Exception):
                raise fault
            return fault
        return self.take(arguments)

    def take(self, arguments: dict[str, Any]) -> Outcome:
        entries = arguments["entries"]
        self.heard.append((arguments["update"], [entry["uid"] for entry in entries]))
        self.versions.append(arguments["version"])
        if arguments["update"] == "DIFFERENTIAL" and arguments["version"] <= self.version:
            return refusing("VersionMismatch")
        if arguments["update"] == "FULL":
            self.held.clear()
        for entry in entries:
            if entry["status"] is None:
                self.held.pop(entry["uid"].lower(), None)
            else:
                self.held[entry["uid"].lower()] = entry["status"]
        self.version = arguments["version"]
        if self.loses_answers:
            self.loses_answers -= 1
            raise Unavailable("the station's connection was lost")
        return ACCEPTED

    async def connect(self, version: str = "ocpp1.6") -> None:
        """After what was before: the clock of a test may stand still."""
        self.online = True
        self.tester.clock.forward(seconds=1)
        async with self.tester.work() as work:
            await stations.connected(work, station_ids=[self.station_id], ocpp_version=version)

    async def policy(self, policy: LocalListPolicy) -> None:
        async with self.tester.work() as work:
            await local_lists.set_policy(work, station_ids=[self.station_id], policy=policy)

    async def kept(self) -> LocalList:
        async with self.tester.work(read_only=True) as work:
            (kept,) = await local_lists.by_station_ids(work, [self.station_id])
        return kept


class Wire(StationLink):
    def __init__(self, keepers: Sequence[Keeper]) -> None:
        self.keepers = {keeper.station_id: keeper for keeper in keepers}

    async def deliver(
        self,
        *,
        tenant_id: UUID,
        station_id: UUID,
        command_id: UUID,
        kind: str,
        arguments: dict[str, Any],
        timeout_s: float,
        send_within_s: float | None = None,
    ) -> Outcome:
        return self.keepers[station_id].answer(kind, arguments)

    async def hang_up(self, *, tenant_id: UUID, station_id: UUID) -> None: ...

    async def recall(self, *, tenant_id: UUID, station_id: UUID, command_id: UUID) -> bool:
        return False

    async def wake(self, *, tenant_id: UUID, station_id: UUID) -> None: ...


class There:
    """As much of `Presence` as is asked."""

    def __init__(self, keepers: Sequence[Keeper]) -> None:
        self._keepers = keepers

    async def online(self, _tenant_id: UUID) -> set[UUID]:
        return {keeper.station_id for keeper in self._keepers if keeper.online}


def beside(tester: Tester, *keepers: Keeper) -> Workplace:
    ports: dict[Any, Any] = {**tester.workplace._ports, StationLink: Wire(keepers), Presence: There(keepers)}
    return Workplace(tester.workplace.engine, ports=ports, clock=tester.clock)


async def a_keeper(tester: Tester, *, ocpp: str = "ocpp1.6", now: datetime | None = None, **given: Any) -> Keeper:
    """Whose list is kept."""
    tester.clock.now = tester.clock.now or now or tester.clock()
    keeper = Keeper(tester, (await a_station(tester, **given)).id)
    await keeper.connect(ocpp)
    await keeper.policy(LocalListPolicy.ALL_TOKENS)
    return keeper


async def keep(tester: Tester, *keepers: Keeper) -> None:
    await local_lists.keep(beside(tester, *keepers), system(tester.tenant_id, "errand"))


async def tokens_told(tester: Tester) -> None:
    """What follows from changes of tokens has followed, and its time has come."""
    await tester.relay()
    tester.clock.forward(seconds=6)


async def a_fresh_tester(house: House) -> Tester:
    return await a_tester(house, f"acme-{uuid7().hex[-12:]}")
