"""What the documentation says is so: documents, settings, commands, links, listings, paths and figures' names."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
from graphql import GraphQLSyntaxError, parse, validate
from prometheus_client import REGISTRY

import schema
import voltgraph.app  # noqa: F401 -- all that counts is imported
from domain import errors
from voltgraph.cli import app
from voltgraph.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = sorted(path for path in (ROOT / "docs").rglob("*") if path.suffix in (".py", ".ts"))
COMMANDS: Any = typer.main.get_command(app)

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_POSTED = re.compile(r"""\{"query": "(?:[^"\\]|\\.)*"\}""")
_WATCHED = re.compile(r"voltgraph watch '([^']+)'")
_COMMAND = re.compile(
    r"(?:^|[\s$(])(?:\.venv/bin/)?voltgraph((?: +(?:[a-z]+|--[a-z-]+)(?![\w/:]))(?:[^#\n`]*))", re.MULTILINE
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_PATH = re.compile(r"[a-z_.]+/(?:[\w.-]+/)*(?:[\w-]+\.(?:py|md|graphql))?")
_IMAGINED = "rooms"  # the noun of the recipe

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def fences(page: Path, *languages: str) -> Iterator[str]:
    for _, language, text in _FENCE.findall(page.read_text(encoding="utf-8")):
        if language in languages:
            yield text


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


@cache
def built() -> Any:
    return schema.build()._schema


@each_page
def test_every_graphql_document_is_valid(page: Path) -> None:
    documents = list(fences(page, "graphql"))
    for text in fences(page, "sh"):
        documents += [json.loads(posted)["query"] for posted in _POSTED.findall(text)]
        documents += _WATCHED.findall(text)
    for document in documents:
        try:
            wrong = validate(built(), parse(document))
        except GraphQLSyntaxError as error:
            wrong = [error]
        assert not wrong, f"{document}\n{wrong[0]}"


@each_page
def test_every_setting_that_is_named_exists(page: Path) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {
        parameter.envvar for command in COMMANDS.commands.values() for parameter in command.params
    }
    assert set(re.findall(rf"{PREFIX}[A-Z_]*[A-Z]", page.read_text(encoding="utf-8"))) <= known


def test_the_reference_has_every_setting() -> None:
    told = re.findall(rf"^\| `{PREFIX}(\w+)` \|", (ROOT / "docs/reference/settings.md").read_text(), re.MULTILINE)
    assert sorted(name.lower() for name in told) == sorted(Settings.model_fields)


@each_page
def test_every_command_that_is_named_exists(page: Path) -> None:
    text = "\n".join([*fences(page, "sh", "text"), *_INLINE.findall(prose(page))]).replace("\\\n", " ")
    for line in _COMMAND.findall(text):
        command, said = COMMANDS, line.split()
        while said and getattr(command, "commands", None):
            assert said[0] in command.commands, f"voltgraph{line}"
            command = command.commands[said.pop(0)]
        options = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
        assert {word for word in said if word.startswith("--")} <= options, f"voltgraph{line}"


@each_page
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = "\n".join([*fences(page, "sh"), *_INLINE.findall(prose(page))])
    assert set(re.findall(r"(?:^|\s)make ([a-z-]+)", text, re.MULTILINE)) <= targets


@each_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in _LINK.findall(prose(page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}, link


@each_page
def test_every_path_that_is_named_is_there(page: Path) -> None:
    for path in _INLINE.findall(prose(page)):
        if _PATH.fullmatch(path) and _IMAGINED not in path and not path.startswith("."):
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_every_listing_is_the_file_it_shows(program: Path) -> None:
    listings = [listing for page in PAGES for listing in fences(page, "python", "ts")]
    assert program.read_text(encoding="utf-8") in listings


def test_the_reference_has_every_metric() -> None:
    told = re.findall(
        r"^\| `(\w+)` \| (\w+) \| (.*?) \|", (ROOT / "docs/reference/metrics.md").read_text(), re.MULTILINE
    )
    collectors: Any = REGISTRY._collector_to_names
    counted = {
        (f"{name}_total" if collector._type == "counter" else name, collector._type, tuple(collector._labelnames))
        for collector, (name, *_) in collectors.items()
        if name.startswith("voltgraph_")
    }
    assert {(name, kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in told} == counted
    assert len(told) == len(counted), "a metric is told of twice"


def test_the_reference_has_every_error_code() -> None:
    families = [family for family in vars(errors).values() if isinstance(family, type)]
    codes = {family.code for family in families if issubclass(family, errors.DomainError)}
    told = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs/reference/errors.md").read_text(), re.MULTILINE)
    assert sorted(told) == sorted(codes)
