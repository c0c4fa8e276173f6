"""Every field of the schema's roots, asked with another tenant's ids, finds nothing, changes nothing and hears nothing.

The schema itself says which fields there are: one without a case here fails.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import schema
from domain import (
    commands,
    credentials,
    imports,
    meters,
    points,
    reservations,
    security_events,
    sessions,
    stations,
    tokens,
    virtual_points,
)
from domain.actor import Role
from domain.commands import CommandKind
from domain.meters import MeterKind
from domain.page import PageRequest
from domain.points import Reading
from domain.stations import StationStatus
from resolvers.context import context
from tests.factories import a_location, a_station, a_token
from tests.tester import Tester, watched

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
IDENTITY, CARD, GROUP, METER, ADDRESS = "RIVAL-1", "RIVALS-CARD", "RIVALS", "rivals", "rival/power"
VIRTUAL = "rival/virtual"


@dataclass(frozen=True)
class Belongings:
    """What a tenant has one of each of."""

    station: str
    location: str
    meter: str
    token: str
    session: str
    orphan: str
    command: str
    credential: str
    reservation: str
    import_id: str


async def belongings(tester: Tester) -> Belongings:
    location = await a_location(tester, "Rival's yard")
    station = await a_station(tester, IDENTITY, location_id=location.id)
    token = await a_token(tester, CARD)
    async with tester.work() as work:
        await tokens.set_group(work, uid=GROUP, master_pass=True)
        await stations.report_status(
            work,
            station_id=station.id,
            evse_number=1,
            connector_number=1,
            status=StationStatus.CHARGING,
            at=NOON,
        )
        await security_events.report(work, station_id=station.id, type="TamperDetectionActivated", at=NOON)
        started = await sessions.start(
            work,
            station_id=station.id,
            evse_number=1,
            connector_number=1,
            token_uid=CARD,
            at=NOON,
            meter_wh=0.0,
        )
        await sessions.stop(work, station_id=station.id, transaction_id="0", at=NOON, token_uid="UNKNOWN")
        (orphan,) = (await sessions.orphans(work, PageRequest())).rows
        command = await commands.request(
            work, station_id=station.id, kind=CommandKind.RESET, arguments={"type": "SOFT"}
        )
        reserved = await reservations.request(
            work, station_id=station.id, token_uid=CARD, expires_at=work.now + timedelta(days=1)
        )
        meter = await meters.create(work, name=METER, kind=MeterKind.GAS, location_id=location.id)
        begun = await imports.begin(work, layout=imports.Layout(), name="rival's")
        credential, _ = await credentials.create(work, name="rival's", role=Role.VIEWER)
    async with tester.work() as work:
        misfit = Reading(ADDRESS, NOON + timedelta(seconds=1), text="odd")
        await points.record(work, [Reading(ADDRESS, NOON, value=1.0), misfit], owner=None)
    async with tester.work() as work:
        await virtual_points.create(work, address=VIRTUAL, expression=f"'{ADDRESS}' * 2")
    return Belongings(
        station=str(station.id),
        location=str(location.id),
        meter=str(meter.id),
        token=str(token.id),
        session=str(started.session.id),
        orphan=str(orphan.id),
        command=str(command.id),
        credential=str(credential.id),
        reservation=reserved.arguments["reservation_id"],
        import_id=str(begun.id),
    )


EMPTY = {"totalCount": 0, "nodes": []}
NODES = "{ totalCount nodes { id } }"
YEAR = 'from: "2026-01-01T00:00:00Z", to: "2027-01-01T00:00:00Z"'
READING = f'{{address: "{ADDRESS}", at: "2026-03-01T13:00:00Z", value: 9}}'
FILE = f"at,address,value\\n2026-03-01T14:00:00Z,{ADDRESS},8"
GONE = "NOT_FOUND"

# What is asked, with the rival's ids in `{…}`, and what comes back: a value, or the code of the error.
QUERIES: dict[str, list[tuple[str, Any]]] = {
    "stations": [
        (f"stations {NODES}", EMPTY),
        (f'stations(filter: {{locationId: "{{location}}"}}) {NODES}', EMPTY),
        (f'stations(filter: {{text: "{IDENTITY}"}}) {NODES}', EMPTY),
    ],
    "station": [('station(id: "{station}") { id }', GONE)],
    "stationLog": [('stationLog(stationId: "{station}") { totalCount nodes { payload } }', GONE)],
    "securityEvents": [
        (f"securityEvents {NODES}", EMPTY),
        (f'securityEvents(filter: {{stationId: "{{station}}"}}) {NODES}', EMPTY),
    ],
    "stationByIdentity": [(f'stationByIdentity(identity: "{IDENTITY}") {{ id }}', GONE)],
    "sessions": [
        (f"sessions {NODES}", EMPTY),
        (f'sessions(filter: {{stationId: "{{station}}"}}) {NODES}', EMPTY),
        (f'sessions(filter: {{stationIdentity: "{IDENTITY}"}}) {NODES}', EMPTY),
        (f'sessions(filter: {{tokenUid: "{CARD}"}}) {NODES}', EMPTY),
    ],
    "sessionOrphans": [
        (f"sessionOrphans {NODES}", EMPTY),
        (f'sessionOrphans(filter: {{stationId: "{{station}}"}}) {NODES}', EMPTY),
    ],
    "session": [('session(id: "{session}") { id }', GONE)],
    "reservations": [
        (f"reservations {NODES}", EMPTY),
        (f'reservations(filter: {{stationId: "{{station}}"}}) {NODES}', EMPTY),
        (f'reservations(filter: {{tokenUid: "{CARD}"}}) {NODES}', EMPTY),
    ],
    "reservation": [('reservation(id: "{reservation}") { id }', GONE)],
    "tokens": [(f"tokens {NODES}", EMPTY)],
    "token": [('token(id: "{token}") { id }', GONE)],
    "tokenGroups": [("tokenGroups { totalCount nodes { id } }", EMPTY)],
    "locations": [(f"locations {NODES}", EMPTY)],
    "location": [('location(id: "{location}") { id }', GONE)],
    "meters": [
        (f"meters {NODES}", EMPTY),
        (f'meters(filter: {{locationId: "{{location}}"}}) {NODES}', EMPTY),
        (f'meters(filter: {{text: "{METER}"}}) {NODES}', EMPTY),
    ],
    "meter": [('meter(id: "{meter}") { id points { totalCount } }', GONE)],
    "points": [
        (f"points {NODES}", EMPTY),
        (f'points(filter: {{owner: "{{station}}"}}) {NODES}', EMPTY),
        (f'points(filter: {{prefix: "rival"}}) {NODES}', EMPTY),
    ],
    "quarantinedReadings": [
        (f"quarantinedReadings {NODES}", EMPTY),
        (f'quarantinedReadings(filter: {{address: "{ADDRESS}"}}) {NODES}', EMPTY),
    ],
    "realTimeMetrics": [('realTimeMetrics(stationId: "{station}") { value }', GONE)],
    "point": [
        (f'point(address: "{ADDRESS}") {{ id latest {{ value }} }}', GONE),
        (f'point(address: "{VIRTUAL}") {{ id latest {{ value }} }}', GONE),
    ],
    "history": [(f'history(points: ["{ADDRESS}"], {YEAR}) {{ timestamps }}', GONE)],
    "readings": [(f'readings(points: ["{ADDRESS}"], {YEAR}) {{ timestamps }}', GONE)],
    "historyEnergy": [(f'historyEnergy(points: ["{ADDRESS}"], {YEAR}) {{ series {{ energyWh }} }}', GONE)],
    "historyEnergyPerPeriod": [
        (f'historyEnergyPerPeriod(points: ["{ADDRESS}"], {YEAR}, resolution: "P1M") {{ timestamps }}', GONE)
    ],
    "imports": [(f"imports {NODES}", EMPTY)],
    "import": [('import(id: "{import_id}") { id }', GONE)],
    "commands": [
        (f"commands {NODES}", EMPTY),
        (f'commands(filter: {{stationId: "{{station}}"}}) {NODES}', EMPTY),
    ],
    "command": [('command(id: "{command}") { id }', GONE)],
    "credentials": [(f"credentials {NODES}", EMPTY)],
    "me": [("me { tenant { slug } }", "own")],
}

MUTATIONS: dict[str, list[tuple[str, Any]]] = {
    "registerStation": [
        ('registerStation(input: {identity: "A", locationId: "{location}"}) { id }', GONE),
        (f'registerStation(input: {{identity: "{IDENTITY}"}}) {{ location {{ id }} evses {{ number }} }}', "fresh"),
    ],
    "updateStation": [
        ('updateStation(id: "{station}", input: {name: "ours"}) { id }', GONE),
        ('updateStation(id: "{station}", input: {locationId: "{location}"}) { id }', GONE),
    ],
    "updateStationConfig": [('updateStationConfig(stationId: "{station}", config: {a: "1"}) { id }', GONE)],
    "rotateStationPassword": [('rotateStationPassword(stationId: "{station}") { id }', GONE)],
    "deleteStation": [('deleteStation(id: "{station}") { id }', GONE)],
    "sendCommand": [
        ('sendCommand(stationId: "{station}", command: {reset: {}}) { id }', GONE),
        ('sendCommand(stationId: "{station}", command: {remoteStop: {sessionId: "{session}"}}) { id }', GONE),
        (
            'sendCommand(stationId: "{station}", command: {cancelReservation: {reservationId: "{reservation}"}}) {id}',
            GONE,
        ),
        ('sendCommand(stationId: "{station}", command: {sendLocalList: {}}) { id }', GONE),
        ('sendCommand(stationId: "{station}", command: {getLocalListVersion: true}) { id }', GONE),
        (f'sendCommand(stationId: "{{station}}", command: {{remoteStart: {{tokenUid: "{CARD}"}}}}) {{ id }}', GONE),
    ],
    "cancelCommand": [('cancelCommand(commandId: "{command}") { id }', GONE)],
    "setLocalListPolicy": [('setLocalListPolicy(stationIds: ["{station}"], policy: OFF) { id }', GONE)],
    "startSession": [(f'startSession(input: {{stationId: "{{station}}", tokenUid: "{CARD}"}}) {{ id }}', GONE)],
    "stopSession": [('stopSession(sessionId: "{session}") { id }', GONE)],
    "assignSessionOrphan": [('assignSessionOrphan(orphanId: "{orphan}", sessionId: "{session}") { id }', GONE)],
    "dismissSessionOrphan": [('dismissSessionOrphan(orphanId: "{orphan}") { id }', GONE)],
    "createReservation": [
        (
            'createReservation(input: {stationId: "{station}", tokenUid: "ANY", expiresAt: "2126-01-01T00:00Z"}) {id}',
            GONE,
        )
    ],
    "cancelReservation": [('cancelReservation(reservationId: "{reservation}") { id }', GONE)],
    "createToken": [
        (f'createToken(input: {{uid: "{CARD}"}}) {{ uid }}', "fresh"),
        ('createToken(input: {uid: "OURS", locationIds: ["{location}"]}) { uid }', GONE),
    ],
    "setTokenGroup": [(f'setTokenGroup(input: {{uid: "{GROUP}", maxSessions: 1}}) {{ uid maxSessions }}', "fresh")],
    "deleteTokenGroup": [(f'deleteTokenGroup(uid: "{GROUP}") {{ id }}', GONE)],
    "updateToken": [('updateToken(id: "{token}", input: {status: BLOCKED}) { id }', GONE)],
    "deleteToken": [('deleteToken(id: "{token}") { id }', GONE)],
    "createLocation": [('createLocation(input: {name: "Rival\'s yard"}) { name }', "fresh")],
    "updateLocation": [('updateLocation(id: "{location}", input: {name: "ours"}) { id }', GONE)],
    "deleteLocation": [('deleteLocation(id: "{location}") { id }', GONE)],
    "setStationPolicy": [("setStationPolicy(policy: PENDING) { slug }", "own")],
    "setPointRules": [("setPointRules(policy: KNOWN) { slug }", "own")],
    "setHistoryDays": [("setHistoryDays(days: 30) { slug }", "own")],
    "createMeter": [
        (f'createMeter(input: {{name: "{METER}", kind: GAS}}) {{ location {{ id }} }}', "fresh"),
        ('createMeter(input: {name: "ours", kind: GAS, locationId: "{location}"}) { id }', GONE),
    ],
    "updateMeter": [
        ('updateMeter(id: "{meter}", input: {kind: WATER}) { id }', GONE),
        ('updateMeter(id: "{meter}", input: {locationId: "{location}"}) { id }', GONE),
    ],
    "deleteMeter": [('deleteMeter(id: "{meter}") { id }', GONE)],
    "createMeterSeries": [('createMeterSeries(meterId: "{meter}", input: {name: "a"}) { id }', GONE)],
    "updatePoint": [(f'updatePoint(address: "{ADDRESS}", input: {{rolloverAt: 9, unit: "Wh"}}) {{ id }}', GONE)],
    "createVirtualPoint": [
        (f'createVirtualPoint(input: {{address: "ours", expression: "\'{ADDRESS}\'"}}) {{ id }}', GONE),
        ('createVirtualPoint(input: {address: "v", expression: "sum(\'*\')", stationId: "{station}"}) { id }', GONE),
        (f'createVirtualPoint(input: {{address: "{VIRTUAL}", expression: "sum(\'rival/*\')"}}) {{address}}', "fresh"),
    ],
    "updateVirtualPoint": [(f'updateVirtualPoint(address: "{VIRTUAL}", input: {{unit: "W"}}) {{ id }}', GONE)],
    "deleteVirtualPoint": [(f'deleteVirtualPoint(address: "{VIRTUAL}") {{ id }}', GONE)],
    "recordReadings": [(f"recordReadings(readings: [{READING}]) {{ recorded }}", "fresh")],
    "importReadings": [(f'importReadings(input: {{content: "{FILE}"}}) {{ recorded }}', "fresh")],
    "cancelImport": [('cancelImport(importId: "{import_id}") { id }', GONE)],
    "releaseQuarantined": [(f'releaseQuarantined(address: "{ADDRESS}", valueType: TEXT) {{ recorded }}', GONE)],
    "dismissQuarantined": [(f'dismissQuarantined(address: "{ADDRESS}")', GONE)],
    "createCredential": [('createCredential(input: {name: "ours", role: VIEWER}) { credential { name } }', "fresh")],
    "revokeCredential": [('revokeCredential(id: "{credential}") { id }', GONE)],
}

# Subscriptions, each with what makes a tenant's own heard on it; those that name a single row refuse a rival's at once.
Act = Callable[[Tester, Belongings], Awaitable[object]]


async def _plug(tester: Tester, own: Belongings) -> None:
    async with tester.work() as work:
        station = await stations.by_identity(work, IDENTITY)
        await stations.report_status(
            work,
            station_id=station.id,
            evse_number=1,
            connector_number=1,
            status=StationStatus.FINISHING,
            at=work.now,
        )


async def _meter(tester: Tester, own: Belongings) -> None:
    async with tester.work() as work:
        station = await stations.by_identity(work, IDENTITY)
        sample = sessions.Sample(at=work.now, register_wh=500.0)
        await sessions.meter(work, station_id=station.id, evse_number=1, samples=[sample])


async def _read(tester: Tester, own: Belongings) -> None:
    async with tester.work() as work:
        await points.record(work, [Reading(ADDRESS, work.now, value=2.0)], owner=None)


async def _order(tester: Tester, own: Belongings) -> None:
    async with tester.work() as work:
        station = await stations.by_identity(work, IDENTITY)
        await commands.request(work, station_id=station.id, kind=CommandKind.RESET, arguments={"type": "SOFT"})


async def _import(tester: Tester, own: Belongings) -> None:
    async with tester.work() as work:
        await imports.begin(work, layout=imports.Layout())


async def _reserve(tester: Tester, own: Belongings) -> None:
    async with tester.work() as work:
        station = await stations.by_identity(work, IDENTITY)
        until = work.now + timedelta(days=1)
        await reservations.request(work, station_id=station.id, token_uid=CARD, expires_at=until)


SUBSCRIPTIONS: dict[str, tuple[Act, list[tuple[str, Any]]]] = {
    "stationStatusUpdates": (
        _plug,
        [
            ("stationStatusUpdates { station { id } }", "silence"),
            ('stationStatusUpdates(stationIds: ["{station}"]) { station { id } }', GONE),
        ],
    ),
    "stationLogUpdates": (_plug, [('stationLogUpdates(stationId: "{station}") { payload }', GONE)]),
    "sessionUpdates": (
        _meter,
        [
            ("sessionUpdates { session { id } }", "silence"),
            ('sessionUpdates(stationId: "{station}") { session { id } }', GONE),
            ('sessionUpdates(sessionId: "{session}") { session { id } }', GONE),
        ],
    ),
    "reservationUpdates": (
        _reserve,
        [
            ("reservationUpdates { id }", "silence"),
            ('reservationUpdates(stationId: "{station}") { id }', GONE),
        ],
    ),
    "pointUpdates": (
        _read,
        [
            ("pointUpdates { address }", "silence"),
            (f'pointUpdates(addresses: ["{ADDRESS}"]) {{ address }}', "silence"),
        ],
    ),
    "importUpdates": (
        _import,
        [
            ("importUpdates { id }", "silence"),
            ('importUpdates(importId: "{import_id}") { id }', GONE),
        ],
    ),
    "commandUpdates": (
        _order,
        [
            ("commandUpdates { id }", "silence"),
            ('commandUpdates(commandId: "{command}") { id }', GONE),
        ],
    ),
}


def written(document: str, theirs: Belongings) -> str:
    for name, value in vars(theirs).items():
        document = document.replace(f"{{{name}}}", value)
    return document


@pytest.mark.parametrize(
    ("root", "cases"), [("Query", QUERIES), ("Mutation", MUTATIONS), ("Subscription", SUBSCRIPTIONS)]
)
def test_every_field_of_the_schema_has_a_case(root: str, cases: dict[str, Any]) -> None:
    fields = schema.build()._schema.type_map[root].fields  # type: ignore[attr-defined]

    assert set(cases) == set(fields)


@pytest.mark.parametrize("field", QUERIES)
async def test_a_query_finds_nothing_of_the_rivals(acme: Tester, rival: Tester, field: str) -> None:
    theirs = await belongings(rival)
    for document, expected in QUERIES[field]:
        query = f"{{ {written(document, theirs)} }}"
        if expected == GONE:
            assert await acme.gql_errors(query) == [GONE], query
        elif expected == "own":
            assert await acme.gql(query) == {"me": {"tenant": {"slug": acme.slug}}}
        else:
            assert await acme.gql(query) == {field: expected}, query


@pytest.mark.parametrize("field", MUTATIONS)
async def test_a_mutation_changes_nothing_of_the_rivals(acme: Tester, rival: Tester, field: str) -> None:
    """What bears the rival's names is made anew beside it; what bears its ids is not there."""
    theirs = await belongings(rival)
    before = await everything(rival)
    for document, expected in MUTATIONS[field]:
        mutation = f"mutation {{ {written(document, theirs)} }}"
        if expected == GONE:
            assert await acme.gql_errors(mutation) == [GONE], mutation
        else:
            assert (await acme.gql(mutation))[field]
    assert await everything(rival) == before


