import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from domain.errors import Conflict, TimedOut, Unavailable
from gateways.redis import Patience, Router
from tests.gateways.redis.conftest import QUICK, Valkey, kill_listeners, until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def asker(valkey: Valkey, anyio_backend: str) -> AsyncIterator[Router]:
    async with Router(valkey.url, patience=QUICK) as router:
        yield router


@pytest.fixture
async def holder(valkey: Valkey, anyio_backend: str) -> AsyncIterator[Router]:
    async with Router(valkey.url, patience=QUICK, at_once=100) as router:
        yield router


async def echo(request: bytes) -> bytes:
    return b"echo " + request


async def test_a_question_reaches_the_process_it_names_and_is_answered(asker: Router, holder: Router) -> None:
    await holder.serve("p1", echo)

    assert await asker.ask("p1", b"\x00a\nb", 10) == b"echo \x00a\nb"


async def test_a_process_may_ask_itself(holder: Router) -> None:
    await holder.serve("p1", echo)

    assert await holder.ask("p1", b"me", 10) == b"echo me"


async def test_a_process_that_is_not_there_is_unavailable_at_once(asker: Router, holder: Router) -> None:
    await holder.serve("p1", echo)

    with pytest.raises(Unavailable) as refusal:
        await asker.ask("p2", b"x", 600)
    assert not isinstance(refusal.value, TimedOut)
    with pytest.raises(Unavailable):
        await asker.tell("p2", b"x")


async def test_questions_are_handled_side_by_side_and_answers_find_their_askers(asker: Router, holder: Router) -> None:
    all_there = asyncio.Barrier(50)

    async def handler(request: bytes) -> bytes:
        await all_there.wait()
        return request

    await holder.serve("p1", handler)

    answers = await asyncio.gather(*(asker.ask("p1", str(number).encode(), 10) for number in range(50)))
    assert answers == [str(number).encode() for number in range(50)]


async def test_a_process_with_its_hands_full_refuses_at_once(asker: Router, holder: Router) -> None:
    free = asyncio.Event()

    async def handler(request: bytes) -> bytes:
        await free.wait()
        return request

    await holder.serve("p1", handler)
    waiting = [asyncio.create_task(asker.ask("p1", b"wait", 60)) for _ in range(100)]
    await until(lambda: len(holder._handling) == 100)

    with pytest.raises(Unavailable, match="busy"):
        await asker.ask("p1", b"one too many", 60)
    free.set()
    assert await asyncio.gather(*waiting) == [b"wait"] * 100


async def test_without_an_answer_the_deadline_holds_and_the_late_answer_is_dropped(
    asker: Router, holder: Router
) -> None:
    asked_too_long = asyncio.Event()

    async def handler(request: bytes) -> bytes:
        await asked_too_long.wait()
        return request

    await holder.serve("p1", handler)
    with pytest.raises(TimedOut):
        await asker.ask("p1", b"slow", 0.1)
    with capture_logs() as lines:
        asked_too_long.set()
        await until(lambda: any(line["event"] == "late answer dropped" for line in lines))

    assert await asker.ask("p1", b"quick", 10) == b"quick"
    assert not asker._asked


async def test_a_refusal_is_raised_in_the_asker_and_a_failure_is_unavailable(asker: Router, holder: Router) -> None:
    async def handler(request: bytes) -> bytes:
        if request == b"refuse":
            raise Conflict("the connector is occupied")
        if request == b"slow":
            raise TimedOut("the station did not answer")
        raise ZeroDivisionError

    await holder.serve("p1", handler)

    with pytest.raises(Conflict, match="the connector is occupied"):
        await asker.ask("p1", b"refuse", 10)
    with pytest.raises(TimedOut, match="the station did not answer"):
        await asker.ask("p1", b"slow", 10)
    with capture_logs() as lines, pytest.raises(Unavailable, match="failed"):
        await asker.ask("p1", b"break", 10)
    assert [line["event"] for line in lines] == ["request not handled"]


async def test_a_note_is_heard_and_not_waited_for(asker: Router, holder: Router) -> None:
    heard = asyncio.Queue[bytes]()

    async def handler(note: bytes) -> bytes:
        await heard.put(note)
        await asyncio.Event().wait()
        return b""

    await holder.serve("p1", handler)
    await asker.tell("p1", b"evict\n7")

    async with asyncio.timeout(10):
        assert await heard.get() == b"evict\n7"


async def test_both_ends_survive_the_loss_of_their_lines(asker: Router, holder: Router, redis: Redis) -> None:
    await holder.serve("p1", echo)
    assert await kill_listeners(redis) == 2

    async def answered() -> bool:
        try:
            return await asker.ask("p1", b"again", 10) == b"echo again"
        except Unavailable:
            return False  # the holder's line is not back yet

    await until(answered)


async def test_a_restarted_server_is_no_end(asker: Router, holder: Router, valkey: Valkey) -> None:
    await holder.serve("p1", echo)
    valkey.kill()
    with pytest.raises(Unavailable):
        await asker.ask("p1", b"x", 10)
    valkey.start()

    async def answered() -> bool:
        try:
            return await asker.ask("p1", b"again", 10) == b"echo again"
        except Unavailable:
            return False

    await until(answered)


async def test_an_answer_waits_for_an_asker_whose_line_was_lost_meanwhile(
    asker: Router, holder: Router, redis: Redis
) -> None:
    handled, ready = list[bytes](), asyncio.Event()

    async def handler(request: bytes) -> bytes:
        handled.append(request)
        await ready.wait()
        return request

    await holder.serve("p1", handler)
    asking = asyncio.create_task(asker.ask("p1", b"once", 30))
    await until(lambda: bool(handled))
    await kill_listeners(redis)
    ready.set()

    assert await asking == b"once"
    assert handled == [b"once"]


async def test_a_frame_that_is_not_ours_is_passed_over(asker: Router, holder: Router, redis: Redis) -> None:
    await holder.serve("p1", echo)
    for rubbish in (b"{", b"7\nx", b"[1]\nx", b"[1,2,3,4,5]", b'["id", "reply", "soon"]\n', b"", b"\xff"):
        await redis.publish("voltgraph:process:p1", rubbish)
        await redis.publish(asker._reply_channel, rubbish)

    assert await asker.ask("p1", b"still here", 10) == b"echo still here"


async def test_questions_still_open_when_a_process_stops_fail(holder: Router, valkey: Valkey) -> None:
    async def handler(request: bytes) -> bytes:
        await asyncio.Event().wait()
        return request

    await holder.serve("p1", handler)
    asker = Router(valkey.url)
    await asker.start()
    asking = asyncio.create_task(asker.ask("p1", b"x", 600))
    await until(lambda: bool(holder._handling))

    await asker.stop()
    with pytest.raises(Unavailable):
        await asking


async def test_without_redis_a_router_does_not_start(valkey: Valkey) -> None:
    valkey.kill()
    with pytest.raises(Unavailable):
        await Router(valkey.url, patience=Patience(answer_s=0.3)).start()
