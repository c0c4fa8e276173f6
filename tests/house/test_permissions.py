"""Nobody reaches a use-case unasked: the first line of each says what one must be allowed."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

# What others ask on their own caller's behalf, having asked for a permission themselves.
ASKED_BY_OTHERS = {"commands.matching_remote_start", "stations.connector_types", "stations.find", "tokens.find"}


def use_cases() -> Iterator[tuple[str, ast.AsyncFunctionDef]]:
    """Every function of a slice's face whose first argument is `work`."""
    for face in (ROOT / "domain").glob("*/__init__.py"):
        for imported in ast.parse(face.read_text()).body:
            if not isinstance(imported, ast.ImportFrom) or imported.module is None:
                continue
            names = {alias.name for alias in imported.names}
            module = ROOT / f"{imported.module.replace('.', '/')}.py"
            for one in ast.parse(module.read_text()).body:
                if isinstance(one, ast.AsyncFunctionDef) and one.name in names and one.args.args[0].arg == "work":
                    yield f"{face.parent.name}.{one.name}", one


def first_line(use_case: ast.AsyncFunctionDef) -> str:
    body = use_case.body[1:] if ast.get_docstring(use_case) else use_case.body
    return ast.unparse(body[0])


def test_the_first_line_of_every_use_case_asks_for_a_permission() -> None:
    found = dict(use_cases())
    assert len(found) > 50
    unasked = {name for name, one in found.items() if not first_line(one).startswith("work.require(Permission.")}
    assert unasked == ASKED_BY_OTHERS
