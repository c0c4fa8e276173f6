"""The house keeps its rooms."""

import ast
import importlib
import pkgutil
from importlib.metadata import distributions
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import SQLModel

import domain
from domain.events import _REGISTER
from domain.work import Workplace

ROOT = Path(__file__).parents[2]
PACKAGES = ("schema", "resolvers", "domain", "gateways", "voltgraph", "migrations")
BANNED = {"utils", "helpers", "common", "core", "base", "manager", "misc"}
SLICES = sorted(path.name for path in (ROOT / "domain").iterdir() if (path / "__init__.py").exists())


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_has_a_name_that_says_nothing(package: str) -> None:
    assert {path.stem for path in modules(package)} & BANNED == set()


def test_slices_import_each_other_by_their_faces_alone() -> None:
    wrong = []
    for path in modules("domain"):
        own = path.parent.name if path.parent.name in SLICES else None
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or node.module is None:
                continue
            parts = node.module.split(".")
            if parts[0] == "domain" and len(parts) > 2 and parts[1] in SLICES and parts[1] != own:
                wrong.append(f"{path.relative_to(ROOT)} imports {node.module}")
    assert wrong == []


def test_the_domain_reads_no_clock_but_that_of_its_work() -> None:
    """`Workplace` holds the one clock; everything else takes `work.now` or the device's time."""
    wrong = []
    for path in modules("domain"):
        source = path.read_text()
        if path.name != "work.py" and any(call in source for call in ("datetime.now(", "utcnow(", "time.time(")):
            wrong.append(str(path.relative_to(ROOT)))
    assert wrong == []


def test_no_dependency_of_ours_takes_the_name_of_a_package() -> None:
    taken = {
        (file.parts[0], distribution.name)
        for distribution in distributions()
        for file in distribution.files or []
        if file.parts[0] in PACKAGES and distribution.name != "voltgraph"
    }
    assert taken == set()


def test_every_event_is_named_in_the_past_tense_and_frozen() -> None:
    for info in pkgutil.walk_packages(domain.__path__, "domain."):
        importlib.import_module(info.name)
    bases = {"StationEvent", "SessionEvent", "SessionOrphanEvent", "TokenEvent"}
    for name, event in _REGISTER.items():
        assert name in bases or name.endswith(("ed", "Stopped", "Begun", "Sent")), name
        assert event.__dataclass_params__.frozen, name  # type: ignore[attr-defined]


@pytest.mark.anyio
async def test_every_model_has_just_the_columns_of_its_table(workplace: Workplace) -> None:
    query = text(
        "select attname from pg_attribute where attrelid = to_regclass(:name) and attnum > 0 and not attisdropped"
    )
    async with workplace.engine.connect() as connection:
        for name, table in SQLModel.metadata.tables.items():
            columns = set((await connection.scalars(query, {"name": f'"{name}"'})).all())
            assert set(table.columns.keys()) == columns - {"tenant_id"}, name


def test_nothing_names_a_package_registrys_host() -> None:
    hosts = ("py" + "pi.org", "python" + "hosted.org", "registry." + "npmjs")
    for path in ROOT.rglob("*"):
        if path.suffix in {".py", ".lock", ".toml", ".md", ".json", ".txt", ".yml"} and not _ignored(path):
            assert not any(host in path.read_text(errors="ignore") for host in hosts), path


def _ignored(path: Path) -> bool:
    return any(part.startswith(".") or part == "node_modules" for part in path.relative_to(ROOT).parts)
