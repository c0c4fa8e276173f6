"""Documents of clients: checked in a folder, written to a manifest, trusted by a server."""

from hashlib import sha256
from pathlib import Path
from uuid import UUID

import orjson
import pytest

import schema
from domain.actor import Actor, Role
from gateways.graphql import Executor, Limits, Mode
from voltgraph.documents import check_folder, trusted_documents, write_manifest
from voltgraph.rights import rights
from voltgraph.settings import Settings, SettingsError

TENANT = UUID("018f0000-0000-7000-8000-000000000001")

FLEET = """
# All that there is.
query Fleet($first: Int = 500) { stations(first: $first) { nodes { ...Line } totalCount } }
subscription Sessions { sessionUpdates { session { id } } }
"""
FRAGMENTS = """
fragment Line on Station { ...Name status }
fragment Name on Station { id name }
fragment Later on Station { vendor }
"""
PRINTED = """query Fleet($first: Int = 500) {
  stations(first: $first) {
    nodes {
      ...Line
    }
    totalCount
  }
}

fragment Line on Station {
  ...Name
  status
}

fragment Name on Station {
  id
  name
}"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return a_folder(tmp_path / "queries", **{"a.graphql": FLEET, "parts/b.gql": FRAGMENTS, "read.me": "not a document"})


def a_folder(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def checked(folder: Path, capsys: pytest.CaptureFixture[str], **settings: int) -> tuple[int, list[str]]:
    """The exit status and what is told, without the folder's name."""
    status = check_folder(folder, Settings(**settings))  # type: ignore[arg-type]
    return status, capsys.readouterr().out.replace(f"{folder}/", "").splitlines()


def a_manifest(folder: Path) -> Path:
    manifest = folder.parent / "manifest.json"
    assert write_manifest(folder, Settings(), manifest) == 0
    return manifest


def test_a_good_folder_is_told_what_it_costs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(folder, capsys) == (
        0,
        ["a.graphql:3:1: query Fleet costs 511", "a.graphql:4:1: subscription Sessions costs 1"],
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("query A {\n  nam\n}", "a.graphql:2:3: Cannot query field 'nam' on type 'Query'."),
        ("query A {\n  me {", "a.graphql:2:7: Syntax Error: Expected Name, found <EOF>."),
        ("\n{ me { name } }", "a.graphql:2:1: an operation needs a name"),
        ("query A { stations { nodes { ...Nope } } }", "a.graphql:1:33: Unknown fragment 'Nope'."),
        ("type A { a: Int }", "a.graphql:1:1: The 'A' definition is not executable."),
        (
            "query A { me { name } }\nquery A { me { role } }",
            "a.graphql:1:7: There can be only one operation named 'A'. (and a.graphql:2:7)",
        ),
        (
            "query A { me { name } }\n query D { " + "... { " * 40 + "me { name }" + " }" * 41,
            "a.graphql:2:2: braces are nested more than 35 levels deep",
        ),
        (
            "query A($first: Int = 20) { stations(first: $first) { nodes { id } } }",
            "a.graphql:1:1: the operation costs 21, more than 20: ask for fewer or shorter lists",
        ),
        ("", "a.graphql:1:1: Syntax Error: Unexpected <EOF>."),
    ],
)
def test_each_mistake_is_told_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    folder = a_folder(tmp_path / "queries", **{"a.graphql": text})
    assert checked(folder, capsys, graphql_cost_max=20) == (1, [told])
    assert write_manifest(folder, Settings(graphql_cost_max=20), folder / "manifest.json") == 1
    assert not (folder / "manifest.json").exists()


