"""What scanners of GraphQL servers look for (graphql-cop's checks among them), and what breaks parsers."""

import json
from typing import Any

import httpx2
import pytest
from graphql import get_introspection_query

from tests.conformance.owner import Owner
from tests.journeys.servers import Server

INTROSPECTION = ["{ __schema { types { name } } }", '{ __type(name: "Query") { name } }', get_introspection_query()]
MISSPELT = [
    ("{ statoins { totalCount } }", None),
    ("{ stations(frist: 1) { totalCount } }", None),
    ("{ stations(filter: {onlin: true}) { totalCount } }", None),
    ("{ stations(filter: {status: AVAILABEL}) { totalCount } }", None),
    ("{ stations { ... on StationConnectoin { totalCount } } }", None),
    ("query ($f: StationFliter) { stations(filter: $f) { totalCount } }", None),
    ("query ($f: StationFilter) { stations(filter: $f) { totalCount } }", {"f": {"onlin": True}}),
    ("query ($f: StationFilter) { stations(filter: $f) { totalCount } }", {"f": {"status": "AVAILABEL"}}),
]
CIRCLE = "fragment A on Query { ...B } fragment B on Query { me { name } ...A }"
TYPES = "fields { type { " * 8 + "name" + " } }" * 8
TOO_MUCH = {
    "aliases": "{ " + " ".join(f"a{n}: me {{ name }}" for n in range(200)) + " }",
    "typenames": "{ " + " ".join(f"a{n}: __typename" for n in range(200)) + " }",
    "directives": "{ me { name " + "@skip(if: false) " * 200 + "} }",
    "unknown directives": "{ me { name " + "@aa " * 500 + "} }",
    "fields": "{ me { " + "name " * 500 + "} }",
    "depth": "{ stations " + "{ nodes { location " * 40 + "{ id }" + " } }" * 40 + " }",
    "inline fragments": "{ me " + "{ ... on Me " * 100 + "{ name }" + " }" * 100 + " }",
    "operations": " ".join(f"query Q{n} {{ me {{ name }} }}" for n in range(100)),
    "fragments": "{ ...F0 } "
    + " ".join(f"fragment F{n} on Query {{ me {{ name }} ...F{n + 1} ...F{n + 1} }}" for n in range(80)),
    "comments": "#" + "x" * 100_000 + "\n{ me { name } }",
    "variables": "query (" + " ".join(f"$v{n}: Int" for n in range(1_000)) + ") { me { name } }",
    "pages": "{ "
    + " ".join(f"a{n}: stations(first: 500) {{ nodes {{ evses {{ number }} }} }}" for n in range(10))
    + " }",
}
LEAKS = (
    "Traceback",
    'File "',
    ".py",
    "/work",
    "site-packages",
    "trawberry",
    "asyncpg",
    "sqlalchemy",
    "Maybe[",
    "object at 0x",
)
DISPOSITION = 'Content-Disposition: form-data; name="operations"'
REGISTER = 'mutation { registerStation(input: {identity: "FORGED"}) { id } }'


def codes(response: httpx2.Response) -> set[str]:
    """Of errors that say no more than they should."""
    errors = response.json().get("errors", [])
    assert all(error.keys() <= {"message", "locations", "path", "extensions"} for error in errors), errors
    assert not [leak for leak in LEAKS if leak in response.text], response.text
    return {error["extensions"]["code"] for error in errors}


@pytest.fixture
def forged(owner: Owner) -> Any:
    """Nobody has made the station that forgers want."""
    yield
    answer = owner.post('{ stationByIdentity(identity: "FORGED") { id } }')
    assert codes(answer) == {"NOT_FOUND"}


@pytest.mark.parametrize("query", INTROSPECTION, ids=lambda query: query[:20])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_a_credential_the_schema_is_not_told(nobody: Owner, owner: Owner, query: str, method: str) -> None:
    def ask(who: Owner) -> httpx2.Response:
        return who.post(query) if method == "POST" else who.http.get(who.url, params={"query": query})

    answer = ask(nobody)

    assert codes(answer) == ({"UNAUTHENTICATED"} if "__schema" in query else set())
    assert not any((answer.json()["data"] or {}).values())
    assert "errors" not in ask(owner).json()


