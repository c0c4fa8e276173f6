"""The subscription to latest values, of measured points and of those that are made of others."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime

from domain import points, virtual_points
from domain.bus import Message, Topic
from domain.errors import Resync
from domain.points import PointUpdate, Quality
from resolvers.context import Context, Info
from resolvers.live import live
from resolvers.pages import every_page, in_parts


async def updates(info: Info, addresses: list[str] | None = None) -> AsyncGenerator[PointUpdate, None]:
    watch = PointWatch(info.context, addresses)
    return live(info.context, await watch.topics(), watch)


class PointWatch:
    """One subscription to the latest values of some points, or of all; of a virtual one it hears the inputs."""

    def __init__(self, context: Context, addresses: Sequence[str] | None) -> None:
        self._context = context
        self._tenant_id = context.caller.tenant_id
        self._addresses = None if addresses is None else frozenset(addresses)
        self._topics: list[Topic] = []
        self._updates = points.Updates(addresses)
        self._tally = virtual_points.Tally([], {})

    async def topics(self) -> list[Topic]:
        """By owner, unless an address is not known yet: its point may come to belong to anybody."""
        async with self._context.read() as work:  # whoever may not look is told so at once
            composed = await virtual_points.composed(work, self._addresses)
        self._topics = await self._topics_of(composed)
        return self._topics

    async def look(self) -> AsyncGenerator[PointUpdate, None]:
        """The latest value of each point that has one."""
        made = await self._compose()
        if self._addresses is not None:
            for addresses in in_parts(sorted(self._addresses)):
                for update in await self._shown(await self._known(addresses)):
                    yield update
        else:
            async for rows in every_page(self._context, points.listed):
                for update in await self._shown(rows):
                    yield update
        for update in made:
            yield update

    async def resume(self, _since: datetime | None) -> Sequence[PointUpdate]:
        """There is no fact to go on from; what it looked at, nothing older follows."""
        async with aclosing(self.look()) as looked:
            async for _ in looked:
                pass
        return ()

    async def translate(self, news: Message) -> Sequence[PointUpdate]:
        if news.topic == virtual_points.changed_topic(self._tenant_id):
            return await self._compose()
        heard = list(self._updates.read(news))
        return [*filter(self._wanted, heard), *self._tally.heard(heard)]

    def _wanted(self, update: PointUpdate) -> bool:
        return self._addresses is None or update.address in self._addresses

    async def _topics_of(self, composed: virtual_points.Composed) -> list[Topic]:
        """What news of these points is told on: their own and that of their inputs."""
        if self._addresses is None or any(one.matches for one in composed.composites.values()):
            return [points.every_topic(self._tenant_id), virtual_points.changed_topic(self._tenant_id)]
        found = [point for addresses in in_parts(sorted(self._addresses)) for point in await self._known(addresses)]
        if {point.address for point in found} < self._addresses:
            return [points.every_topic(self._tenant_id), virtual_points.changed_topic(self._tenant_id)]
        owners = [point.owner_id for point in found if point.expression is None]
        owners += [measured.owner_id for measured in composed.measured.values()]
        heard = [points.topic(self._tenant_id, owner_id) for owner_id in dict.fromkeys(owners)]
        return [*heard, virtual_points.changed_topic(self._tenant_id)] if composed.composites else heard

    async def _compose(self) -> list[PointUpdate]:
        """The virtual points as they are made now, and as they are."""
        async with self._context.read() as work:
            composed = await virtual_points.composed(work, self._addresses)
        await self._check_heard(composed)
        latest = await self._latest(composed)
        if composed.composites:
            self._updates.widen()
        for address, reading in latest.items():
            self._updates.saw(PointUpdate(address, reading.at, reading.value, reading.text, reading.quality))
        self._tally = virtual_points.Tally(composed.composites.values(), latest)
        return self._tally.all()

    async def _check_heard(self, composed: virtual_points.Composed) -> None:
        """A virtual point may be made of what is told elsewhere, since it was listened for."""
        if points.every_topic(self._tenant_id) in self._topics:
            return
        if not set(self._topics) >= set(await self._topics_of(composed)):
            raise Resync("what a virtual point is made of has changed: subscribe again")

    async def _latest(self, composed: virtual_points.Composed) -> dict[str, points.LatestReading]:
        async with self._context.read() as work:
            found = await points.latest_of(work, [one.point_id for one in composed.measured.values()])
        return composed.by_address(found)

    async def _known(self, addresses: Sequence[str]) -> Sequence[points.Point]:
        async with self._context.read() as work:
            return list((await points.by_addresses(work, addresses)).values())

    async def _shown(self, found: Sequence[points.Point]) -> list[PointUpdate]:
        """In a Work that asks the database nothing: no connection waits for Redis."""
        async with self._context.read() as work:
            latest = await points.latest_of(work, [point.id for point in found if point.expression is None])
        shown = (_shown(point, latest[point.id]) for point in found if point.id in latest)
        return [update for update in shown if self._updates.saw(update)]


def _shown(point: points.Point, reading: points.LatestReading) -> PointUpdate:
    return PointUpdate(point.address, reading.at, reading.value, reading.text, Quality(reading.quality))
