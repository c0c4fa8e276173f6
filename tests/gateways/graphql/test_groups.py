"""Subscribers who ask for the same share one execution, and each is told all of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.actor import Actor, Role
from domain.errors import Resync
from gateways.graphql import Call, Engine, Rights
from gateways.graphql.engine import Joinable
from gateways.graphql.groups import Groups, Seat
from gateways.graphql.outbox import Item, Outbox
from tests.gateways.graphql.conftest import TENANT, Board, Boards, Caller, Note, a_schema, the_board

pytestmark = pytest.mark.anyio

NOTICES = "subscription ($topic: String, $after: ID) { notices(topic: $topic, after: $after) { text eventId toldTo } }"
ENGINE = Engine(a_schema())


SUBSCRIBERS: list["Subscriber"] = []


@pytest.fixture(autouse=True)
def _nobody_and_nothing() -> None:
    Boards.of.clear()
    SUBSCRIBERS.clear()


@dataclass(eq=False)
class Pen:
    """A line that keeps what it is told."""

    delivered: str | None = None
    told: list[Any] = field(default_factory=list)
    end: Any = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def frame(self, item: Item) -> bytes:
        return item.payload

    async def send(self, frame: bytes) -> None:
        self.told.append(orjson.loads(frame))

    def fail(self, errors: list[Any]) -> None:
        self._over([error["extensions"]["code"] for error in errors])

    def complete(self) -> None:
        self._over("complete")

    def _over(self, how: Any) -> None:
        assert self.end is None, "an end is told once"
        self.end = how
        self.ended.set()

    @property
    def texts(self) -> list[str]:
        return [one["data"]["notices"]["text"] for one in self.told]


@dataclass(eq=False)
class Subscriber:
    pen: Pen
    outbox: Outbox
    seat: Seat
    joining: asyncio.Task[None]

    async def joined(self) -> "Subscriber":
        await self.joining
        return self

    async def leave(self) -> None:
        self.seat.leave()
        self.joining.cancel()
        await asyncio.gather(self.joining, return_exceptions=True)
        await self.outbox.close()


async def subscriber(
    groups: Groups,
    query: str = NOTICES,
    *,
    name: str = "ada",
    role: Role = Role.VIEWER,
    operation: str | None = None,
    after: str | None = None,
    cursor: Any = ...,
    **variables: Any,
) -> Subscriber:
    """`after` is said by the transport, `cursor` in a variable."""
    variables |= {} if cursor is ... else {"after": cursor}
    context = Caller(Actor(TENANT, role, name))
    begun = await ENGINE.begin(Call(query, variables or None, operation), context, Rights(name), joins=True)
    assert isinstance(begun, Joinable), begun
    pen = Pen()
    outbox = Outbox(pen.send)
    seat = groups.seat(begun, context, pen, outbox, after)
    joining = asyncio.create_task(seat.join(groups.join_part(begun, context, after)))
    SUBSCRIBERS.append(Subscriber(pen, outbox, seat, joining))
    return SUBSCRIBERS[-1]


@pytest.fixture
async def groups() -> AsyncIterator[Groups]:
    """What a test leaves behind, it fails for."""
    before = tasks()
    made = Groups(ENGINE)
    yield made
    for member in SUBSCRIBERS:
        await member.leave()
    await settled()
    assert len(made) == 0
    assert tasks() == before
    assert not any(board.ears for board in Boards.of.values())


def tasks() -> set["asyncio.Task[Any]"]:
    """But for those that pytest runs tests and fixtures in."""
    return {task for task in asyncio.all_tasks() if "TestRunner" not in repr(task.get_coro())} - {
        asyncio.current_task()
    }


async def settled() -> None:
    """All that is ready to run has run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_who_asks_for_the_same_shares_one_execution(groups: Groups) -> None:
    members = [await (await subscriber(groups, name=name)).joined() for name in ("ada", "bob", "cy")]
    the_board().post("hello")
    await settled()

    assert len(groups) == 1
    assert the_board().heard == 1
    assert [member.pen.texts for member in members] == [["so far 0", "hello"]] * 3
    assert [member.pen.told[0]["data"]["notices"]["toldTo"] for member in members] == ["ada", "bob", "cy"]
    assert [member.pen.told[1]["data"]["notices"]["toldTo"] for member in members] == ["everybody"] * 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"role": Role.VIEWER}, {"role": Role.ADMIN}),
        ({"topic": "a"}, {"topic": "b"}),
        ({}, {"query": "subscription { notices { text } }"}),
        ({"query": NOTICES}, {"query": NOTICES + " "}),
    ],
    ids=["role", "variables", "selection", "document"],
)
async def test_who_asks_for_something_else_does_not_share_it(groups: Groups, one: Any, other: Any) -> None:
    await (await subscriber(groups, **one)).joined()
    await (await subscriber(groups, **other)).joined()

    assert len(groups) == 2