@pytest.mark.parametrize(("query", "variables"), MISSPELT)
def test_without_a_credential_no_names_are_suggested(
    nobody: Owner, owner: Owner, query: str, variables: dict[str, Any] | None
) -> None:
    refused = nobody.post(query, variables)

    assert codes(refused) <= {"INVALID", "UNAUTHENTICATED"}
    assert "Did you mean" not in refused.text
    assert "Did you mean" in owner.post(query, variables).text


@pytest.mark.parametrize("what", TOO_MUCH)
def test_what_is_too_much_is_refused(nobody: Owner, owner: Owner, what: str) -> None:
    for who in (nobody, owner):
        answer = who.post(TOO_MUCH[what])
        assert codes(answer) == {"LIMIT"}, answer.text
        assert answer.json().get("data") is None


CIRCLES = {
    "fragments": f"{{ ...A }} {CIRCLE}",
    "unused fragments": f"{{ me {{ name }} }} {CIRCLE}",
    "introspection": f"{{ __schema {{ types {{ {TYPES} }} }} }}",
    "nested lists": "{ history(points: " + "[" * 500 + "]" * 500 + ") { timestamps } }",
}


@pytest.mark.parametrize("what", CIRCLES)
def test_what_goes_round_and_round_is_refused(nobody: Owner, owner: Owner, what: str) -> None:
    for who in (nobody, owner):
        answer = who.post(CIRCLES[what])
        assert codes(answer) <= {"INVALID", "LIMIT"}, answer.text
        assert answer.json().get("data") is None


def test_one_request_is_one_operation(owner: Owner, forged: None) -> None:
    for batch in ([{"query": REGISTER}], [{"query": "{ me { name } }"}] * 50, []):
        answer = owner.http.post(owner.url, json=batch)
        assert (answer.status_code, codes(answer)) == (400, {"INVALID"})


def test_a_link_changes_nothing(owner: Owner, forged: None) -> None:
    answer = owner.http.get(owner.url, params={"query": REGISTER})

    assert (answer.status_code, codes(answer)) == (405, {"INVALID"})


@pytest.mark.parametrize("accept", ["*/*", "text/html,*/*;q=0.8"])
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None]
)
def test_what_a_page_of_others_can_send_changes_nothing(
    owner: Owner, forged: None, kind: str | None, accept: str
) -> None:
    request = json.dumps({"query": REGISTER})
    forms = {
        "application/x-www-form-urlencoded": str(httpx2.QueryParams({"query": REGISTER})),
        "multipart/form-data; boundary=x": f"--x\r\n{DISPOSITION}\r\n\r\n{request}\r\n--x--",
    }
    content = forms.get(kind or "", request)
    headers = {"Accept": accept} | ({} if kind is None else {"Content-Type": kind})

    answer = owner.http.post(owner.url, content=content.encode(), headers=headers)

    assert answer.status_code == 415
    assert "errors" in answer.json()


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_page_of_others_reads_nothing(owner: Owner, method: str) -> None:
    headers = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    given: dict[str, Any] = {"json": {"query": "{ me { name } }"}} if method == "POST" else {}

    answer = owner.http.request(method, owner.url, params={"query": "{ me { name } }"}, headers=headers, **given)

    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_the_page_for_browsers_tells_nothing_of_the_data(server: Server, nobody: Owner) -> None:
    page = nobody.http.get(nobody.url, headers={"Accept": "text/html"})

    assert page.headers["content-type"].startswith("text/html")
    assert (server.data_dir / "demo.credential").read_text().strip() not in page.text
    assert "SIM-" not in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize("query", ["{ me { name } }", "{ nothing }", "{", "{ station(id: 1) { id } }"])
