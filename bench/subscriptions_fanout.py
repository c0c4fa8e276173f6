"""A thousand subscribers of one topic, and each of an own one: how many deliveries a second, how late, at what cost;
and an hour's events, after which a server is to be no larger."""

import asyncio
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.rows import Row
from bench.subscriptions_sides import OURS, STOCK, Feed, News, Ours, Side
from bench.ws_load import Crowd, Summary

SUBSCRIBERS = 1_000
EVENTS = 20  # back to back
OWN_EVENTS = 10
ROUNDS = 5
PACED = 8
PAUSE_S = 0.5
HOUR_EVENTS = 3_600
HOUR_SUBSCRIBERS = {OURS: 250, STOCK: 25}
HOUR_WARM = 300

SHARED = Feed.of("shared", EVENTS)
OWN = [Feed.of(f"own/{number}", OWN_EVENTS) for number in range(SUBSCRIBERS)]


@dataclass
class Runs:
    bursts: list[Summary] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    waits_s: "array[float]" = field(default_factory=lambda: array("d"))
    paced_cpu_us: list[float] = field(default_factory=list)

    @property
    def per_s(self) -> float:
        return median(burst.per_s for burst in self.bursts)

    @property
    def cpu(self) -> float:
        return median(self.cpu_us)

    def __str__(self) -> str:
        paced, paced_us = Summary(self.waits_s, 1.0), median(self.paced_cpu_us)
        return (
            f"{self.per_s:,.0f}/s, {self.cpu:.1f} µs of server CPU each; one at a time {paced_us:.1f} µs, "
            f"p50 {paced.wait_ms(50):.0f} ms, p99 {paced.wait_ms(99):.0f} ms"
        )


async def measured(sides: Mapping[str, Side]) -> list[Row]:
    ours = sides[OURS]
    assert isinstance(ours, Ours)
    await ours.know([SHARED, *OWN])
    hour = await _hour(sides)  # while both are fresh
    shared = await _fan_out(sides, [SHARED], events=EVENTS)
    own = await _fan_out(sides, OWN, events=OWN_EVENTS)
    return [
        *_rows(f"{SUBSCRIBERS:,} subscribers of one topic", shared),
        *_rows(f"{SUBSCRIBERS:,} subscribers, each of an own topic", own),
        hour,
    ]


def _rows(what: str, runs: Mapping[str, Runs]) -> list[Row]:
    mine, other = runs[OURS], runs[STOCK]
    return [
        Row(f"Subscriptions: {what}", str(mine), f"stock Strawberry {other}", mine.per_s / other.per_s),
        Row(f"Subscriptions: {what}, by CPU", f"{mine.cpu:.1f} µs", f"{other.cpu:.1f} µs", other.cpu / mine.cpu),
    ]


async def _fan_out(sides: Mapping[str, Side], feeds: Sequence[Feed], *, events: int) -> dict[str, Runs]:
    """Round by round in turn."""
    crowds = {name: await _joined(side, feeds, SUBSCRIBERS) for name, side in sides.items()}
    runs = {name: Runs() for name in sides}
    for turn in range(ROUNDS + 1):
        for name, side in sides.items():
            burst, cpu_us = await _told(side, _news(side, feeds, events), len(crowds[name].subscribers) // len(feeds))
            if turn:  # the first is to get warm
                runs[name].bursts.append(burst)
                runs[name].cpu_us.append(cpu_us)
    for name, side in sides.items():
        for _ in range(PACED):
            await asyncio.sleep(PAUSE_S)
            paced, cpu_us = await _told(side, _news(side, feeds, 1), len(crowds[name].subscribers) // len(feeds))
            runs[name].waits_s += paced.waits_s
            runs[name].paced_cpu_us.append(cpu_us)
    for crowd in crowds.values():
        assert not crowd.ended(), crowd.ended()[0]
        await crowd.leave()
    return runs


async def _joined(side: Side, feeds: Sequence[Feed], number_of: int) -> Crowd:
    """Each has been told how things are."""
    crowd = side.crowd()
    payloads = [feeds[number % len(feeds)].payload for number in range(number_of)]
    await crowd.join(payloads, first=len(feeds[0].addresses))
    return crowd


def _news(side: Side, feeds: Sequence[Feed], events: int) -> list[News]:
    """Of each feed the next of its points, so that none is the newer value of another."""
    first = side.numbers.next
    told = ((feed, feed.addresses[event]) for event in range(events) for feed in feeds)
    return [(feed, address, first + number) for number, (feed, address) in enumerate(told)]


async def _told(side: Side, news: Sequence[News], readers: int) -> tuple[Summary, float]:
    """The deliveries, and the server's CPU for each in µs."""
    ready, deliveries = side.ready(news), len(news) * readers
    cpu_s = on_core_s(side.server.pid)
    side.numbers.tell(len(news), deliveries)
    await side.tell(ready)
    summary = await side.numbers.summary()
    return summary, (on_core_s(side.server.pid) - cpu_s) / deliveries * 1e6


async def _hour(sides: Mapping[str, Side]) -> Row:
    """Each for itself: what counts is memory."""
    grown = {name: await _grown(side, HOUR_SUBSCRIBERS[name]) for name, side in sides.items()}
    return Row(
        f"Subscriptions: memory over an hour of an event a second ({HOUR_EVENTS:,} as fast as they are read)",
        _growth(*grown[OURS], HOUR_SUBSCRIBERS[OURS]),
        f"stock {_growth(*grown[STOCK], HOUR_SUBSCRIBERS[STOCK])}",
        _each_bytes(*grown[STOCK], HOUR_SUBSCRIBERS[STOCK]) / max(_each_bytes(*grown[OURS], HOUR_SUBSCRIBERS[OURS]), 1),
    )


async def _grown(side: Side, subscribers: int) -> tuple[int, int]:
    """KiB at first and at last."""
    crowd = await _joined(side, [SHARED], subscribers)
    first_kib = 0
    for told in range(0, HOUR_WARM + HOUR_EVENTS, EVENTS):
        if told == HOUR_WARM:
            first_kib = side.server.memory_kib()
        await _told(side, _news(side, [SHARED], EVENTS), subscribers)
    last_kib = side.server.memory_kib()
    assert not crowd.ended(), crowd.ended()[0]
    await crowd.leave()
    return first_kib, last_kib


def _growth(first_kib: int, last_kib: int, subscribers: int) -> str:
    return f"{first_kib / 1024:.1f} → {last_kib / 1024:.1f} MiB with {subscribers} subscribers"


def _each_bytes(first_kib: int, last_kib: int, subscribers: int) -> float:
    return (last_kib - first_kib) * 1024 / (subscribers * HOUR_EVENTS)


def on_core_s(pid: int) -> float:
    """Of the main thread, which has the loop."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
