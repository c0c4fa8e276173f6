"""What a document costs the event loop that asks for too much: the first time, and sent again; beside Strawberry's own
limiters, which take time that doubles with every link of a chain of fragments, so they get a shorter one.

Time is the thread's own on its core, so that whatever else the machine does is left out.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from statistics import median
from time import thread_time
from typing import Any, NamedTuple

from graphql import parse, validate
from strawberry.extensions import MaxAliasesLimiter, MaxTokensLimiter, QueryDepthLimiter

from bench.graphql_schema import build
from bench.rows import Row, table
from gateways.graphql import Call, Engine, Executor, Rights

FIRST = 40
AGAIN = 400
STOCK = 5
CHAIN = 80
CHAIN_FOR_STOCK = 14
BODY_BYTES = 1_000_000

RIGHTS = Rights("bench")


class Abuse(NamedTuple):
    """`make` writes the document, another one for each number; `stock` those that its limiters are to finish."""

    what: str
    make: Callable[[int], str]
    stock: Callable[[int], str] | None
    beside: str = "stock's limiters"


def run() -> list[Row]:
    logging.getLogger("strawberry.execution").disabled = True  # stock writes every refused document to the log
    return asyncio.run(_measured())


async def _measured() -> list[Row]:
    stock = build(
        extensions=(
            lambda: QueryDepthLimiter(max_depth=10),
            lambda: MaxAliasesLimiter(max_alias_count=15),
            lambda: MaxTokensLimiter(max_token_count=1_000),
        )
    )
    return [await _refused(abuse, Engine(build(executor=Executor)), stock) for abuse in ABUSES]


async def _refused(abuse: Abuse, engine: Engine, stock: Any) -> Row:
    async def ours(text: str) -> None:
        answer = await engine.execute(Call(text), None, RIGHTS)
        assert [(error.extensions or {}).get("code") for error in answer.errors or ()] == ["LIMIT"], abuse.what

    async def theirs(text: str) -> None:
        result = await stock.execute(text)
        assert result.errors, abuse.what

    async def bare(text: str) -> None:
        validate(stock._schema, parse(text))  # noqa: SLF001 -- Strawberry has no public name for it

    await ours(abuse.make(0))
    first_ms = await _taken_ms(ours, [abuse.make(1 + number) for number in range(FIRST)])
    again_ms = await _taken_ms(ours, [abuse.make(1)] * AGAIN)
    texts = [(abuse.stock or abuse.make)(number) for number in range(STOCK)]
    stock_ms = await _taken_ms(theirs if abuse.stock else bare, texts)
    shown = f"{median(first_ms):.3f} ms (worst {max(first_ms):.3f}), again {median(again_ms):.3f} ms"
    beside = f"{abuse.beside} {median(stock_ms):.2f} ms"
    return Row(f"GraphQL: refusing {abuse.what}", shown, beside, median(stock_ms) / median(first_ms))


async def _taken_ms(side: Callable[[str], Awaitable[None]], texts: list[str]) -> list[float]:
    taken = []
    for text in texts:
        started = thread_time()
        await side(text)
        taken.append((thread_time() - started) * 1_000)
    return taken


def _deep(number: int) -> str:
    return f"query Q{number} {{ meter(id: 1) {{ {'parent { ' * 30} id {'} ' * 30} }} }}"


def _wide(number: int) -> str:
    return f"query Q{number} {{ meter(id: 1) {{ {' '.join(f'a{alias}: id' for alias in range(300))} }} }}"


def _many_at_the_root(number: int) -> str:
    return f"query Q{number} {{ {' '.join(f'a{alias}: series {{ name }}' for alias in range(45))} }}"


def _long(number: int) -> str:
    return f"query Q{number} {{ meter(id: 1) {{ {'id ' * 4_000} }} }}"


def _chained(links: int) -> Abuse:
    def ours(number: int) -> str:
        return _chain(number, links)

    def stock(number: int) -> str:
        return _chain(number, CHAIN_FOR_STOCK)

    return Abuse(f"a chain of {links} fragments", ours, stock, f"stock's limiters with one of {CHAIN_FOR_STOCK}")


def _chain(number: int, links: int) -> str:
    """Each fragment spreads the next one twice: unfolded, 2 to the power of its length."""
    spreads = " ".join(f"fragment F{n} on Meter {{ ...F{n + 1} parent {{ ...F{n + 1} }} }}" for n in range(links))
    return f"query Q{number} {{ meter(id: 1) {{ ...F0 }} }} {spreads} fragment F{links} on Meter {{ id }}"


def _directives(number: int) -> str:
    return f"query Q{number} {{ meter(id: 1) {{ id {'@include(if: true) ' * 150} }} }}"


def _costly(number: int) -> str:
    lists = "children(first: 1000) { children(first: 1000) { id } }"
    return f"query Q{number} {{ meters(first: 1000) {{ {lists} }} }}"


def _huge(number: int) -> str:
    start = f"query Q{number} {{ meter(id: 1) {{ "
    return start + "id " * ((BODY_BYTES - len(start)) // 3)


ABUSES = (
    Abuse("30 levels", _deep, _deep),
    Abuse("300 aliases", _wide, _wide),
    Abuse("45 root fields", _many_at_the_root, _many_at_the_root),
    Abuse("4,000 fields", _long, _long),
    _chained(CHAIN),
    _chained(CHAIN // 2),
    Abuse("150 directives", _directives, _directives),
    Abuse("10⁹ objects", _costly, None, "no limit in stock, whose parsing and validation alone take"),
    Abuse("1 MB of text", _huge, _huge),
)


if __name__ == "__main__":
    print(table(run()))