def test_answers_tell_nothing_of_how_they_came_about(owner: Owner, query: str) -> None:
    """Neither for Apollo's header that asks for traces, nor without."""
    for headers in ({}, {"apollo-federation-include-trace": "ftv1", "x-debug": "1"}):
        answer = owner.http.post(owner.url, json={"query": query}, headers=headers)
        assert answer.json().keys() <= {"data", "errors", "extensions"}
        assert answer.json().get("extensions", {}).keys() <= {"cost"}
        assert not answer.headers.keys() & {"server", "x-powered-by", "server-timing", "x-process-time"}
        assert not [leak for leak in LEAKS if leak in answer.text]


BODIES = [
    b"",
    b"{",
    b"null",
    b"0",
    b'"{ me { name } }"',
    b"\xff\xfe",
    b'{"query": "\xff"}',
    b'{"query": "\\ud800"}',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"query": 1}',
    b'{"query": ["{ me { name } }"]}',
    b'{"query": null}',
    b'{"query": ""}',
    b'{"query": "\\u0000"}',
    b'{"query": "{ me { name } }", "variables": []}',
    b'{"query": "{ me { name } }", "variables": "{}"}',
    b'{"query": "{ me { name } }", "operationName": 1}',
    b'{"query": "{ me { name } }", "operationName": "' + b"x" * 100_000 + b'"}',
    b'{"query": "{ me { name } }", "extensions": 1}',
    b'{"query": "query ($a: Int) { me { name } }", "variables": {"a": ' + b"9" * 5_000 + b"}}",
    b'{"query": "query ($a: Int) { me { name } }", "variables": {"a": NaN}}',
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: ascii(body[:70]))
def test_a_body_that_is_no_request_is_refused(owner: Owner, body: bytes) -> None:
    answer = owner.http.post(owner.url, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in (200, 400)  # what is well-formed and no operation is answered with 200, in JSON
    assert codes(answer) <= {"INVALID", "LIMIT"}
    assert answer.json().get("data") is None


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_big_is_refused(owner: Owner, chunked: bool) -> None:
    parts = [b'{"query": "', *[b"#" * 100_000] * 15, b'"}']

    answer = owner.http.post(
        owner.url, content=iter(parts) if chunked else b"".join(parts), headers={"Content-Type": "application/json"}
    )

    assert (answer.status_code, codes(answer)) == (413, {"LIMIT"})


CONFIGURE = "mutation ($v: JSON!) { updateStationConfig(stationId: 1, config: $v) { id } }"
DAY = 'from: "2026-01-01T00:00Z", to: "2026-01-02T00:00Z"'
AT = 'at: "2026-01-01T00:00Z"'
HISTORY = f"query ($v: [String!]!) {{ history(points: $v, {DAY}) {{ timestamps }} }}"
LOCATION = "mutation ($v: CreateLocationInput!) { createLocation(input: $v) { id } }"


@pytest.mark.parametrize("query", [CONFIGURE, HISTORY, LOCATION])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("depth", [100, 260, 1_000, 100_000])
def test_variables_however_deep_are_refused(owner: Owner, query: str, opening: str, depth: int) -> None:
    closing = {"[": "]", '{"a":': "}"}[opening]
    deep = f"{opening * depth}1{closing * depth}"

    answer = owner.http.post(
        owner.url,
        content=f'{{"query": {json.dumps(query)}, "variables": {{"v": {deep}}}}}',
        headers={"Content-Type": "application/json"},
    )

    assert answer.status_code in (200, 400)
    assert codes(answer) <= {"INVALID", "LIMIT"}


ODD = [
    "\0",
    "a\0b",
    "\ud800",
    "\udfff\ud800",
    "\u202e",
    "\ufeff",
    "%00",
    "' or 1=1 --",
    "../../etc/passwd",
    "💥" * 100,
    "x" * 100_000,
]
FIELDS = [
    "query ($odd: ID!) { station(id: $odd) { id } }",
    "query ($odd: String!) { stationByIdentity(identity: $odd) { id } }",
    "query ($odd: ID!) { stations(filter: {locationId: $odd}) { totalCount } }",
    "query ($odd: String!) { sessions(filter: {tokenUid: $odd, stationIdentity: $odd}) { totalCount } }",
    "query ($odd: String!) { points(filter: {prefix: $odd, text: $odd}) { totalCount } }",
    "query ($odd: String!) { point(address: $odd) { id } }",
    "query ($odd: String!) { tokens(after: $odd) { totalCount } }",
    f"query ($odd: String!) {{ history(points: [$odd], {DAY}, timezone: $odd) {{ timestamps }} }}",
    "mutation ($odd: String!) { createToken(input: {uid: $odd, group: $odd}) { id } }",
    'mutation ($odd: String!) { createLocation(input: {name: "odd", address: $odd, timezone: $odd}) { id } }',
    "mutation ($odd: String!) { createCredential(input: {name: $odd, role: VIEWER}) { credential { id } } }",
    "mutation ($odd: String!) { registerStation(input: {identity: $odd, name: $odd, password: $odd}) { id } }",
    f"mutation ($odd: String!) {{ recordReadings(readings: [{{address: $odd, {AT}, text: $odd}}]) {{ recorded }} }}",
    'mutation ($odd: String!) { recordReadings(readings: [{address: "odd", at: $odd, text: $odd}]) { recorded } }',
]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: ascii(odd[:20]))
def test_odd_text_breaks_nothing(owner: Owner, odd: str) -> None:
    for query in FIELDS:
        answer = owner.post(query, {"odd": odd})
        assert answer.status_code in (200, 400)
        if "errors" in answer.json():
            assert codes(answer) <= {"INVALID", "NOT_FOUND", "CONFLICT"}, (query, answer.text)


