"""What waits for one reader is bounded, and nothing is lost in silence."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from gateways.graphql.outbox import Bounds, Gone, Item, Outbox, Waiting, place

pytestmark = pytest.mark.anyio

SMALL = Bounds(facts=8, size_bytes=1_000)


@dataclass(eq=False)
class Reader:
    """Reads while it `reads`, and then is one message behind."""

    reads: asyncio.Event = field(default_factory=asyncio.Event)
    got: list[Any] = field(default_factory=list)
    gone: bool = False
    broken: bool = False

    async def send(self, frame: Any) -> None:
        await self.reads.wait()
        if self.broken:
            raise RuntimeError("a fault of ours")
        if self.gone:
            raise OSError("gone")
        self.got.append(frame)


@dataclass(eq=False)
class Subject:
    """An operation."""

    name: str
    outbox: Outbox
    delivered: str | None = None
    end: Any = None

    def frame(self, item: Item) -> str:
        return f"{self.name}:{item.payload.decode()}"

    def fail(self, errors: list[Any]) -> None:
        (self.end,) = [error["extensions"] for error in errors]
        self.outbox.say(f"{self.name}:error")

    def complete(self) -> None:
        self.outbox.say(f"{self.name}:complete")


def fact(number: int, *, size_bytes: int = 0) -> Item:
    return Item(str(number).zfill(size_bytes).encode(), event_id=f"{number}-0")


def value(name: str, number: int) -> Item:
    return Item(str(number).encode(), key=name)


@pytest.fixture
def reader(anyio_backend: str) -> Reader:
    return Reader()


@pytest.fixture
async def outbox(reader: Reader) -> Outbox:
    return Outbox(reader.send, bounds=SMALL)


async def read_all(reader: Reader, outbox: Outbox) -> list[Any]:
    reader.reads.set()
    await outbox.flushed()
    return reader.got


async def test_whoever_keeps_up_costs_no_task(reader: Reader, outbox: Outbox) -> None:
    reader.reads.set()
    before = asyncio.all_tasks()
    one = Subject("a", outbox)
    for number in range(1_000):
        assert outbox.push(one, fact(number))

    assert asyncio.all_tasks() == before
    assert reader.got == [f"a:{number}" for number in range(1_000)]
    assert one.delivered == "999-0"


async def test_all_is_written_in_order_once_the_reader_reads(reader: Reader, outbox: Outbox) -> None:
    one, other = Subject("a", outbox), Subject("b", outbox)
    for number in range(4):
        outbox.push(one, fact(number))
        outbox.push(other, fact(number))
        outbox.say("pong")
    assert (reader.got, one.delivered, other.delivered) == ([], "0-0", None)  # the first is on its way

    assert await read_all(reader, outbox) == [told for n in range(4) for told in (f"a:{n}", f"b:{n}", "pong")]
    assert (one.delivered, other.delivered) == ("3-0", "3-0")
    assert outbox.is_idle


async def test_of_a_value_only_the_latest_waits_and_in_the_place_of_the_first(reader: Reader, outbox: Outbox) -> None:
    one, other = Subject("a", outbox), Subject("b", outbox)
    outbox.say("first")
    for number in range(100):
        outbox.push(one, value("power", number))
        outbox.push(one, value("soc", number))
        outbox.push(other, value("power", number))
        if number == 50:
            outbox.push(one, fact(7))

    assert await read_all(reader, outbox) == ["first", "a:99", "a:99", "b:99", "a:7"]


async def test_facts_that_do_not_fit_end_their_operation_and_say_what_is_missing(
    reader: Reader, outbox: Outbox
) -> None:
    one, other = Subject("a", outbox), Subject("b", outbox)
    reader.reads.set()
    outbox.push(one, fact(0))
    reader.reads.clear()
    outbox.push(other, value("power", 1))  # which is being written from here on
    outbox.push(other, fact(1))
    for number in range(1, 8):
        assert outbox.push(one, fact(number))
    assert not outbox.push(one, fact(8))

    assert one.end == {"code": "RESYNC", "gap": {"dropped": 8, "after": "0-0"}}
    assert outbox.push(other, fact(2))
    assert await read_all(reader, outbox) == ["a:0", "b:1", "b:1", "a:error", "b:2"]


async def test_readings_of_too_many_points_end_their_operation_too(reader: Reader, outbox: Outbox) -> None:
    one = Subject("a", outbox)
    outbox.say("first")
    pushed = 0
    while outbox.push(one, value(f"point {pushed}", 1_000_000)):
        pushed += 1

    assert SMALL.facts < pushed == SMALL.size_bytes // 7
    assert one.end["gap"] == {"dropped": pushed + 1, "after": None}


async def test_what_is_lost_is_counted(reader: Reader, outbox: Outbox) -> None:
    def counted(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"voltgraph_graphql_{name}_total", labels) or 0.0

    before = counted("gaps"), counted("drops", reason="overflow"), counted("drops", reason="conflated")
    one = Subject("a", outbox)
    outbox.say("first")
    outbox.push(one, value("power", 1))
    outbox.push(one, value("power", 2))
    while outbox.push(one, fact(1)):
        pass
    after = counted("gaps"), counted("drops", reason="overflow"), counted("drops", reason="conflated")

    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 10, 1]


async def test_a_long_list_waits_for_its_reader_and_leaves_room_for_news(reader: Reader, outbox: Outbox) -> None:
    listing, news = Subject("list", outbox), Subject("news", outbox)

    async def told() -> None:
        for number in range(1_000):
            await outbox.put(listing, fact(number))

    telling = asyncio.create_task(told())
    await asyncio.sleep(0.01)
    assert outbox.push(news, fact(0))
    assert not telling.done()
    reader.reads.set()
    await telling
    await outbox.flushed()

    assert [one for one in reader.got if one.startswith("list")] == [f"list:{number}" for number in range(1_000)]
    assert "news:0" in reader.got[:6]
    assert (listing.end, news.end) == (None, None)


async def test_who_waits_for_room_is_served_in_order(reader: Reader, outbox: Outbox) -> None:
    writers = [asyncio.create_task(outbox.put(Subject(str(n), outbox), fact(n))) for n in range(50)]
    await asyncio.sleep(0.01)
    reader.reads.set()
    await asyncio.gather(*writers)
    await outbox.flushed()

    assert reader.got == [f"{number}:{number}" for number in range(50)]


async def test_one_answer_may_be_larger_than_all_that_may_wait(reader: Reader, outbox: Outbox) -> None:
    outbox.say("first")
    await outbox.put(Subject("a", outbox), fact(1, size_bytes=5_000))

    assert len((await read_all(reader, outbox))[1]) == 5_002


async def test_what_waits_of_an_operation_that_has_ended_is_not_sent(reader: Reader, outbox: Outbox) -> None:
    one, other = Subject("a", outbox), Subject("b", outbox)
    outbox.say("first")
    for number in range(3):
        outbox.push(one, fact(number))
        outbox.push(one, value("power", number))
        outbox.push(other, fact(number))

    assert outbox.forget(one) == 4
    assert await read_all(reader, outbox) == ["first", "b:0", "b:1", "b:2"]


@pytest.mark.parametrize("how", ["gone", "broken"])
async def test_a_reader_who_is_gone_stops_all_who_wait_for_room(reader: Reader, outbox: Outbox, how: str) -> None:
    one = Subject("a", outbox)
    outbox.say("first")

    async def told() -> None:
        while True:
            await outbox.put(one, fact(1))

    telling = [asyncio.create_task(told()) for _ in range(3)]
    await asyncio.sleep(0.01)
    setattr(reader, how, True)
    reader.reads.set()

    assert [type(error) for error in await asyncio.gather(*telling, return_exceptions=True)] == [Gone] * 3
    assert outbox.push(one, fact(2))  # nobody is to care
    outbox.say("pong")
    assert reader.got == []


async def test_closing_sends_nothing_more_and_leaves_no_task(reader: Reader, outbox: Outbox) -> None:
    before = asyncio.all_tasks()
    one = Subject("a", outbox)
    outbox.push(one, fact(1))
    outbox.push(one, fact(2))
    waiting = asyncio.create_task(outbox.put(one, fact(3, size_bytes=900)))
    await asyncio.sleep(0.01)
    await outbox.close()
    await asyncio.gather(waiting, return_exceptions=True)
    reader.reads.set()
    await asyncio.sleep(0.01)

    assert (reader.got, asyncio.all_tasks()) == ([], before)


async def test_who_reads_none_of_what_they_are_answered_is_asked_for_no_more(reader: Reader, outbox: Outbox) -> None:
    outbox.say("first")
    for _ in range(10):
        outbox.say("an error of 30 characters or so")
    asked = asyncio.create_task(outbox.room())
    await asyncio.sleep(0.01)
    assert not asked.done()

    await read_all(reader, outbox)
    await asked


async def test_the_reader_who_is_asked_for_no_more_is_asked_again_later(reader: Reader, outbox: Outbox) -> None:
    one = Subject("a", outbox)
    await outbox.room()
    for number in range(4):
        outbox.push(one, fact(number))
    waiting = asyncio.create_task(outbox.room())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    reader.reads.set()
    await waiting


@pytest.mark.parametrize(
    ("event_id", "expected"),
    [
        ("1763700000000-0", (1763700000000, 0)),
        ("5", (5, 0)),
        ("7-12", (7, 12)),
        ("", None),
        ("a-1", None),
        ("1-", None),
    ],
)
async def test_an_id_says_where_an_event_stands(event_id: str, expected: Any) -> None:
    assert place(event_id) == expected
    assert Item(b"", event_id=event_id).place == expected


async def test_events_stand_in_the_order_of_numbers_and_not_of_letters() -> None:
    ids = ["999-9", "999-10", "1000-0"]

    assert sorted(sorted(ids), key=lambda one: place(one) or (0, 0)) == ids


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("push"), st.integers(0, 1), st.one_of(st.none(), st.sampled_from("xyz"))),
            st.tuples(st.just("say"), st.none(), st.none()),
            st.tuples(st.just("take"), st.none(), st.none()),
            st.tuples(st.just("drop"), st.integers(0, 1), st.none()),
        ),
        max_size=80,
    )
)
async def test_what_waits_is_counted_right_and_within_bounds(steps: list[tuple[str, Any, Any]]) -> None:
    lines: Any = ["a", "b"]
    waiting, expected = Waiting(Bounds(facts=5, size_bytes=60)), dict[Any, bytes]()
    for number, (step, line, key) in enumerate(steps):
        if step == "push":
            item = Item(b"x" * (number % 9 + 1), key=key)
            at = (lines[line], key) if key else number
            if waiting.offer(lines[line], item):
                expected[at] = item.payload
            else:
                facts = sum(isinstance(one, int) for one in expected)
                size = sum(map(len, expected.values())) - len(expected.get(at, b"")) + item.size_bytes
                assert size > 60 or (key is None and facts == 5)
        elif step == "take" and waiting:
            taken = waiting.take()[1]
            assert (taken.payload if isinstance(taken, Item) else taken) == expected.pop(next(iter(expected)))
        elif step == "say":
            waiting.say(b"pong")
            expected["said", number] = b"pong"
        elif step == "drop":
            waiting.drop(lines[line])
            expected = {at: sent for at, sent in expected.items() if _line_of(at, steps, lines) != lines[line]}
        assert len(waiting) == len(expected)
        assert waiting.size_bytes == sum(map(len, expected.values()))
        assert waiting.facts == sum(isinstance(one, int) for one in expected)


def _line_of(at: Any, steps: list[tuple[str, Any, Any]], lines: Any) -> Any:
    return lines[steps[at][1]] if isinstance(at, int) else at[0]