async def test_operations_of_one_document_do_not_share(groups: Groups) -> None:
    query = "subscription A { notices { text } } subscription B { notices { eventId } }"
    await (await subscriber(groups, query, operation="A")).joined()
    await (await subscriber(groups, query, operation="B")).joined()

    assert len(groups) == 2


async def test_neither_the_cursor_nor_what_is_not_asked_for_parts_subscribers(groups: Groups) -> None:
    event_id = the_board("a").post("old")
    await (await subscriber(groups, topic="a")).joined()
    await (await subscriber(groups, topic="a", cursor=None)).joined()
    resumed = await (await subscriber(groups, topic="a", unknown=3)).joined()
    by_variable = await (await subscriber(groups, topic="a", cursor=event_id)).joined()

    assert len(groups) == 1
    assert resumed.pen.texts == ["so far 1"]
    assert by_variable.pen.texts == []


async def test_a_stranger_shares_with_nobody() -> None:
    assert Caller(None).scope is None


async def test_what_happens_while_somebody_looks_is_told_after_what_they_see(groups: Groups) -> None:
    board = the_board()
    board.joining.clear()
    member = await subscriber(groups)
    await settled()
    board.post("meanwhile")
    await settled()
    assert member.pen.told == []
    board.joining.set()
    await member.joined()
    board.post("later")
    await settled()

    assert member.pen.texts == ["so far 1", "meanwhile", "later"]


async def test_nobody_looks_before_the_group_hears(groups: Groups) -> None:
    board = the_board()
    board.listens.clear()
    member = await subscriber(groups)
    await settled()
    assert (member.pen.told, board.heard) == ([], 0)
    board.listens.set()
    await member.joined()

    assert (member.pen.texts, board.heard) == (["so far 0"], 1)


async def test_who_comes_back_is_told_what_they_missed_once(groups: Groups) -> None:
    board = the_board()
    seen = board.post("seen")
    await (await subscriber(groups)).joined()
    missed = [board.post("missed 1"), board.post("missed 2")]
    board.joining.clear()
    member = await subscriber(groups, after=seen)
    await settled()
    board.post("while coming back")  # which the replay tells too
    board.joining.set()
    await member.joined()
    board.post("afterwards")
    await settled()

    assert member.pen.texts == ["missed 1", "missed 2", "while coming back", "afterwards"]
    assert [one["data"]["notices"]["eventId"] for one in member.pen.told[:2]] == missed
    assert member.pen.delivered == board.facts[-1].event_id


async def test_a_group_that_is_behind_tells_nobody_what_they_were_told_already(groups: Groups) -> None:
    """The replay may know of an event before the group has executed it."""
    board = the_board()
    seen = board.post("seen")
    await (await subscriber(groups)).joined()
    board.post("on its way")  # the group has it in its queue, and had no turn yet
    member = await subscriber(groups, after=seen)
    await member.joined()
    await settled()

    assert member.pen.texts == ["on its way"]


async def test_values_that_are_told_to_who_comes_back_leave_open_after_which_event(groups: Groups) -> None:
    await (await subscriber(groups)).joined()
    the_board().put("power", "3 kW")
    seen = the_board().post("seen elsewhere")  # the group had no turn yet
    member = await subscriber(groups, after=seen)
    await member.joined()
    await settled()

    assert "seen elsewhere" not in member.pen.texts
    assert set(member.pen.texts) == {"3 kW"}


