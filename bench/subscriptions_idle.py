"""Subscribers who hear nothing for hours: memory of each, and ten thousand of them on one worker."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from bench.rows import Row
from bench.subscriptions_sides import OURS, STOCK, Feed, Ours, Side

NUMBER_OF = {OURS: 10_000, STOCK: 2_000}
WARM = 200  # imports and pools are nobody's connection
SETTLED_S = 1.0

QUIET = Feed.of("quiet", 1)


@dataclass(frozen=True)
class Idle:
    """`joined_s`: until all were told how things are. `event_s`: until an event had reached all."""

    number_of: int
    before_kib: int
    after_kib: int
    joined_s: float
    event_s: float

    @property
    def each_kib(self) -> float:
        return (self.after_kib - self.before_kib) / self.number_of


async def measured(sides: Mapping[str, Side]) -> list[Row]:
    mine = sides[OURS]
    assert isinstance(mine, Ours)
    await mine.know([QUIET])
    found = {name: await _idle(side, NUMBER_OF[name]) for name, side in sides.items()}
    ours, stock = found[OURS], found[STOCK]
    sizes = f"{ours.before_kib / 1024:.0f} → {ours.after_kib / 1024:.0f} MiB"
    each = stock.each_kib / ours.each_kib
    connected = stock.joined_s / stock.number_of * ours.number_of / ours.joined_s
    reached = stock.event_s / stock.number_of * ours.number_of / ours.event_s
    return [
        Row(
            f"Subscriptions: memory of an idle subscriber, {ours.number_of:,} held",
            f"{ours.each_kib:.1f} KiB ({sizes})",
            f"stock {stock.each_kib:.1f} KiB (with {stock.number_of:,})",
            each,
        ),
        Row(
            f"Subscriptions: {ours.number_of:,} connected, let in and told how things are",
            f"{ours.joined_s:.1f} s",
            f"stock {stock.number_of:,} in {stock.joined_s:.1f} s",
            connected,
        ),
        Row(
            f"Subscriptions: an event reaches all {ours.number_of:,}",
            f"{ours.event_s:.2f} s",
            f"stock {stock.number_of:,} in {stock.event_s:.2f} s",
            reached,
        ),
    ]


async def _idle(side: Side, number_of: int) -> Idle:
    crowd = side.crowd()
    await crowd.join([QUIET.payload] * WARM, first=1)
    await crowd.leave()
    before_kib = side.server.memory_kib()
    joined_s = await crowd.join([QUIET.payload] * number_of, first=1)
    await asyncio.sleep(SETTLED_S)
    after_kib = side.server.memory_kib()
    assert not crowd.ended(), crowd.ended()[0]
    ready = side.ready([(QUIET, QUIET.addresses[0], side.numbers.next)])
    side.numbers.tell(1, number_of)
    await side.tell(ready)
    event_s = (await side.numbers.summary()).took_s
    await crowd.leave()
    return Idle(number_of, before_kib, after_kib, joined_s, event_s)
