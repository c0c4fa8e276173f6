"""What becomes of equipment that nobody wants any more."""

import pytest

from tests.journeys.chargers import Bare
from tests.journeys.clients import Operator

pytestmark = pytest.mark.anyio

BOOT = {"chargePointVendor": "Voltex", "chargePointModel": "One"}
DELETE = "mutation ($id: ID!) { deleteStation(id: $id) { identity } }"


async def test_a_station_that_is_deleted_is_hung_up_on_and_may_come_again_as_a_new_one(
    operator: Operator, base: str, identity: str
) -> None:
    async with Bare.connected(base, identity) as charger:
        await charger.call("BootNotification", BOOT)
        before = await operator.station(identity)

        await operator.ask(DELETE, id=before["id"])

        assert await charger.closed() == 1000
    async with Bare.connected(base, identity) as charger:
        await charger.call("BootNotification", BOOT)
        after = await operator.station(identity, "id online")
    assert after["id"] != before["id"]
    assert after["online"] is True
