"""What is remembered, for how long, and how fast a station may be."""

from uuid import uuid4

import pytest

from gateways.ocpp import ProcessMemory, Remembered
from gateways.ocpp.frames import CallFrame
from gateways.ocpp.memory import Recent, digest
from gateways.ocpp.pace import Pace

STATION = (uuid4(), uuid4())
OTHER = (uuid4(), uuid4())


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def remembered(answer: str) -> Remembered:
    return Remembered(b"digest", answer)


@pytest.mark.anyio
async def test_an_answer_is_remembered_for_its_station_alone() -> None:
    memory = ProcessMemory()
    await memory.remember(STATION, "1", remembered("a"))
    assert await memory.recall(STATION, "1", elsewhere=False) == remembered("a")
    assert await memory.recall(STATION, "2", elsewhere=False) is None
    assert await memory.recall(OTHER, "1", elsewhere=False) is None


@pytest.mark.anyio
async def test_old_answers_are_forgotten() -> None:
    clock = Clock()
    memory = ProcessMemory(age_s=60, clock=clock)
    await memory.remember(STATION, "1", remembered("a"))
    clock.now_s += 60
    assert await memory.recall(STATION, "1", elsewhere=False) == remembered("a")
    clock.now_s += 1
    assert await memory.recall(STATION, "1", elsewhere=False) is None


@pytest.mark.anyio
async def test_the_memory_is_bounded_by_answers_and_by_stations() -> None:
    memory = ProcessMemory(stations=2, answers=3)
    for number in range(5):
        await memory.remember(STATION, str(number), remembered("a"))
    kept = [await memory.recall(STATION, str(number), elsewhere=False) is not None for number in range(5)]
    assert kept == [False] * 2 + [True] * 3
    await memory.remember(OTHER, "1", remembered("b"))
    await memory.remember(STATION, "5", remembered("a"))
    await memory.remember((uuid4(), uuid4()), "1", remembered("c"))
    assert await memory.recall(OTHER, "1", elsewhere=False) is None, "the station that was silent longest goes first"
    assert await memory.recall(STATION, "5", elsewhere=False) == remembered("a")


def test_a_message_id_without_end_is_not_remembered() -> None:
    recent = Recent(age_s=60)
    recent.remember("x" * 256, remembered("a"))
    recent.remember("x" * 255, remembered("b"))
    assert recent.recall("x" * 256) is None
    assert recent.recall("x" * 255) == remembered("b")


def test_some_answers_age_faster_than_others() -> None:
    clock = Clock()
    recent = Recent(age_s=60, clock=clock)
    recent.remember("1", remembered("a"))
    clock.now_s += 10
    assert recent.recall("1") == remembered("a")
    assert recent.recall("1", age_s=5) is None


def test_a_digest_is_of_action_and_payload_however_the_keys_are_ordered() -> None:
    frame = CallFrame("1", "MeterValues", {"a": 1, "b": [2, {"c": 3, "d": 4}]})
    assert digest(frame) == digest(CallFrame("2", "MeterValues", {"b": [2, {"d": 4, "c": 3}], "a": 1}))
    assert digest(frame) != digest(CallFrame("1", "MeterValues", {"a": 1, "b": [2, {"c": 3, "d": 5}]}))
    assert digest(frame) != digest(CallFrame("1", "StatusNotification", frame.payload))
    assert len(digest(CallFrame("1", "X", {"a": 10**30}))) == 16


def test_a_burst_is_free_and_what_comes_after_waits_its_turn() -> None:
    clock = Clock()
    pace = Pace(2.0, burst=3, clock=clock)
    assert [pace.take() for _ in range(5)] == [0, 0, 0, 0.5, 1.0]
    clock.now_s += 1.5
    assert pace.take() == 0
    clock.now_s += 3600
    assert [pace.take() for _ in range(4)] == [0, 0, 0, 0.5], "the bucket does not overflow"


def test_no_more_is_owed_than_the_bucket_holds() -> None:
    pace = Pace(2.0, burst=3, clock=Clock())
    assert max(pace.take() for _ in range(1_000)) == 1.5


def test_without_a_rate_nobody_waits() -> None:
    pace = Pace(None, burst=1, clock=Clock())
    assert [pace.take() for _ in range(100)] == [0] * 100
