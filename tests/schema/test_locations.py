import pytest

from tests.factories import a_location, a_station
from tests.tester import Tester

pytestmark = pytest.mark.anyio

CREATE = """
mutation ($input: CreateLocationInput!) {
  createLocation(input: $input) { id name address city postalCode country timezone latitude longitude createdAt }
}
"""
UPDATE = """
mutation ($id: ID!, $input: UpdateLocationInput!) { updateLocation(id: $id, input: $input) { name city country } }
"""


async def test_a_location_shows_what_was_entered(acme: Tester) -> None:
    entered = {
        "name": " Depot ",
        "address": "Hafenstr. 1",
        "city": "Hamburg",
        "postalCode": "20457",
        "country": "DEU",
        "timezone": "Europe/Berlin",
        "latitude": 53.54,
        "longitude": 9.99,
    }

    created = (await acme.gql(CREATE, {"input": entered}))["createLocation"]
    asked = await acme.gql(
        "query ($id: ID!) { location(id: $id) { id name address city postalCode country timezone latitude longitude "
        "createdAt } }",
        {"id": created["id"]},
    )

    assert asked["location"] == created
    assert created | {"id": 0, "createdAt": 0} == entered | {"name": "Depot", "id": 0, "createdAt": 0}
    assert created["createdAt"].endswith("Z")


async def test_what_is_absent_of_an_update_stays_and_null_clears(acme: Tester) -> None:
    location = await a_location(acme, city="Hamburg", country="DEU")

    updated = await acme.gql(UPDATE, {"id": str(location.id), "input": {"name": "Yard", "city": None}})

    assert updated["updateLocation"] == {"name": "Yard", "city": None, "country": "DEU"}


async def test_a_name_cannot_be_cleared(acme: Tester) -> None:
    location = await a_location(acme)

    assert await acme.gql_errors(UPDATE, {"id": str(location.id), "input": {"name": None}}) == ["INVALID"]
    assert await acme.gql_errors(UPDATE, {"id": str(location.id), "input": {"name": "  "}}) == ["INVALID"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"country": "DE"},
        {"timezone": "Europe/Atlantis"},
        {"timezone": "../etc/passwd"},
        {"latitude": 91.0, "longitude": 0.0},
        {"latitude": 0.0, "longitude": -180.5},
        {"latitude": 53.5},
    ],
)
async def test_a_location_that_cannot_be_is_refused(acme: Tester, wrong: dict[str, object]) -> None:
    assert await acme.gql_errors(CREATE, {"input": {"name": "Depot"} | wrong}) == ["INVALID"]


async def test_stations_outlive_their_location(acme: Tester) -> None:
    location = await a_location(acme, "Depot")
    station = await a_station(acme, location_id=location.id)
    where = "query ($id: ID!) { station(id: $id) { location { name } } }"
    assert await acme.gql(where, {"id": str(station.id)}) == {"station": {"location": {"name": "Depot"}}}

    await acme.gql("mutation ($id: ID!) { deleteLocation(id: $id) { id } }", {"id": str(location.id)})

    assert await acme.gql(where, {"id": str(station.id)}) == {"station": {"location": None}}
    gone = "query ($id: ID!) { location(id: $id) { id } }"
    assert await acme.gql_errors(gone, {"id": str(location.id)}) == ["NOT_FOUND"]
