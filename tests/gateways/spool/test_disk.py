"""Readings on disk: in order, whole, bounded, and there for the next process."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from uuid_utils.compat import uuid7

from domain.errors import Unavailable
from domain.points import Delivery, Owner, OwnerKind, Quality, Reading, Source
from gateways.spool import DiskSpool
from gateways.spool.frames import frames, pack, unpack

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MIB = 2**20
ROOT = Path(__file__).parents[3]


def delivery(number: int, readings: int = 1) -> Delivery:
    return Delivery(UUID(int=number), None, [Reading(f"a/{one}", NOON, number) for one in range(readings)])


@asynccontextmanager
async def spool(folder: Path, *, limit: int = MIB, segment: int = MIB) -> AsyncIterator[DiskSpool]:
    async with DiskSpool(folder, limit_bytes=limit, segment_bytes=segment) as spool:
        yield spool


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def the_file(folder: Path) -> Path:
    (file,) = folder.glob("*/*.spool")
    return file


def cut_short(folder: Path, *, by: int) -> None:
    file = the_file(folder)
    os.truncate(file, file.stat().st_size - by)


@contextmanager
def broken(folder: Path) -> Iterator[None]:
    """A disk that does not write, to root neither: there is no folder where the file should be."""
    (mine,) = (path for path in folder.iterdir() if path.is_dir())
    mine.rename(folder.with_name("away"))
    yield
    folder.with_name("away").rename(mine)


async def emptied(spool: DiskSpool, at_once: int = 1_000) -> list[Delivery]:
    found: list[Delivery] = []
    while part := await spool.oldest(at_once):
        found.extend(part)
        await spool.settled(len(part))
    return found


async def test_what_was_kept_comes_out_in_order_and_then_nothing_is_left(tmp_path: Path) -> None:
    async with spool(tmp_path) as kept:
        for number in range(5):
            await kept.keep(delivery(number))
        assert kept.behind
        assert await emptied(kept, at_once=2) == [delivery(number) for number in range(5)]
        assert not kept.behind
        assert kept.waiting_bytes == 0
    assert names(tmp_path) == ["lock"]


async def test_what_is_on_its_way_to_the_disk_waits_already(tmp_path: Path) -> None:
    async with spool(tmp_path) as kept:
        keeping = asyncio.create_task(kept.keep(delivery(1)))
        await asyncio.sleep(0)
        while not keeping.done():
            assert kept.behind  # or what comes now would overtake it
            await asyncio.sleep(0)


async def test_all_of_a_reading_is_kept(tmp_path: Path) -> None:
    owner = Owner(OwnerKind.STATION, uuid7())
    full = Delivery(
        uuid7(),
        owner,
        [
            Reading("a", NOON.replace(microsecond=1), 1 / 3, "Läuft", Quality.UNCERTAIN, "kWh", Source.RESENT, 7),
            Reading("b", NOON, None, "電", Quality.BAD),
            Reading("c", NOON, True),
        ],
    )
    async with spool(tmp_path) as kept:
        await kept.keep(full)
        (found,) = await kept.oldest(10)

    assert found == full
    assert found.readings[2].value is True


async def test_what_is_not_settled_comes_again(tmp_path: Path) -> None:
    async with spool(tmp_path) as kept:
        for number in range(3):
            await kept.keep(delivery(number))
        assert len(await kept.oldest(10)) == 3
        await kept.settled(1)
        assert await kept.oldest(10) == [delivery(1), delivery(2)]


async def test_many_at_once_share_the_disk_and_keep_their_order(tmp_path: Path) -> None:
    async with spool(tmp_path, segment=500) as kept:
        await asyncio.gather(*(kept.keep(delivery(number)) for number in range(50)))
        await asyncio.gather(*(kept.keep(delivery(number)) for number in range(50, 60)))
        assert await emptied(kept, at_once=7) == [delivery(number) for number in range(60)]


async def test_settling_and_keeping_at_the_same_time_loses_nothing(tmp_path: Path) -> None:
    found: list[Delivery] = []
    async with spool(tmp_path, segment=300) as kept:

        async def keep_all() -> None:
            for number in range(100):
                await kept.keep(delivery(number))

        keeping = asyncio.create_task(keep_all())
        while not keeping.done() or kept.behind:
            found.extend(await emptied(kept, at_once=3))
            await asyncio.sleep(0)
        await keeping

    assert found == [delivery(number) for number in range(100)]


async def test_no_more_than_the_limit_goes_to_disk_and_what_does_not_fit_is_not_acknowledged(tmp_path: Path) -> None:
    size = len(pack(delivery(1)))
    async with spool(tmp_path, limit=2 * size) as kept:
        await kept.keep(delivery(1))
        await kept.keep(delivery(2))
        with pytest.raises(Unavailable, match="used up"):
            await kept.keep(delivery(3))
        assert await emptied(kept) == [delivery(1), delivery(2)]
        await kept.keep(delivery(4))


async def test_the_next_process_takes_over_what_one_has_left(tmp_path: Path) -> None:
    async with spool(tmp_path) as first:
        await first.keep(delivery(1))
    async with spool(tmp_path) as second:
        assert second.behind
        await second.keep(delivery(2))
        assert await emptied(second) == [delivery(1), delivery(2)]


async def test_nobody_takes_what_a_living_process_keeps(tmp_path: Path) -> None:
    async with spool(tmp_path) as one:
        await one.keep(delivery(1))
        async with spool(tmp_path) as other:
            assert not other.behind
        assert await emptied(one) == [delivery(1)]


async def test_a_process_that_is_killed_leaves_all_that_it_acknowledged(tmp_path: Path) -> None:
    program = f"""