NUMBERS = ["2147483648", "-2147483649", "9" * 400, "-0", "1e999", "-1e999", "1e-999", "0.1e1"]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:20])
@pytest.mark.parametrize(
    "query",
    [
        "{ stations(first: %s) { totalCount } }",
        "{ station(id: %s) { id } }",
        'mutation { createToken(input: {uid: "ODD", maxSessions: %s}) { id } }',
        'mutation { createLocation(input: {name: "odd", latitude: %s, longitude: %s}) { latitude longitude } }',
        f'mutation {{ recordReadings(readings: [{{address: "odd/number", {AT}, value: %s}}]) {{ recorded }} }}',
        "mutation { updateStationConfig(stationId: 1, config: {a: %s}) { id } }",
    ],
)
def test_numbers_out_of_range_break_nothing(owner: Owner, query: str, number: str) -> None:
    answer = owner.post(query.replace("%s", number))

    assert answer.status_code == 200
    if "errors" in answer.json():
        assert codes(answer) <= {"INVALID", "LIMIT", "CONFLICT"}


@pytest.mark.parametrize("shown", [b"Bearer \xff\xfe", b"Bearer " + b"x" * 20_000, b"Bearer", b"Basic Og==", b"x"])
def test_a_strange_credential_is_none(nobody: Owner, shown: bytes) -> None:
    answer = nobody.http.post(nobody.url, json={"query": "{ me { name } }"}, headers={b"Authorization": shown})

    assert answer.status_code in (200, 401)
    assert codes(answer) == {"UNAUTHENTICATED"}


@pytest.mark.parametrize(
    "query", ["query=%ff", "query=%", "query=%7B", "query={me{name}}&query={me{name}}", "variables=[", "query=%00"]
)
def test_a_strange_address_is_refused(owner: Owner, query: str) -> None:
    answer = owner.http.get(f"{owner.url}?{query}")

    assert answer.status_code in (200, 400)
    assert codes(answer) == {"INVALID"}
    assert answer.json().get("data") is None


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_there_are_no_other_methods(owner: Owner, method: str) -> None:
    assert owner.http.request(method, owner.url, json={"query": "{ me { name } }"}).status_code == 405


def test_names_that_callers_make_up_do_not_fill_the_metrics(server: Server, owner: Owner) -> None:
    def series_after(names: range) -> int:
        for number in names:
            assert "errors" not in owner.post(f"query MadeUp{number} {{ me {{ name }} }}").json()
        return owner.http.get(f"{server.url}/metrics").text.count("\nvoltgraph_graphql_")

    before = series_after(range(300))
    assert before > 0
    assert series_after(range(300, 400)) == before