def test_a_mistake_in_a_fragment_is_told_where_the_fragment_is(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a_folder(folder, **{"parts/b.gql": FRAGMENTS.replace("status", "statu")})
    status, (told,) = checked(folder, capsys)
    assert status == 1
    assert told.startswith("parts/b.gql:2:36: Cannot query field 'statu' on type 'Station'. Did you mean 'status'")


def test_a_folder_without_documents_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(tmp_path, capsys) == (1, [f"{tmp_path}: there is no document in it"])


def test_a_file_that_is_no_text_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.graphql").write_bytes(b"\xff")
    assert checked(tmp_path, capsys) == (1, ["a.graphql:1:1: is not UTF-8"])


def test_the_manifest_has_each_operation_with_the_fragments_that_it_needs(folder: Path) -> None:
    operations = orjson.loads(a_manifest(folder).read_bytes())["operations"]

    assert [(one["name"], one["type"]) for one in operations] == [("Fleet", "query"), ("Sessions", "subscription")]
    assert operations[0]["body"] == PRINTED
    assert operations[0]["id"] == sha256(PRINTED.encode()).hexdigest()


def test_the_manifest_is_the_same_however_the_files_are_cut(folder: Path, tmp_path: Path) -> None:
    """And however they are laid out."""
    before = a_manifest(folder).read_bytes()
    fleet, sessions = FLEET.split("subscription")
    parts = {"z.graphql": f"{FRAGMENTS} {fleet}", "y.graphql": f"subscription {sessions}".replace(" {", "\n{")}
    assert a_manifest(a_folder(tmp_path / "others", **parts)).read_bytes() == before


def test_without_a_file_the_manifest_is_printed(folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    written = a_manifest(folder).read_bytes()
    capfdbinary.readouterr()
    assert write_manifest(folder, Settings(), None) == 0
    assert capfdbinary.readouterr().out == written


def test_a_file_that_cannot_be_written_is_named(folder: Path) -> None:
    with pytest.raises(SettingsError, match=r"^--output: /no/such/folder/m.json: No such file or directory$"):
        write_manifest(folder, Settings(), Path("/no/such/folder/m.json"))


def test_a_server_trusts_what_was_written(folder: Path) -> None:
    settings = Settings(documents=(a_manifest(folder),))
    trusted = trusted_documents(settings, schema.build(executor=Executor), Limits())

    assert trusted is not None
    for text in (PRINTED, "subscription Sessions {\n  sessionUpdates {\n    session {\n      id\n    }\n  }\n}"):
        assert trusted.find(text, None, Mode.ENFORCE) is not None


def test_without_a_manifest_nothing_is_looked_for() -> None:
    assert trusted_documents(Settings(), schema.build(executor=Executor), Limits()) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "No such file or directory"),
        ("{", "is not JSON"),
        ('{"a": "query A { stations { nodes { nam } } }"}', r"A \(a\): Cannot query field 'nam' on type 'Station'"),
    ],
)
def test_a_wrong_manifest_stops_the_start_with_one_line(tmp_path: Path, text: str | None, told: str) -> None:
    file = tmp_path / "web.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError, match=rf"^VOLTGRAPH_DOCUMENTS: {file}: .*{told}") as mistake:
        trusted_documents(Settings(documents=(file,)), schema.build(executor=Executor), Limits())
    assert "\n" not in str(mistake.value)


@pytest.mark.parametrize(
    ("told", "modes"),
    [
        ("", {}),
        ("enforce", dict.fromkeys([None, *Role], Mode.ENFORCE)),
        ("VIEWER:enforce,OPERATOR:log", {Role.VIEWER: Mode.ENFORCE, Role.OPERATOR: Mode.LOG}),
        ("enforce, ADMIN:off", dict.fromkeys([None, *Role], Mode.ENFORCE) | {Role.ADMIN: Mode.OFF}),
    ],
)
def test_each_role_has_its_mode(monkeypatch: pytest.MonkeyPatch, told: str, modes: dict[Role | None, Mode]) -> None:
    monkeypatch.setenv("VOLTGRAPH_DOCUMENTS", "web.json")
    monkeypatch.setenv("VOLTGRAPH_DOCUMENTS_MODE", told)
    of = rights(Settings())

    for role in (None, *Role):
        actor = None if role is None else Actor(tenant_id=TENANT, role=role, name="somebody")
        assert of(actor, "10.0.0.1").documents is modes.get(role, Mode.OFF), role
