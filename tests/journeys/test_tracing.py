"""A server that is told of a collector."""

import socket
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.collector import collecting
from tests.journeys.clients import Tenant
from tests.journeys.servers import GUARD_S, Server, awaited, running

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
AT_THE_END = {"OTEL_BSP_SCHEDULE_DELAY": "600000"}  # of the background's own accord, nothing goes out before


def parent(trace_id: str) -> str:
    return f"00-{trace_id}-{PARENT}-01"


def ask(server: Server, tenant: Tenant, query: str, *, over: socket.socket | None = None, **headers: str) -> bytes:
    line = HTTPConnection("127.0.0.1", server.port, timeout=GUARD_S)
    line.sock = over
    shown = {"Content-Type": "application/json", "Authorization": f"Bearer {tenant.secret}"}
    line.request("POST", "/graphql", orjson.dumps({"query": query}), {**shown, **headers})
    answer = line.getresponse()
    body = answer.read()
    line.close()
    assert answer.status == 200, body
    return body


def test_every_worker_sends_its_spans_before_it_ends(folder: Path, environment: dict[str, str], tenant: Tenant) -> None:
    two = ("serve", "--port", "0", "--workers", "2")
    own = {"OTEL_SERVICE_NAME": "charging", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test"}
    with collecting() as collector:
        told = {**environment, **own, **AT_THE_END, "VOLTGRAPH_OTLP_ENDPOINT": f"{collector.endpoint}/"}
        with running(Server(folder / "traced", *two, **told)) as server:
            awaited(lambda: len(server.workers()) == 2, "two workers")
            for pid in server.workers():
                over = server.line_to(pid)
                ask(server, tenant, "query Mine { __typename }", over=over, traceparent=parent(TRACE))
            assert collector.spans == []
            assert server.stop() == 0

        spans = collector.named("query")
        assert [(span.trace_id, span.parent_id) for span in spans] == [(TRACE, PARENT)] * 2
        assert {span.attributes["graphql.operation.name"] for span in spans} == {"Mine"}
        assert len({span.resource["service.instance.id"] for span in spans}) == 2
        for span in spans:
            assert span.resource["service.name"] == "charging"
            assert span.resource["deployment.environment.name"] == "test"


def test_operations_of_one_socket_are_of_the_traces_that_each_of_them_names(
    folder: Path, environment: dict[str, str], tenant: Tenant
) -> None:
    with collecting() as collector:
        told = {**environment, **AT_THE_END, "VOLTGRAPH_OTLP_ENDPOINT": collector.endpoint}
        with running(Server(folder / "traced socket", **told)) as server:
            url, protocol = server.graphql.replace("http", "ws", 1), Subprotocol("graphql-transport-ws")
            with connect(url, subprotocols=[protocol], additional_headers={"traceparent": parent("a" * 32)}) as line:

                def say(**message: Any) -> Any:
                    line.send(orjson.dumps(message).decode())
                    return orjson.loads(line.recv(GUARD_S))

                payload = {"Authorization": f"Bearer {tenant.secret}"}
                assert say(type="connection_init", payload=payload)["type"] == "connection_ack"
                for number, trace in (("1", "b" * 32), ("2", "c" * 32)):
                    asked = {"query": "{ __typename }", "extensions": {"traceparent": parent(trace)}}
                    assert say(id=number, type="subscribe", payload=asked)["type"] == "next"
                    assert orjson.loads(line.recv(GUARD_S))["type"] == "complete"
            assert server.stop() == 0

        assert {(span.trace_id, span.parent_id) for span in collector.named("query")} == {
            ("b" * 32, PARENT),
            ("c" * 32, PARENT),
        }


def test_a_collector_that_is_away_holds_nobody_up(folder: Path, environment: dict[str, str], tenant: Tenant) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:  # takes connections, and never says a word
        endpoint = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        told = {**environment, **AT_THE_END, "VOLTGRAPH_OTLP_ENDPOINT": endpoint}
        with running(Server(folder / "untold", **told)) as server:
            assert b'"Query"' in ask(server, tenant, "{ __typename }")
            assert server.stop() == 0

    assert "the last spans did not reach the collector" in server.log.read_text()


@pytest.mark.parametrize("endpoint", ["collector:4318", "grpc://collector:4317"])
def test_an_endpoint_that_is_none_stops_the_start(folder: Path, environment: dict[str, str], endpoint: str) -> None:
    done = Server(folder / "misled", **environment).run("serve", VOLTGRAPH_OTLP_ENDPOINT=endpoint)

    assert (done.returncode, done.stderr) == (
        2,
        "voltgraph: VOLTGRAPH_OTLP_ENDPOINT: must begin with http:// or https://\n",
    )
