"""schemathesis on the server as it runs: whatever one asks, the answer is one that the schema allows."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from graphql import build_schema, parse, print_ast
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

import schema as ours
from tests.conformance import generated
from tests.conformance.answers import faults
from tests.conformance.owner import Owner
from tests.conformance.stations import a_station_with_orphans, a_stubborn_station
from tests.journeys.servers import Server, awaited

SDL = build_schema(Path(ours.__file__).with_name("schema.graphql").read_text(encoding="utf-8"))
LAST = (
    "delete",
    "revoke",
    "setStationPolicy",
    "setPointRules",
    "dismissQuarantined",
)  # what they take away is of use to others
FIELDS = sorted(
    (f"{root.name}.{name}" for root in (SDL.query_type, SDL.mutation_type) if root for name in root.fields),
    key=lambda label: label.partition(".")[2].startswith(LAST),
)
ORDERS = 3
WAITING = """mutation ($id: ID!) {
  sendCommand(stationId: $id, command: {getConfiguration: {}}, queueForS: 3600) { id }
}"""
RECORD = """mutation ($readings: [ReadingInput!]!) {
  recordReadings(readings: $readings) { recorded quarantined { index } }
}"""
every_field = pytest.mark.parametrize("label", FIELDS)


def bounded(examples: int) -> settings:
    """The same each time: what is found is found by whoever brings it in."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module")
def known(server: Server, owner: Owner) -> Iterator[dict[str, list[Any]]]:
    """What the demo has, once its stations charge."""
    with a_stubborn_station(server, "CP-STUBBORN"):
        yield _known(server, owner)


def _known(server: Server, owner: Owner) -> dict[str, list[Any]]:
    awaited(lambda: len(owner.ask("{ sessions { nodes { id } } }")["nodes"]) > 1, "sessions of the demo")
    owner.ask('mutation { createLocation(input: {name: "Depot"}) { id } }')
    meter = owner.ask('mutation { createMeter(input: {name: "main", kind: ELECTRICITY}) { id } }')["id"]
    owner.ask('mutation ($id: ID!) { createMeterSeries(meterId: $id, input: {name: "import"}) { id } }', id=meter)
    make = "mutation ($input: CreateVirtualPointInput!) { createVirtualPoint(input: $input) { id } }"
    for number in range(8):
        owner.ask(make, input={"address": f"made/{number}", "expression": "2 * 'meter/main/import'"})
    for number in range(8):
        for address in (f"waiting/{number}", f"unwanted/{number}"):
            first, second = ({"address": address, "at": f"2026-01-01T00:00:0{second}Z"} for second in range(2))
            owner.ask(RECORD, readings=[{**first, "value": 1}, {**second, "text": "not a number"}])
    owner.ask('mutation { createCredential(input: {name: "spare", role: VIEWER}) { secret } }')
    owner.ask('mutation { setTokenGroup(input: {uid: "FLEET"}) { uid } }')
    owner.ask('mutation { importReadings(input: {name: "waits"}) { id } }')
    a_station_with_orphans(server, "CP-ORPHANED")
    away = owner.ask('mutation { registerStation(input: {identity: "CP-AWAY"}) { id } }')["id"]
    for _ in range(ORDERS):
        owner.ask(WAITING, id=away)
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    kept = f'{{stationId: "{away}", tokenUid: "DEMO", expiresAt: "{soon}"}}'
    owner.ask(f"mutation {{ createReservation(input: {kept}, queueForS: 86400) {{ id }} }}")
    found = owner.ask("""
    {
        stations { nodes { id identity } pageInfo { endCursor } }
        sessions { nodes { id } pageInfo { endCursor } }
        tokens { nodes { id uid } }
        reservations { nodes { id } }
        locations { nodes { id } }
        meters { nodes { id } }
        commands { nodes { id } }
        imports { nodes { id } }
        sessionOrphans { nodes { id } }
        orphansSessions: sessions(filter: {stationIdentity: "CP-ORPHANED"}) { nodes { id } }
        endlessSessions: sessions(filter: {stationIdentity: "CP-STUBBORN"}) { nodes { id } }
        credentials(first: 1) { nodes { id name } }
        points { nodes { address unit } pageInfo { endCursor } }
    }""")
    rows = {name: page["nodes"] for name, page in found.items()}
    assert rows["credentials"][0]["name"] == "spare"
    nobody = "018f0000-0000-7000-8000-000000000000"
    ids = {name: among([row["id"] for row in of], nobody) for name, of in rows.items() if name != "points"}
    cursors = [page["pageInfo"]["endCursor"] for page in found.values() if "pageInfo" in page]
    return {
        **ids,
        "identities": among([row["identity"] for row in rows["stations"]], "CP-generated", "a/b"),
        "uids": among([row["uid"] for row in rows["tokens"]], "NOBODY"),
        "addresses": among([row["address"] for row in rows["points"]], "made/up", "/", "a" * 500),
        "measured": [*(row["address"] for row in rows["points"]), "made/up", rows["points"][0]["address"]],
        "counted": [
            *(row["address"] for row in rows["points"] if row["unit"] in {"W", "Wh"}),
            "station/SIM-001/1/SoC@EV",
        ],
        "cursors": among(cursors, "bm9uZQ"),
    }