import asyncio, os, signal
from tests.gateways.spool.test_disk import *
async def main():
    kept = await DiskSpool(Path({str(tmp_path)!r}), limit_bytes=MIB).__aenter__()
    for number in range(20):
        await kept.keep(delivery(number))
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=ROOT)
    assert await killed.wait() == -9

    async with spool(tmp_path) as kept:
        assert await emptied(kept) == [delivery(number) for number in range(20)]


async def test_a_frame_that_was_cut_short_takes_no_other_with_it(tmp_path: Path) -> None:
    async with spool(tmp_path) as kept:
        await kept.keep(delivery(1))
        await kept.keep(delivery(2))
    cut_short(tmp_path, by=3)

    async with spool(tmp_path) as kept:
        assert await kept.oldest(10) == [delivery(1)]
        await kept.keep(delivery(3))
        assert await emptied(kept) == [delivery(1), delivery(3)]


async def test_a_disk_that_does_not_write_is_said_and_may_recover(tmp_path: Path) -> None:
    async with spool(tmp_path) as kept:
        with broken(tmp_path), pytest.raises(Unavailable, match="disk"):
            await kept.keep(delivery(1))
        await kept.keep(delivery(2))
        assert await emptied(kept) == [delivery(2)]


async def test_a_file_of_which_nothing_is_whole_holds_up_nobody(tmp_path: Path) -> None:
    async with spool(tmp_path) as kept:
        await kept.keep(delivery(1))
    cut_short(tmp_path, by=1)

    async with spool(tmp_path) as kept:
        assert not kept.behind
        await kept.keep(delivery(2))
        assert await emptied(kept) == [delivery(2)]


