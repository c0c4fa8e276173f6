"""What an engineer on call looks at, and what must survive the loss of a line."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.journeys.chargers import Bare, Charger16
from tests.journeys.clients import Operator, Tenant
from tests.journeys.ledger import Ledger, assert_kept, charge_for_ever
from tests.journeys.servers import Server, running
from voltgraph.embedded import Urls

pytestmark = pytest.mark.anyio

STATUS = """
subscription ($ids: [ID!]) { stationStatusUpdates(stationIds: $ids) { station { online } evseNumber status } }
"""


@pytest.fixture(scope="module")
def guarded(folder: Path, environment: dict[str, str]) -> Iterator[Server]:
    with running(Server(folder / "guarded", **environment, VOLTGRAPH_METRICS_TOKEN="look here")) as server:
        yield server


@pytest.fixture
async def redis(ground: Urls, anyio_backend: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(ground.redis) as redis:
        yield redis


def samples(text: str) -> dict[str, float]:
    """Name and labels to value."""
    return {
        sample.name + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_health_answers_without_a_credential(server: Server) -> None:
    async with Operator(server.url, None) as nobody:
        answer = await nobody.get("/health")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["cache-control"] == "no-store"


async def test_detailed_health_shows_each_part(server: Server, base: str, identity: str) -> None:
    async with Bare.connected(base, identity), Operator(server.url, None) as nobody:
        health = (await nobody.get("/health/detailed")).json()

    assert health["status"] == "ok"
    assert health["process"]
    parts = health["parts"]
    assert {part["status"] for part in parts.values()} == {"ok"}
    assert parts["database"]["version"]
    assert parts["redis"]["pong"] is True
    assert parts["relay"]["held"] == 0
    assert parts["relay"]["lag_s"] >= 0
    assert parts["sockets"]["stations_here"] >= 1
    assert parts["history"]["buffered"] >= 0
    assert parts["history"]["rollup_lag_s"] >= 0
    assert parts["history"]["rollup_marks"] >= 0
    assert parts["history"]["hypertable"] is False


async def test_metrics_count_what_happens(server: Server, base: str, operator: Operator, identity: str) -> None:
    before = samples((await operator.get("/metrics")).text)
    async with Bare.connected(base, identity) as charger, operator.watching(STATUS) as statuses:
        await statuses.next()
        await charger.call("Heartbeat", {})
        await charger.say([2, "1", "NoSuchAction", {}])
        assert (await charger.heard())[2] == "NotImplemented"
        await charger.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"})
        await statuses.until(lambda told: told["status"] == "CHARGING")
        during = samples((await operator.get("/metrics")).text)

    def counted(name: str) -> float:
        return during[name] - before.get(name, 0)

    assert counted("voltgraph_ocpp_messages_total action=Heartbeat result=ok version=1.6") == 1
    assert counted("voltgraph_ocpp_messages_total action=unknown result=NotImplemented version=1.6") == 1
    assert during["voltgraph_ocpp_sockets version=1.6"] >= 1
    names = {name.partition(" ")[0] for name in during}
    assert names >= {
        "voltgraph_ocpp_handle_seconds_count",
        "voltgraph_commands",
        "voltgraph_relay_waiting_jobs",
        "voltgraph_relay_lag_seconds",
        "voltgraph_relay_held_jobs",
    }
    for part in ("graphql", "bus"):
        assert any(name.startswith(f"voltgraph_{part}_") for name in names), sorted(names)


async def test_metrics_need_their_token_where_one_is_set(guarded: Server) -> None:
    async with httpx2.AsyncClient(base_url=guarded.url) as client:
        answers = [
            await client.get("/metrics", headers={"Authorization": shown} if shown else {})
            for shown in (None, "Bearer wrong", "Bearer look here")
        ]
        health = await client.get("/health")

    assert [answer.status_code for answer in answers] == [401, 401, 200]
    assert answers[0].headers["www-authenticate"] == "Bearer"
    assert health.status_code == 200


async def test_a_subscription_outlives_the_connection_to_redis(
    base: str, operator: Operator, identity: str, redis: Redis
) -> None:
    """What happened while it was down is seen too."""
    async with Charger16.connected(base, identity) as charger:
        await charger.unplug()
        station_id = (await operator.station(identity))["id"]
        async with operator.watching(STATUS, ids=[station_id]) as statuses:
            await statuses.until(lambda told: told["evseNumber"] == 1)
            for _ in range(3):
                assert await redis.client_kill_filter(_type="pubsub") > 0
                await charger.plug_in()
                await statuses.until(lambda told: (told["evseNumber"], told["status"]) == (1, "PREPARING"))
                await charger.unplug()
                await statuses.until(lambda told: (told["evseNumber"], told["status"]) == (1, "AVAILABLE"))


async def test_commands_go_on_after_redis_hung_up(base: str, operator: Operator, identity: str, redis: Redis) -> None:
    reset = "mutation ($id: ID!) { sendCommand(stationId: $id, command: { reset: { type: SOFT } }) { status error } }"
    async with Charger16.connected(base, identity):
        station_id = (await operator.station(identity))["id"]
        for kind in ("pubsub", "normal"):
            assert await redis.client_kill_filter(_type=kind, skipme=True) > 0
            async with asyncio.timeout(30):
                # until the line is back an order fails, and says why
                while (command := await operator.ask(reset, id=station_id))["status"] != "ACCEPTED":
                    assert command["status"] == "FAILED", command


async def test_a_database_that_hangs_up_costs_no_charge(
    base: str, operator: Operator, identity: str, ground: Urls
) -> None:
    """Neither what was acknowledged nor what is just being said: it is tried again."""
    ledgers = [Ledger(f"{identity}-{number}") for number in range(4)]
    others = text(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = user and pid <> pg_backend_pid()"
    )
    engine = create_async_engine(ground.database)
    charging = [asyncio.create_task(charge_for_ever(base, ledger)) for ledger in ledgers]
    async with asyncio.timeout(60):
        for _ in range(4):
            await asyncio.gather(*(ledger.more(2) for ledger in ledgers))
            async with engine.connect() as connection:
                assert (await connection.execute(others)).all()
        await asyncio.gather(*(ledger.more(1) for ledger in ledgers))
        await engine.dispose()
        for task in charging:
            task.cancel()
        await asyncio.wait(charging)

    for ledger in ledgers:
        await assert_kept(operator, ledger)
    assert [ledger.refused for ledger in ledgers] == [[]] * len(ledgers)


async def test_logs_name_the_tenant_and_the_station(server: Server, base: str, identity: str) -> None:
    async with Bare.connected(base, identity):
        pass
    assert any(
        f'"station": "{identity}"' in line and '"tenant":' in line and "station connected" in line
        for line in server.log.read_text().splitlines()
    )


async def test_a_tenant_made_beside_the_server_is_there_at_once(server: Server, identity: str) -> None:
    newcomer = Tenant.made(server)
    async with (
        Charger16.connected(f"{server.ocpp}/{newcomer.slug}", identity) as charger,
        Operator(server.url, newcomer.secret) as operator,
    ):
        assert await charger.boot() == "Accepted"
        assert (await operator.station(identity, "online"))["online"] is True