def among(good: list[Any], *others: Any) -> list[Any]:
    """The others are in the middle: chance has a liking for the ends."""
    return [*good, *others, good[0]]


@pytest.fixture(scope="module")
def operations(owner: Owner, known: dict[str, list[Any]]) -> Any:
    """As schemathesis sees them: by asking the server what there is."""
    schemathesis.graphql.scalar("JSON", generated.JSON)
    schemathesis.graphql.scalar("DateTime", generated.MOMENTS)
    schemathesis.graphql.scalar("Float", generated.FLOATS)
    return schemathesis.graphql.from_url(owner.url, headers=owner.headers, config=generated.configured(known))


@pytest.fixture(autouse=True)
def quiet(server: Server) -> Iterator[None]:
    """No fault of ours in the server's log."""
    before = server.log.stat().st_size
    yield
    written = server.log.read_bytes()[before:].decode()
    wrong = [line for line in written.splitlines() if '"level": "error"' in line or "Traceback" in line]
    assert not wrong, wrong[0]


@every_field
def test_what_the_schema_allows_is_answered_as_it_says(label: str, operations: Any, owner: Owner) -> None:
    answered = []

    @bounded(60)
    @given(operations.find_operation_by_label(label).as_strategy(), st.booleans(), st.booleans())
    def ask(case: Any, is_whole: bool, is_hoisted: bool) -> None:
        document = generated.one_of(SDL, parse(case.body))
        document = generated.whole(SDL, document) if is_whole else document
        document, variables = generated.hoisted(SDL, document) if is_hoisted else (document, {})
        answer = asked(owner, print_ast(document), variables)
        assert faults(SDL, document, answer) == [], answer
        answered.append("errors" not in answer)

    ask()
    assert any(answered), "nothing was ever answered: `generated.PLACES` says which values mean something where"


@every_field
def test_what_the_schema_does_not_allow_is_not_carried_out(label: str, operations: Any, owner: Owner) -> None:
    strategy = operations.find_operation_by_label(label).as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @bounded(15)
    @given(strategy)
    def ask(case: Any) -> None:
        if case.meta.generation.mode.is_negative:  # it is not where there is nothing to be given wrongly
            answer = asked(owner, case.body, {})
            assert answer.get("data") is None, answer
            assert {error["extensions"]["code"] for error in answer["errors"]} <= {"INVALID", "LIMIT"}, answer

    ask()


@every_field
def test_odd_variables_are_told_from_good_ones(label: str, operations: Any, owner: Owner) -> None:
    @bounded(25)
    @given(operations.find_operation_by_label(label).as_strategy(), st.data())
    def ask(case: Any, data: st.DataObject) -> None:
        document, variables = generated.hoisted(SDL, generated.one_of(SDL, parse(case.body)))
        answer = asked(owner, print_ast(document), data.draw(generated.spoiled(variables)))
        assert faults(SDL, document, answer) == [], answer

    ask()


@every_field
def test_without_a_credential_nothing_is_answered(label: str, operations: Any, nobody: Owner) -> None:
    @bounded(5)
    @given(operations.find_operation_by_label(label).as_strategy())
    def ask(case: Any) -> None:
        answer = asked(nobody, print_ast(generated.one_of(SDL, parse(case.body))), {})
        assert not any((answer.get("data") or {}).values())
        assert {error["extensions"]["code"] for error in answer["errors"]} <= {"UNAUTHENTICATED", "INVALID", "LIMIT"}

    ask()


def asked(owner: Owner, query: str, variables: Any) -> Any:
    note(f"{query}\n{variables}")
    response = owner.post(query, variables)
    assert response.status_code < 500
    return response.json()
