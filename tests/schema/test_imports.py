from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from domain import imports
from domain.actor import Role
from tests.live import assert_live
from tests.tester import Tester

pytestmark = pytest.mark.anyio

FIELDS = "id name status uploadPath columns { name meaning } rowsRead recorded failed errors { line message } error"
BEGIN = f"mutation ($input: ImportReadingsInput!) {{ importReadings(input: $input) {{ {FIELDS} }} }}"
STATE = "id status recorded failed"
HISTORY = """
{ history(points: ["site/grid"], from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z") {
  timestamps series { unit values }
} }
"""


async def begin(tester: Tester, **given: Any) -> Any:
    return (await tester.gql(BEGIN, {"input": given}))["importReadings"]


async def upload(tester: Tester, import_id: str, text: str) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield text.encode()

    await imports.receive(tester.workplace, tester.actor, import_id=UUID(import_id), parts=parts())


async def test_a_small_file_is_imported_when_the_mutation_answers(acme: Tester) -> None:
    content = "Zeit;Netz [kW]\n01.01.2026 01:00;1,5\n01.01.2026 01:15;-\n01.01.2026 01:30;much\n"
    layout = {"timezone": "Europe/Berlin", "prefix": "site/", "points": [{"column": "Netz", "address": "grid"}]}
    done = await begin(acme, name="grid.csv", content=content, layout={**layout, "defaultUnit": "kW"})

    assert (done["name"], done["status"], done["uploadPath"]) == ("grid.csv", "COMPLETED", None)
    assert done["columns"] == [{"name": "Zeit", "meaning": "at"}, {"name": "Netz [kW]", "meaning": "site/grid"}]
    assert (done["rowsRead"], done["recorded"], done["failed"]) == (3, 1, 1)
    assert done["errors"] == [{"line": 4, "message": "site/grid: 'much' is no number"}]
    assert (await acme.gql(HISTORY))["history"] == {
        "timestamps": ["2026-01-01T00:00:00Z"],
        "series": [{"unit": "W", "values": [1500.0]}],
    }


async def test_a_large_file_is_waited_for(acme: Tester) -> None:
    begun = await begin(acme)

    assert (begun["status"], begun["uploadPath"]) == ("WAITING", f"/imports/{begun['id']}")
    listed = await acme.gql("{ imports(filter: {status: [WAITING]}) { totalCount nodes { id } } }")
    assert listed["imports"] == {"totalCount": 1, "nodes": [{"id": begun["id"]}]}
    cancelled = await acme.gql(f'mutation {{ cancelImport(importId: "{begun["id"]}") {{ status uploadPath }} }}')
    assert cancelled["cancelImport"] == {"status": "CANCELLED", "uploadPath": None}


async def test_a_file_that_cannot_be_read_is_an_answer_that_says_why(acme: Tester) -> None:
    failed = await begin(acme, content="this\nis none\n")

    assert (failed["status"], failed["recorded"]) == ("FAILED", 0)
    assert failed["error"] == "say in layout.at which column holds the times: there are 'this'"


@pytest.mark.parametrize(
    "layout",
    [
        {"timezone": "Mars/Phobos"},
        {"delimiter": "x"},
        {"wide": True, "value": "v"},
        {"wide": True, "point": "p"},
        {"wide": False, "points": [{"column": "a", "address": "a"}]},
    ],
)
async def test_a_layout_that_cannot_be_is_refused(acme: Tester, layout: dict[str, Any]) -> None:
    assert await acme.gql_errors(BEGIN, {"input": {"layout": layout}}) == ["INVALID"]
    assert (await acme.gql("{ imports { totalCount } }"))["imports"]["totalCount"] == 0


async def test_whoever_may_only_look_begins_no_import(acme: Tester) -> None:
    assert await acme.gql_errors(BEGIN, {"input": {}}, role=Role.VIEWER) == ["FORBIDDEN"]


@pytest.mark.parametrize("named", ["(importId: $id)", ""])
async def test_whoever_watches_an_import_sees_it_as_a_query_does(acme: Tester, named: str) -> None:
    begun = await begin(acme)
    variable = "($id: ID)" if named else ""

    await assert_live(
        acme,
        (f"subscription {variable} {{ importUpdates{named} {{ {STATE} }} }}", "importUpdates"),
        lambda: upload(acme, begun["id"], "at,address,value\n2026-01-01T00:00:00Z,a,1\nnow,a,1\n"),
        (f'{{ import(id: "{begun["id"]}") {{ {STATE} }} }}', "import"),
        variables={"id": begun["id"]} if named else {},
        snapshot=1,
    )