@given(st.lists(st.integers(0, 20), max_size=6), st.integers(0, 2_000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_part_of_a_file_is_there_its_whole_frames_are_read(sizes: list[int], cut: int) -> None:
    deliveries = [delivery(number, readings) for number, readings in enumerate(sizes)]
    packed = [pack(one) for one in deliveries]
    content = memoryview(b"".join(packed)[:cut])

    fitting = [n for n in range(len(packed) + 1) if sum(map(len, packed[:n])) <= cut][-1]

    assert [found for found, _ in unpack(content)] == deliveries[:fitting]


DAMAGES = st.tuples(
    st.sampled_from(["over", "between", "out"]), st.integers(0, 1_500), st.binary(min_size=1, max_size=40)
)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6), st.lists(DAMAGES, max_size=4))
def test_no_damage_to_a_file_takes_a_frame_that_it_does_not_touch(
    sizes: list[int], damages: list[tuple[str, int, bytes]]
) -> None:
    packed = [pack(delivery(number, readings)) for number, readings in enumerate(sizes)]
    file = [(frame, place) for frame, one in enumerate(packed) for place in range(len(one))]  # of each byte its origin
    content = [byte for one in packed for byte in one]
    for how, place, strange in damages:
        at = place % (len(content) + 1)
        gone = slice(at, at if how == "between" else at + len(strange))
        content[gone] = b"" if how == "out" else strange
        file[gone] = [] if how == "out" else [(-1, -1)] * len(strange)
    starts = {file.index((frame, 0)): frame for frame in range(len(packed)) if (frame, 0) in file}
    untouched = [
        frame
        for start, frame in sorted(starts.items())
        if file[start : start + len(packed[frame])] == [(frame, place) for place in range(len(packed[frame]))]
    ]

    found = [one.tenant_id.int for one, _ in unpack(memoryview(bytes(content)))]

    assert found == sorted(set(found))
    assert set(found) >= set(untouched)


async def test_what_is_damaged_in_the_middle_is_passed_over_and_told(tmp_path: Path) -> None:
    async with spool(tmp_path) as kept:
        for number in range(4):
            await kept.keep(delivery(number))
        file = the_file(tmp_path)
        content = bytearray(file.read_bytes())
        _, second, third, _ = frames(memoryview(bytes(content)))
        content[second.start + 2] ^= 1  # its length is another one now
        content[third.start + 20] ^= 1
        file.write_bytes(content)
        passed = counted("bytes_damaged")

        assert await kept.oldest(1) == [delivery(0)]
        await kept.settled(1)
        assert await kept.oldest(10) == [delivery(3)]
        assert await kept.oldest(10) == [delivery(3)]
        assert counted("bytes_damaged") == passed
        await kept.settled(1)
        assert counted("bytes_damaged") == passed + third.end - second.start
        assert not kept.behind


async def test_of_a_file_that_is_damaged_the_next_process_takes_what_is_whole(tmp_path: Path) -> None:
    async with spool(tmp_path) as kept:
        for number in range(3):
            await kept.keep(delivery(number))
    file = the_file(tmp_path)
    content = file.read_bytes()
    file.write_bytes(content[:10] + content[11:])

    async with spool(tmp_path) as kept:
        assert await emptied(kept) == [delivery(1), delivery(2)]
        assert not kept.behind


async def test_a_file_that_is_damaged_altogether_is_in_nobodys_way(tmp_path: Path) -> None:
    async with spool(tmp_path, segment=1) as kept:
        await kept.keep(delivery(1))
        file = the_file(tmp_path)
        file.write_bytes(bytes(len(pack(delivery(1)))))
        await kept.keep(delivery(2))

        assert await emptied(kept) == [delivery(2)]
        assert not kept.behind
        assert kept.waiting_bytes == 0


async def test_what_several_processes_put_aside_is_all_there_up_to_the_limit(tmp_path: Path) -> None:
    async with spool(tmp_path) as one, spool(tmp_path) as other:
        await asyncio.gather(*(each.refused(delivery(n), "no") for n in range(50) for each in (one, other)))
    lines = (tmp_path / "refused.jsonl").read_text().splitlines()
    assert len([json.loads(line)["delivery"] for line in lines]) == 100

    lost = counted("readings_lost")
    async with spool(tmp_path, limit=10) as full:
        await full.refused(delivery(1, readings=3), "no")
    assert counted("readings_lost") == lost + 3


def counted(what: str) -> float:
    return REGISTRY.get_sample_value(f"voltgraph_spool_{what}_total") or 0
