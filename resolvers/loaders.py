"""Batched look-ups: however many objects ask, one statement answers. Each batch opens its own reading Work."""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol, TypeVar
from uuid import UUID

from strawberry.dataloader import DataLoader

from domain import (
    credentials,
    local_lists,
    locations,
    points,
    reservations,
    sessions,
    stations,
    tokens,
    users,
    virtual_points,
)
from domain.actor import Actor
from domain.errors import Unavailable
from domain.work import Work, Workplace

Row = TypeVar("Row")

BATCH_MAX = 1_000
_ASKED_ONE_BY_ONE = 4  # up to here the station's own lease is asked for, above it the set of all that are online


class Reader(Protocol):
    """What loaders need of a context."""

    workplace: Workplace

    @property
    def caller(self) -> Actor: ...

    def read(self) -> AbstractAsyncContextManager[Work]: ...


class Loaders:
    """Made per execution and thrown away with it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @cached_property
    def station(self) -> DataLoader[UUID, stations.Station | None]:
        return self._one(stations.by_ids)

    @cached_property
    def location(self) -> DataLoader[UUID, locations.Location | None]:
        return self._one(locations.by_ids)

    @cached_property
    def token(self) -> DataLoader[UUID, tokens.Token | None]:
        return self._one(tokens.by_ids)

    @cached_property
    def user(self) -> DataLoader[UUID, users.User | None]:
        return self._one(users.by_ids)

    @cached_property
    def credential(self) -> DataLoader[UUID, credentials.Credential | None]:
        return self._one(credentials.by_ids)

    @cached_property
    def session(self) -> DataLoader[UUID, sessions.Session | None]:
        return self._one(sessions.by_ids)

    @cached_property
    def session_of_command(self) -> DataLoader[UUID, sessions.Session | None]:
        """By the remote start that led to it."""
        return self._one(sessions.by_command_ids, key=lambda session: session.command_id)

    @cached_property
    def signed_values(self) -> DataLoader[UUID, list[sessions.SignedValue]]:
        """By session."""
        return self._many(sessions.signed_values_of, key=lambda signed: signed.session_id)

    @cached_property
    def reservation(self) -> DataLoader[UUID, reservations.Reservation | None]:
        return self._one(reservations.by_ids)

    @cached_property
    def report_of_command(self) -> DataLoader[UUID, stations.StationReport | None]:
        """By the order that asked for it."""
        return self._one(stations.reports_by_command, key=lambda report: report.command_id)

    @cached_property
    def evses(self) -> DataLoader[UUID, list[stations.Evse]]:
        """By station."""
        return self._many(stations.evses_of, key=lambda evse: evse.station_id)

    @cached_property
    def connectors(self) -> DataLoader[UUID, list[stations.Connector]]:
        """By EVSE."""
        return self._many(stations.connectors_of, key=lambda connector: connector.evse_id)

    @cached_property
    def local_list(self) -> DataLoader[UUID, local_lists.LocalList | None]:
        """By station."""
        return self._one(local_lists.by_station_ids, key=lambda kept: kept.station_id)

    @cached_property
    def online(self) -> DataLoader[UUID, bool]:
        return DataLoader(self._online, max_batch_size=BATCH_MAX)

    @cached_property
    def seen_at(self) -> DataLoader[UUID, datetime | None]:
        """When a station was last heard from, by the cluster's memory; the row knows it roughly."""
        return DataLoader(self._seen_at, max_batch_size=BATCH_MAX)

    @cached_property
    def latest(self) -> DataLoader[UUID, points.LatestReading | None]:
        """By point."""
        return DataLoader(self._latest, max_batch_size=BATCH_MAX)

    @cached_property
    def virtual_latest(self) -> DataLoader[str, points.LatestReading | None]:
        """By the address of a virtual point."""
        return DataLoader(self._virtual_latest, max_batch_size=BATCH_MAX)

    def _one(
        self,
        ask: Callable[[Work, Sequence[UUID]], Awaitable[Iterable[Row]]],
        key: Callable[[Any], Hashable] = lambda row: row.id,
    ) -> DataLoader[UUID, Row | None]:
        async def load(keys: list[UUID]) -> list[Row | None]:
            async with self._reader.read() as work:
                found = {key(row): row for row in await ask(work, keys)}
            return [found.get(one) for one in keys]

        return DataLoader(load, max_batch_size=BATCH_MAX)

    def _many(
        self, ask: Callable[[Work, Sequence[UUID]], Awaitable[Iterable[Row]]], key: Callable[[Any], Hashable]
    ) -> DataLoader[UUID, list[Row]]:
        async def load(keys: list[UUID]) -> list[list[Row]]:
            found: dict[Hashable, list[Row]] = {one: [] for one in keys}
            async with self._reader.read() as work:
                for row in await ask(work, keys):
                    found[key(row)].append(row)
            return [found[one] for one in keys]

        return DataLoader(load, max_batch_size=BATCH_MAX)

    async def _online(self, station_ids: list[UUID]) -> list[bool]:
        presence = self._reader.workplace.port(stations.Presence)  # type: ignore[type-abstract]
        tenant_id = self._reader.caller.tenant_id
        if len(station_ids) <= _ASKED_ONE_BY_ONE:
            return [await presence.holder(tenant_id, one) is not None for one in station_ids]
        online = await presence.online(tenant_id)
        return [one in online for one in station_ids]

    async def _seen_at(self, station_ids: list[UUID]) -> list[datetime | None]:
        presence = self._reader.workplace.port(stations.Presence)  # type: ignore[type-abstract]
        try:
            seen = await presence.seen(self._reader.caller.tenant_id, station_ids)
        except Unavailable:
            seen = {}
        return [seen.get(one) for one in station_ids]

    async def _latest(self, point_ids: list[UUID]) -> list[points.LatestReading | None]:
        found = await self._reader.workplace.port(points.Latest).get(  # type: ignore[type-abstract]
            self._reader.caller.tenant_id, point_ids
        )
        return [found.get(one) for one in point_ids]

    async def _virtual_latest(self, addresses: list[str]) -> list[points.LatestReading | None]:
        async with self._reader.read() as work:
            composed = await virtual_points.composed(work, addresses)
        found = await self._reader.workplace.port(points.Latest).get(  # type: ignore[type-abstract]
            self._reader.caller.tenant_id, [one.point_id for one in composed.measured.values()]
        )
        latest = composed.by_address(found)
        made = composed.composites
        return [made[address].reading(latest) if address in made else None for address in addresses]