async def test_a_group_that_is_behind_does_not_tell_the_event_that_somebody_went_on_after(groups: Groups) -> None:
    await (await subscriber(groups)).joined()
    seen = the_board().post("seen elsewhere")  # the group had no turn yet
    by_transport = await subscriber(groups, after=seen)
    by_variable = await subscriber(groups, cursor=seen)
    by_literal = await subscriber(groups, f'subscription {{ notices(after: "{seen}") {{ text }} }}')
    await asyncio.gather(*(member.joined() for member in (by_transport, by_variable, by_literal)))
    await settled()
    the_board().post("news")
    await settled()

    assert [member.pen.texts for member in (by_transport, by_variable, by_literal)] == [["news"]] * 3


class Torn(Board):
    """It does not keep all of what came after an event, so that whoever goes on after that has to look."""

    def since(self, event_id: str | None) -> list[Note]:
        if event_id not in [None, *(fact.event_id for fact in self.facts)]:
            return super().since(None)
        kept = [] if event_id is None else super().since(event_id)
        return [*kept, *super().since(None)]


@pytest.mark.parametrize("told", [0, 1])
async def test_a_gap_in_what_is_replayed_brings_back_nothing_that_was_told(groups: Groups, told: int) -> None:
    board = Boards.of[""] = Torn()
    await (await subscriber(groups)).joined()
    ids = [board.post(text) for text in ("seen", "on its way")]  # the group had no turn yet
    member = await subscriber(groups, after=ids[1 - told])
    await member.joined()
    await settled()
    board.post("news")
    await settled()

    assert member.pen.texts == [*["on its way"] * told, "so far 2", "news"]


async def test_whoever_names_an_event_of_the_future_is_told_all_that_comes(groups: Groups) -> None:
    board = Boards.of[""] = Torn()
    member = await subscriber(groups, after="99999999999999-0")
    await member.joined()
    board.post("news")
    await settled()

    assert member.pen.texts == ["so far 0", "news"]


async def test_what_it_costs_is_told_to_each_with_the_first_item(groups: Groups) -> None:
    event_id = the_board().post("seen")
    with_look = await (await subscriber(groups)).joined()
    without = await (await subscriber(groups, after=event_id)).joined()
    the_board().post("news")
    await settled()

    assert [bool(one.get("extensions")) for one in with_look.pen.told] == [True, False]
    assert [bool(one.get("extensions")) for one in without.pen.told] == [True]


async def test_a_group_ends_with_its_last_member(groups: Groups) -> None:
    one, other = [await (await subscriber(groups)).joined() for _ in range(2)]
    await one.leave()
    await settled()
    assert len(groups) == len(the_board().ears) == 1
    await other.leave()
    await settled()
    assert len(groups) == len(the_board().ears) == 0
    again = await (await subscriber(groups)).joined()

    assert again.pen.texts == ["so far 0"]


async def test_leaving_twice_is_leaving(groups: Groups) -> None:
    one, other = [await (await subscriber(groups)).joined() for _ in range(2)]
    one.seat.leave()
    one.seat.leave()
    the_board().post("still here")
    await settled()

    assert (one.pen.texts[1:], other.pen.texts[1:]) == ([], ["still here"])


async def test_who_leaves_while_joining_leaves_nothing(groups: Groups) -> None:
    the_board().joining.clear()
    member = await subscriber(groups)
    await settled()
    await member.leave()
    await settled()

    assert len(groups) == 0


async def test_a_group_whose_founder_leaves_at_once_serves_the_next(groups: Groups) -> None:
    the_board().listens.clear()
    founder = await subscriber(groups)
    await founder.leave()
    the_board().listens.set()
    next_one = await (await subscriber(groups)).joined()
    the_board().post("hello")
    await settled()

    assert next_one.pen.texts == ["so far 0", "hello"]


async def test_a_failure_of_the_group_ends_every_member(groups: Groups) -> None:
    members = [await (await subscriber(groups)).joined() for _ in range(3)]
    the_board().end(Resync("too slow"))
    await settled()

    assert [member.pen.end for member in members] == [["RESYNC"]] * 3
    assert len(groups) == 0


async def test_a_failure_while_somebody_joins_is_told_after_what_they_see(groups: Groups) -> None:
    board = the_board()
    board.joining.clear()
    member = await subscriber(groups)
    await settled()
    board.post("last words")
    board.end(Resync("too slow"))
    await settled()
    board.joining.set()
    await member.joined()

    assert (member.pen.texts, member.pen.end) == (["so far 1", "last words"], ["RESYNC"])


