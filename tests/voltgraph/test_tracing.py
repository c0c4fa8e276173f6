import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest

from voltgraph.settings import SettingsError, load

GUARD_S = 60.0
LOGGING = """
import logging, structlog
from opentelemetry.sdk.trace import TracerProvider
from voltgraph.logging import configure

configure(log_format="json", level="info", traced=True)
with TracerProvider().get_tracer("test").start_as_current_span("query") as span:
    structlog.get_logger().info("ours", span=format(span.get_span_context().span_id, "016x"))
    logging.getLogger("library").info("a library's")
structlog.get_logger().info("later")
"""


def test_lines_of_the_log_name_the_span_that_they_belong_to() -> None:
    done = subprocess.run([sys.executable, "-c", LOGGING], check=True, timeout=GUARD_S, capture_output=True, text=True)

    ours, librarys, later = [json.loads(line) for line in done.stderr.splitlines()]
    assert ours["span_id"] == ours["span"] == librarys["span_id"]
    assert ours["trace_id"] == librarys["trace_id"]
    assert later.keys().isdisjoint({"trace_id", "span_id"})


def test_an_endpoint_without_the_packages_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("voltgraph.settings.distribution", missing)
    monkeypatch.setenv("VOLTGRAPH_OTLP_ENDPOINT", "http://127.0.0.1:4318")

    with pytest.raises(SettingsError, match=r"VOLTGRAPH_OTLP_ENDPOINT: needs the packages of voltgraph\[otel\]"):
        load()
