"""Processes that belong to another."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

_PR_SET_PDEATHSIG = 1


def child(*arguments: str, environment: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
    """A `voltgraph` command in a process of its own, which ends with ours; the terminal's Ctrl-C is for us alone."""
    return subprocess.Popen(
        [sys.executable, "-m", "voltgraph.child", str(os.getpid()), *arguments], env=environment, start_new_session=True
    )


def end(children: "Sequence[subprocess.Popen[bytes]]", *, within_s: float) -> None:
    """Ask all of them to end, wait, and end those that do not."""
    for process in children:
        if process.poll() is None:
            process.terminate()
    until = time.monotonic() + within_s
    for process in children:
        try:
            process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def die_with_parent(parent: int) -> None:
    """End when the process that started us does, however that ends (Linux, prctl(2)), and if it has already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the process that wanted this one is gone")


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """SIGTERM unwinds the stack as Ctrl-C does, so that what was started is also stopped."""

    def leave(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


async def stopped_by_signals(run: Callable[[asyncio.Event], Awaitable[T]]) -> T:
    """What `run` answers, once it has seen its event set: by Ctrl-C or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return await run(stop)
