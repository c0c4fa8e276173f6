"""How many statements something costs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from tests.tester import Tester


@contextmanager
def assert_statements(tester: Tester, count: int) -> Iterator[None]:
    """Exactly this many, not counting the scope with which each unit of work begins."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "app.tenant_id" not in statement:
            statements.append(statement)

    engine = tester.workplace.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert len(statements) == count, "\n".join([f"{len(statements)} statements:", *statements])