@pytest.mark.parametrize("field", SUBSCRIPTIONS)
async def test_a_subscription_hears_nothing_of_the_rivals(acme: Tester, rival: Tester, field: str) -> None:
    """The rival acts first, acme after: the first thing that acme hears is its own."""
    theirs = await belongings(rival)
    act, cases = SUBSCRIPTIONS[field]
    for document, expected in cases:
        subscription = f"subscription {{ {written(document, theirs)} }}"
        if expected == GONE:
            assert await refused(acme, subscription) == [GONE], subscription
            continue
        async with acme.subscribe(subscription) as items:
            heard = asyncio.ensure_future(anext(items))
            await act(rival, theirs)
            await hears(rival, written(document, theirs), lambda: act(rival, theirs))
            assert not heard.done(), f"{subscription} heard {heard}"
            heard.cancel()
            await asyncio.wait({heard})


async def hears(tester: Tester, document: str, act: Callable[[], Awaitable[object]]) -> None:
    """The one whose it is does hear it: the silence of the other is not that of a dead line."""
    async with tester.subscribe(f"subscription {{ {document} }}") as items, asyncio.timeout(20):
        await anext(items)
        await act()
        await anext(items)


async def refused(tester: Tester, subscription: str) -> list[str]:
    answers = [one async for one in watched(context(tester.workplace, tester.actor), subscription)]
    return [str((error.extensions or {}).get("code")) for one in answers for error in one.errors or ()]


async def everything(tester: Tester) -> Any:
    """All that a tenant sees of its own."""
    return await tester.gql(
        f"""{{
          stations {{ nodes {{ id identity name status location {{ id }} configuration evses {{ number status }} }} }}
          sessions {{ nodes {{ id status energyWh updatedAt }} }}
          sessionOrphans {{ nodes {{ id settledAt session {{ id }} }} }}
          reservations {{ nodes {{ id status updatedAt }} }}
          quarantinedReadings {{ nodes {{ address text }} }}
          securityEvents {{ nodes {{ id type station {{ id }} }} }}
          tokens {{ nodes {{ id uid status }} }}
          tokenGroups {{ nodes {{ id uid masterPass maxSessions }} }}
          locations {{ nodes {{ id name }} }}
          meters {{ nodes {{ id name kind location {{ id }} }} }}
          commands {{ nodes {{ id status completedAt }} }}
          imports {{ nodes {{ id status recorded }} }}
          credentials {{ nodes {{ id name revokedAt }} }}
          points {{ nodes {{ id address rolloverAt latest {{ value at }} }} }}
          history(points: ["{ADDRESS}"], {YEAR}) {{
            timestamps series {{ values }}
          }}
        }}"""
    )
