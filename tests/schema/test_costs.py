from typing import Any

import pytest
from graphql import get_introspection_query

import schema
from gateways.graphql.documents import Documents
from gateways.graphql.limits import Limits, Refused

STORE = Documents(schema.build()._schema, Limits())
HISTORY = """
query History($points: [String!]!, $from: DateTime!, $to: DateTime!, $resolution: String) {
  history(points: $points, from: $from, to: $to, resolution: $resolution) { timestamps series { address unit values } }
}
"""
FIRST_OF_JUNE, SECOND_OF_JUNE, NEXT_YEAR = "2026-06-01T00:00:00Z", "2026-06-02T00:00:00+02:00", "2027-06-01T00:00:00Z"


def cost(text: str, **variables: Any) -> int:
    return STORE.look(text).operation().price(variables)


def of_history(points: int, **given: Any) -> int:
    asked = {"points": ["a"] * points, "from": FIRST_OF_JUNE, "to": SECOND_OF_JUNE} | given
    return cost(HISTORY, **asked)


def test_the_largest_page_with_all_that_hangs_on_it_is_affordable() -> None:
    text = """{ stations(first: 500) {
      nodes { id online lastSeenAt location { name } evses { number connectors { number status } } }
      pageInfo { hasNextPage } totalCount
    } }"""

    assert 500 < cost(text) < Limits().cost


def test_a_page_costs_what_it_shows() -> None:
    page = "query Q($first: Int!) { sessions(first: $first) { nodes { id station { identity } token { uid } } } }"

    assert cost(page, first=100) == 1 + 100 * 3
    assert cost(page, first=200) == 1 + 200 * 3
    assert cost("{ sessions { nodes { id } } }") == 1 + 50


def test_history_costs_by_the_values_that_it_may_have() -> None:
    quarters = of_history(1, resolution="PT15M")

    assert quarters < 10
    assert of_history(100, resolution="PT15M") > 20 * quarters
    assert of_history(1) > 100 * quarters, "raw, a device may measure every second"
    assert of_history(500, resolution="PT15M") < Limits().cost


def test_energy_costs_by_its_points_and_of_each_period_as_history_does() -> None:
    declared, given = "$points: [String!]!, $from: DateTime!, $to: DateTime!", "points: $points, from: $from, to: $to"
    whole = f"query E({declared}) {{ historyEnergy({given}) {{ series {{ energyWh }} }} }}"
    quarters = whole.replace("Energy(", 'EnergyPerPeriod(resolution: "PT15M", ').replace("energyWh", "values")
    asked: dict[str, Any] = {"from": FIRST_OF_JUNE, "to": SECOND_OF_JUNE}

    assert cost(whole, points=["a"] * 500, **asked) > 100 * cost(whole, points=["a"], **asked)
    assert cost(whole, points=["a"] * 500, **asked) < Limits().cost
    assert cost(quarters, points=["a"] * 500, **asked) == of_history(500, resolution="PT15M")
    drops = whole.replace("energyWh", "energyWh drops { at }")
    assert cost(drops, points=["a"], **asked) <= cost(whole, points=["a"], **asked) + 2


def test_as_much_history_as_a_field_may_show_is_affordable_a_few_times() -> None:
    most = of_history(1, to=NEXT_YEAR)

    assert of_history(500, to=NEXT_YEAR) < most + 2 * 500
    assert 3 <= Limits().cost // most < 10


@pytest.mark.parametrize(
    "strange",
    [{"from": "yesterday"}, {"to": 5}, {"resolution": "often"}, {"resolution": 5}, {"to": "2026-06-02T00:00:00"}],
)
def test_what_is_not_understood_costs_as_much_as_may_be(strange: dict[str, Any]) -> None:
    assert of_history(1, **strange) == of_history(1, to=NEXT_YEAR)


def test_many_aliases_of_much_history_are_refused() -> None:
    arguments = f'points: ["a"], from: "{FIRST_OF_JUNE}", to: "{NEXT_YEAR}"'
    aliases = " ".join(f"h{number}: history({arguments}) {{ timestamps }}" for number in range(6))

    with pytest.raises(Refused) as refused:
        cost(f"{{ {aliases} }}")

    assert refused.value.limit == "cost"


def test_readings_cost_by_their_number_and_the_largest_body_is_affordable() -> None:
    text = "mutation Record($readings: [ReadingInput!]!) { recordReadings(readings: $readings) { recorded } }"
    smallest = len('{"address":"a","at":"2026-06-01T00:00:00Z","value":1},')

    assert cost(text, readings=[{}] * 100) == 60
    assert cost(text, readings=[{}] * (1_000_000 // smallest)) < Limits().cost


def test_what_clients_ask_to_know_the_schema_is_affordable() -> None:
    text = get_introspection_query(
        schema_description=True, specified_by_url=True, directive_is_repeatable=True, input_value_deprecation=True
    )

    assert cost(text) < Limits().cost


def test_a_file_costs_by_its_size_and_the_largest_of_a_request_is_affordable() -> None:
    text = "mutation M($input: ImportReadingsInput!) { importReadings(input: $input) { status } }"

    assert cost(text, input={}) < 20
    assert (
        400 < cost(text, input={"content": "x" * 50_000}) < cost(text, input={"content": "x" * 900_000}) < Limits().cost
    )
