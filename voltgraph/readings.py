"""`voltgraph readings`: files of readings into a server and out of it, as a client of it."""

import asyncio
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from voltgraph.client import Client, ClientError, graphql_address, secret_or_demos, subscribed
from voltgraph.settings import Settings

BEGIN = "mutation ($input: ImportReadingsInput!) { importReadings(input: $input) { id uploadPath } }"
STATE = "query ($id: ID!) { import(id: $id) { status rowsRead recorded failed error errors { line message } } }"
UPDATES = "subscription ($id: ID!) { importUpdates(importId: $id) { rowsRead failed } }"
EXPORTS = "/exports/readings"
_COLUMN = re.compile(r"(?P<column>[^=]+)=(?P<address>.+?)(?:\s*\[(?P<unit>[^\]]+)\])?")
STANDARD = Path("-")


def layout_of(said: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """`importReadings`' own; of a wide file each of `columns` is `COLUMN=ADDRESS` or `COLUMN=ADDRESS [UNIT]`."""
    layout = {name: value for name, value in said.items() if value is not None}
    if layout.get("delimiter") in ("tab", r"\t"):
        layout["delimiter"] = "\t"
    points = []
    for column in columns:
        found = _COLUMN.fullmatch(column)
        if found is None:
            raise ClientError(f"--column is COLUMN=ADDRESS or COLUMN=ADDRESS [UNIT], not {column!r}")
        points.append({name: value.strip() for name, value in found.groupdict().items() if value is not None})
    return {**layout, "points": points} if points else layout


def run_import(
    settings: Settings,
    *,
    file: Path,
    said: Mapping[str, Any],
    columns: Sequence[str],
    name: str | None,
    url: str | None,
    secret: str | None,
) -> int:
    """0 where every row is recorded; 1 where one is not, or the file is not."""
    try:
        layout = layout_of(said, columns)
        client = Client(graphql_address(settings, url), secret_or_demos(settings, secret))
        with _opened(file) as (source, size_bytes):
            named = name or (None if file == STANDARD else file.name)
            begun = client.ask(BEGIN, input={"name": named, "layout": layout})["importReadings"]
            done = asyncio.run(_sent(client, begun, source, size_bytes))
    except ClientError as error:
        print(f"voltgraph readings: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("voltgraph readings: broken off; what was recorded stays, and may be sent again", file=sys.stderr)
        return 130
    return _told(done, str(file))


@contextmanager
def _opened(file: Path) -> Iterator[tuple[BinaryIO, int | None]]:
    """And how large it is, where that is known."""
    if file == STANDARD:
        yield sys.stdin.buffer, None
        return
    try:
        source = file.open("rb")
    except OSError as error:
        raise ClientError(f"{file}: {error.strerror}") from None
    with source:
        yield source, file.stat().st_size


async def _sent(client: Client, begun: Mapping[str, Any], source: BinaryIO, size_bytes: int | None) -> dict[str, Any]:
    """In a terminal, with how far it has come."""
    console = Console(stderr=True)
    with _progress(console) as progress:
        task = progress.add_task("", total=size_bytes, rows="")
        watching = asyncio.create_task(_watched(client, begun["id"], progress, task, source, size_bytes))
        try:
            answer = await asyncio.to_thread(client.upload, begun["uploadPath"], source, size_bytes=size_bytes)
        finally:
            watching.cancel()
            await asyncio.wait({watching})
    if answer is not None and "import" in answer:
        return dict(answer["import"])
    state: dict[str, Any] = client.ask(STATE, id=begun["id"])["import"]
    problems = [error["message"] for error in (answer or {}).get("errors", [])]
    return {**state, "error": "; ".join(problems) or state["error"] or "the server hung up"}


def _progress(console: Console) -> Progress:
    columns = (
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[rows]}"),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


async def _watched(
    client: Client, import_id: str, progress: Progress, task: TaskID, source: BinaryIO, size_bytes: int | None
) -> None:
    """Only for eyes: an import goes on without."""
    if progress.disable:
        return
    with suppress(ClientError):
        async with aclosing(subscribed(client.address, client.secret, UPDATES, id=import_id)) as items:
            async for item in items:
                told = item["importUpdates"]
                sent = source.tell() if size_bytes is not None else 0
                progress.update(
                    task, completed=sent, rows=f"{told['rowsRead']:,.0f} rows, {told['failed']:,.0f} refused"
                )


def _told(done: Mapping[str, Any], file: str) -> int:
    for error in done["errors"]:
        print(f"{file}:{error['line']:.0f}: {error['message']}", file=sys.stderr)
    if done["failed"] > len(done["errors"]):
        print(f"{file}: and {done['failed'] - len(done['errors']):,.0f} more", file=sys.stderr)
    print(
        f"{done['rowsRead']:,.0f} rows read, {done['recorded']:,.0f} readings recorded, {done['failed']:,.0f} refused"
    )
    if done["status"] != "COMPLETED":
        print(f"voltgraph readings: {done['status']}: {done['error']}", file=sys.stderr)
    return 0 if done["status"] == "COMPLETED" and not done["failed"] else 1


def run_export(
    settings: Settings,
    *,
    points: Sequence[str],
    asked: Mapping[str, str | None],
    output: Path | None,
    url: str | None,
    secret: str | None,
) -> int:
    """To a file, which is there when it is whole, or to standard output."""
    query = [*(("points", point) for point in points), *((name, value) for name, value in asked.items() if value)]
    try:
        client = Client(graphql_address(settings, url), secret_or_demos(settings, secret))
        if output is None or output == STANDARD:
            _written(client.download(EXPORTS, query, packed=False), sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            _kept(client.download(EXPORTS, query, packed=output.suffix == ".gz"), output)
    except BrokenPipeError:  # `head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ClientError as error:
        print(f"voltgraph readings: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _kept(parts: Iterator[bytes], output: Path) -> None:
    draft = output.with_name(f"{output.name}.part")
    try:
        with draft.open("wb") as file:
            _written(parts, file)
        draft.replace(output)
    except OSError as error:
        raise ClientError(f"{output}: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)


def _written(parts: Iterator[bytes], file: BinaryIO) -> None:
    file.writelines(parts)
