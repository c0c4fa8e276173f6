"""The schema by tools of others: clients of the last release go on working, and it is written as schemas are."""

import os
import subprocess
from pathlib import Path

import pytest

import schema
from tests.journeys.servers import GUARD_S

HERE = Path(__file__).parent
CHANGELOG = HERE.parents[1] / "CHANGELOG.md"
SDL = Path(schema.__file__).with_name("schema.graphql")
RELEASED = SDL.with_name("released.graphql")  # a copy of the SDL, made when a release is cut

# Without those for alphabets and for parts of Relay that we do not have. Inputs of plain names may go undescribed.
RULES = (
    "defined-types-are-used",
    "deprecations-have-a-reason",
    "descriptions-are-capitalized",
    "enum-values-all-caps",
    "fields-are-camel-cased",
    "fields-have-descriptions",
    "input-object-values-are-camel-cased",
    "relay-connection-arguments-spec",
    "types-are-capitalized",
    "types-have-descriptions",
)

BREAKS = [
    ("  imsi: String\n", "  simCard: String\n", "Station.imsi"),
    ("  registration: Registration!\n", "  registration: Registration\n", "Station.registration"),
    (
        "  stationByIdentity(identity: String!)",
        "  stationByIdentity(identity: ID!)",
        "Query.stationByIdentity.identity",
    ),
    ("  SUSPENDED_EVSE\n", "", "StationStatus.SUSPENDED_EVSE"),
    ("  contractId: String = null\n", "  contractId: String!\n", "CreateTokenInput.contractId"),
]
each_break = pytest.mark.parametrize(("written", "instead", "path"), BREAKS, ids=lambda text: text.strip())


def tool(node_modules: Path, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    name, *arguments = command
    return subprocess.run(
        [node_modules / ".bin" / name, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=GUARD_S,
        check=False,
    )


def diff(node_modules: Path, old: Path, new: Path, changelog: Path = CHANGELOG) -> subprocess.CompletedProcess[str]:
    rule = HERE / "explained.mjs"
    return tool(node_modules, "graphql-inspector", "diff", old, new, "--rule", rule, CHANGELOG=str(changelog))


def changed(folder: Path, written: str, instead: str) -> Path:
    sdl = SDL.read_text(encoding="utf-8")
    assert written in sdl
    new = folder / "changed.graphql"
    new.write_text(sdl.replace(written, instead), encoding="utf-8")
    return new


def test_what_breaks_clients_of_the_last_release_is_in_the_changelog(node_modules: Path) -> None:
    done = diff(node_modules, RELEASED, SDL)
    assert done.returncode == 0, f"name each under [Unreleased], as `Type.field`:\n{done.stdout}{done.stderr}"


@each_break
def test_a_break_that_nothing_explains_fails(
    node_modules: Path, tmp_path: Path, written: str, instead: str, path: str
) -> None:
    done = diff(node_modules, SDL, changed(tmp_path, written, instead))
    assert done.returncode == 1
    assert "breaking change" in done.stdout + done.stderr


@each_break
def test_a_break_passes_once_the_next_release_names_it(
    node_modules: Path, tmp_path: Path, written: str, instead: str, path: str
) -> None:
    new, changelog = changed(tmp_path, written, instead), tmp_path / "CHANGELOG.md"

    changelog.write_text(f"# Changelog\n\n## [Unreleased]\n\n- No `{path}` any more.\n\n## [1.0.0]\n\n- First.\n")
    assert diff(node_modules, SDL, new, changelog).returncode == 0
    changelog.write_text(f"# Changelog\n\n## [Unreleased]\n\n- Better.\n\n## [1.0.0]\n\n- No `{path}` any more.\n")
    assert diff(node_modules, SDL, new, changelog).returncode == 1


def test_the_schema_is_written_as_schemas_are(node_modules: Path) -> None:
    done = lint(node_modules, SDL)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("written", "instead", "rule"),
    [
        ('"""A plug or socket."""\n', "", "types-have-descriptions"),
        ("  imsi: String\n", "  sim_card: String\n", "fields-are-camel-cased"),
        ("  imsi: String\n", "  imsi: String @deprecated\n", "deprecations-have-a-reason"),
        ("\ntype Evse {", "\ntype Orphan {\n  id: ID!\n}\n\ntype Evse {", "defined-types-are-used"),
    ],
)
def test_what_is_not_written_so_is_found(
    node_modules: Path, tmp_path: Path, written: str, instead: str, rule: str
) -> None:
    done = lint(node_modules, changed(tmp_path, written, instead))
    assert done.returncode == 1
    assert rule in done.stdout


def lint(node_modules: Path, sdl: Path) -> subprocess.CompletedProcess[str]:
    return tool(node_modules, "graphql-schema-linter", "--rules", ",".join(RULES), "--format", "compact", sdl)