async def test_what_may_not_be_seen_is_refused_to_each(groups: Groups) -> None:
    members = [await subscriber(groups, topic="forbidden") for _ in range(2)]
    await asyncio.gather(*(member.joined() for member in members))

    assert [(member.pen.told, member.pen.end) for member in members] == [([], ["FORBIDDEN"])] * 2
    assert len(groups) == 0


async def test_a_cursor_that_is_wrong_ends_only_who_has_it(groups: Groups) -> None:
    right = await (await subscriber(groups)).joined()
    wrong = await (await subscriber(groups, after="7-7")).joined()
    the_board().post("hello")
    await settled()

    assert (wrong.pen.told, wrong.pen.end) == ([], ["INVALID"])
    assert (right.pen.texts, right.pen.end) == (["so far 0", "hello"], None)


async def test_many_members_are_told_in_turns_and_nobody_twice(groups: Groups, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateways.graphql.groups.AT_ONCE", 2)
    members = [await (await subscriber(groups)).joined() for _ in range(7)]
    for number in range(3):
        the_board().post(f"news {number}")
    late = await subscriber(groups)
    await asyncio.sleep(0)
    members[3].seat.leave()
    told = list(members[3].pen.texts)
    await settled()

    expected = ["so far 0", "news 0", "news 1", "news 2"]
    assert [member.pen.texts for member in members if member is not members[3]] == [expected] * 6
    assert members[3].pen.texts == told == expected[: len(told)]
    assert told != expected
    assert late.pen.texts == ["so far 3", *expected[1 + 3 - len(late.pen.texts[1:]) :]]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.sampled_from([None, 0, 1, 3])),
        st.tuples(st.just("leave"), st.integers(0, 5)),
        st.tuples(st.just("post"), st.integers(1, 3)),
        st.tuples(st.just("fail"), st.none()),
        st.tuples(st.just("hold"), st.booleans()),
        st.tuples(st.just("run"), st.integers(1, 30)),
    ),
    min_size=3,
    max_size=40,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_whatever_happens_each_is_told_all_of_it_in_order_or_of_an_end(steps: list[tuple[str, Any]]) -> None:
    Boards.of.clear()
    before = tasks()
    groups, board = Groups(ENGINE), the_board()
    members: list[tuple[Subscriber, int | None]] = []
    for step, how in steps:
        await _done(step, how, groups, board, members)
    board.joining.set()
    await asyncio.gather(*(member.joining for member, _ in members), return_exceptions=True)
    await settled()

    for member, after in members:
        _is_told(member.pen, board, after)
    for member, _ in members:
        await member.leave()
    await settled()
    assert len(groups) == 0
    assert tasks() == before


async def _done(
    step: str, how: Any, groups: Groups, board: Board, members: list[tuple[Subscriber, int | None]]
) -> None:
    if step == "join":
        after = None if how is None or not board.facts else max(0, len(board.facts) - 1 - how)
        event_id = None if after is None else board.facts[after].event_id
        members.append((await subscriber(groups, after=event_id), after))
    elif step == "leave" and how < len(members):
        member, _ = members.pop(how)
        await member.leave()
    elif step == "post":
        for _ in range(how):
            board.post(f"fact {len(board.facts)}")
    elif step == "fail":
        board.end(Resync("too slow"))
    elif step == "hold":
        (board.joining.clear if how else board.joining.set)()
    elif step == "run":
        for _ in range(how):
            await asyncio.sleep(0)


def _is_told(pen: Pen, board: Board, after: int | None) -> None:
    """From what they saw, or left off at, to the last fact, in order; or the beginning of that, and an end.

    What was seen may be told once more as news, so that nothing falls in between.
    """
    facts, told = [fact.text for fact in board.facts], pen.texts
    if after is not None:
        begin = after + 1
    elif told:
        seen = int(told.pop(0).removeprefix("so far "))
        begin = min(seen, facts.index(told[0])) if told else seen
    else:
        begin = len(facts)
        assert pen.end is not None
    assert told == facts[begin:][: len(told)]
    assert pen.end is not None or len(told) == len(facts) - begin
