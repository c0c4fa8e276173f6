"""What stations keep of tokens follows what we keep of them."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import local_lists, stations, tokens
from domain.actor import Role
from domain.commands import Outcome
from domain.errors import Conflict, Forbidden, Invalid, NotFound, TimedOut, Unavailable
from domain.local_lists import LocalListPolicy, LocalListStatus, UpdateType
from domain.tokens import TokenStatus, TokenType
from tests.domain.local_lists.keeper import Keeper, a_fresh_tester, a_keeper, beside, keep, refusing, tokens_told
from tests.factories import a_group, a_location, a_station, a_token
from tests.tester import Tester

pytestmark = pytest.mark.anyio

CURRENT, PENDING = LocalListStatus.CURRENT, LocalListStatus.PENDING


async def change(tester: Tester, uid: str, **changes: Any) -> None:
    async with tester.work() as work:
        await tokens.update(work, token_id=(await tokens.by_uid(work, uid)).id, **changes)


async def delete(tester: Tester, uid: str) -> None:
    async with tester.work() as work:
        await tokens.delete(work, token_id=(await tokens.by_uid(work, uid)).id)


async def test_a_list_is_sent_whole_and_then_as_tokens_change(acme: Tester) -> None:
    for uid, status in (("Good", TokenStatus.ACCEPTED), ("Bad", TokenStatus.BLOCKED)):
        await a_token(acme, uid, status=status)
    keeper = await a_keeper(acme)
    await keep(acme, keeper)
    assert keeper.heard == [("FULL", ["Bad", "Good"])]
    assert keeper.held == {"good": "ACCEPTED", "bad": "BLOCKED"}
    kept = await keeper.kept()
    assert (kept.status, kept.version, kept.wanted_version, kept.size) == (CURRENT, 1, 1, 2)

    await change(acme, "Good", status=TokenStatus.BLOCKED)
    await delete(acme, "Bad")
    await a_token(acme, "New")
    await keep(acme, keeper)
    assert len(keeper.heard) == 1  # several changes go out as one, a moment later
    await tokens_told(acme)
    assert (await keeper.kept()).status is PENDING
    await keep(acme, keeper)
    assert keeper.heard[1:] == [("DIFFERENTIAL", ["Bad", "Good", "New"])]
    assert keeper.held == {"good": "BLOCKED", "new": "ACCEPTED"}
    assert (await keeper.kept()).version == keeper.version == 2
    await keep(acme, keeper)
    assert len(keeper.heard) == 2


async def test_a_station_that_was_away_catches_up_when_it_connects(acme: Tester) -> None:
    await a_token(acme, "ONE")
    keeper, other = await a_keeper(acme), await a_keeper(acme)
    keeper.online = False
    await keep(acme, keeper, other)
    assert (keeper.kinds, other.held) == ([], {"one": "ACCEPTED"})
    await a_token(acme, "TWO")
    await tokens_told(acme)
    await keep(acme, keeper, other)
    assert keeper.kinds == []
    await keeper.connect()
    await keep(acme, keeper, other)
    assert keeper.held == other.held == {"one": "ACCEPTED", "two": "ACCEPTED"}
    asked = keeper.kinds.count("GET_LOCAL_LIST_VERSION")
    await keeper.connect()
    await keep(acme, keeper, other)
    assert keeper.kinds.count("GET_LOCAL_LIST_VERSION") == asked + 1  # compared, and nothing had to be sent
    assert keeper.versions == [1]


@pytest.mark.parametrize("version_told", [0, 7])
async def test_a_list_that_is_not_the_one_we_sent_is_sent_whole(acme: Tester, version_told: int) -> None:
    await a_token(acme, "ONE")
    keeper = await a_keeper(acme)
    await keep(acme, keeper)
    keeper.held, keeper.version = {}, version_told
    await keeper.connect()
    await keep(acme, keeper)
    assert keeper.heard[1:] == [("FULL", ["ONE"])]
    assert keeper.versions == sorted(set(keeper.versions))
    assert keeper.version > version_told


async def test_a_mismatch_is_mended_by_a_full_list(acme: Tester) -> None:
    await a_token(acme, "ONE")
    keeper = await a_keeper(acme)
    await keep(acme, keeper)
    keeper.version, keeper.held = 9, {"strangers": "ACCEPTED"}  # somebody else wrote to it
    await a_token(acme, "TWO")
    await tokens_told(acme)
    await keep(acme, keeper)
    assert [update for update, _ in keeper.heard] == ["FULL", "DIFFERENTIAL", "FULL"]
    assert keeper.held == {"one": "ACCEPTED", "two": "ACCEPTED"}
    assert (await keeper.kept()).version == keeper.version == 10


async def test_a_message_whose_answer_was_lost_is_not_guessed_about(acme: Tester) -> None:
    await a_token(acme, "ONE")
    keeper = await a_keeper(acme)
    await keep(acme, keeper)
    await a_token(acme, "TWO")
    await tokens_told(acme)
    keeper.loses_answers = 1
    await keep(acme, keeper)
    assert (await keeper.kept()).status is LocalListStatus.FAILED
    await keeper.connect()
    await keep(acme, keeper)
    assert [update for update, _ in keeper.heard] == ["FULL", "DIFFERENTIAL", "FULL"]
    assert keeper.versions == [1, 2, 3]
    assert (await keeper.kept()).status is CURRENT


async def test_what_one_message_cannot_carry_comes_in_several(acme: Tester) -> None:
    for number in range(5):
        await a_token(acme, f"CARD-{number}")
    small = await a_keeper(acme)
    small.configuration = {"SendLocalListMaxLength": "2"}
    slim = await a_keeper(acme, ocpp="ocpp2.0.1")
    slim.configuration = {"LocalAuthListCtrlr.ItemsPerMessage": "50", "LocalAuthListCtrlr.BytesPerMessage": "800"}
    await keep(acme, small, slim)
    for keeper in (small, slim):
        assert [(update, len(uids)) for update, uids in keeper.heard] == [
            ("FULL", 2),
            ("DIFFERENTIAL", 2),
            ("DIFFERENTIAL", 1),
        ]
        assert (keeper.versions, len(keeper.held)) == ([1, 2, 3], 5)
        assert (await keeper.kept()).status is CURRENT


async def test_tokens_for_which_there_is_no_room_are_counted(acme: Tester) -> None:
    for number in range(4):
        await a_token(acme, f"CARD-{number}", status=TokenStatus.BLOCKED if number == 3 else TokenStatus.ACCEPTED)
    keeper = await a_keeper(acme)
    keeper.configuration = {"LocalAuthListMaxLength": "2"}
    await keep(acme, keeper)
    assert keeper.held == {"card-2": "ACCEPTED", "card-1": "ACCEPTED"}
    assert ((await keeper.kept()).status, (await keeper.kept()).omitted) == (CURRENT, 2)


async def test_a_list_holds_what_means_something_at_its_station(acme: Tester) -> None:
    here, there = await a_location(acme), await a_location(acme)
    await a_group(acme, "GUARDS", master_pass=True)
    await a_token(acme, "ANYWHERE")
    await a_token(acme, "HERE", location_ids=[here.id])
    await a_token(acme, "THERE", location_ids=[there.id])
    await a_token(acme, "PASS", group_uid="guards")
    await a_token(acme, "L" * 30, type=TokenType.APP_USER)
    old = await a_keeper(acme, location_id=here.id)
    new = await a_keeper(acme, ocpp="ocpp2.0.1", location_id=here.id)
    await keep(acme, old, new)
    assert set(old.held) == {"anywhere", "here"}
    assert set(new.held) == {"anywhere", "here", "pass", "l" * 30}
    async with acme.work() as work:
        await stations.update(work, station_id=old.station_id, location_id=there.id)
    await tokens_told(acme)
    await keep(acme, old, new)
    assert set(old.held) == {"anywhere", "there"}


async def test_that_a_token_expires_is_no_news_to_who_was_told_when(acme: Tester) -> None:
    keeper = await a_keeper(acme)
    await a_token(acme, "CARD", expires_at=acme.clock() + timedelta(hours=1))
    await keep(acme, keeper)
    acme.clock.forward(hours=7)
    await keep(acme, keeper)
    assert [update for update, _ in keeper.heard] == ["FULL"]


@pytest.mark.parametrize(
    "said",
    [
        Outcome("ACCEPTED", {"version": -1}, None),
        Outcome("FAILED", {"error_code": "NotSupported"}, "the station refused"),
        Outcome("FAILED", {"error_code": "NotImplemented"}, "the station refused"),
        refusing("NotSupported"),
    ],
)
async def test_a_station_that_keeps_no_list_is_let_be_until_its_firmware_is_another(
    acme: Tester, said: Outcome
) -> None:
    keeper = await a_keeper(acme)
    keeper.faults = [said]
    await keep(acme, keeper)
    assert (await keeper.kept()).status is LocalListStatus.NOT_SUPPORTED
    heard = len(keeper.kinds)
    await a_token(acme, "CARD")
    await tokens_told(acme)
    await keeper.connect()
    await keep(acme, keeper)
    assert len(keeper.kinds) == heard
    async with acme.work() as work:
        await stations.boot(work, station_id=keeper.station_id, firmware_version="2.0")
    await keeper.connect()
    await keep(acme, keeper)
    assert (keeper.held, (await keeper.kept()).status) == ({"card": "ACCEPTED"}, CURRENT)


@pytest.mark.parametrize("fault", [refusing("Failed"), TimedOut("too slow"), Unavailable("gone")])
async def test_a_station_that_does_not_take_it_is_tried_again_less_and_less_often(
    acme: Tester, fault: Outcome | Exception
) -> None:
    await a_token(acme, "CARD")
    keeper = await a_keeper(acme)
    keeper.faults = [fault] * 3
    for minutes in (0, 1, 2):
        acme.clock.forward(minutes=minutes, seconds=1)
        await keep(acme, keeper)
        await keep(acme, keeper)
        kept = await keeper.kept()
        assert (kept.status, kept.attempts) == (LocalListStatus.FAILED, minutes + 1)
        assert kept.error
    acme.clock.forward(minutes=5)
    await keep(acme, keeper)
    assert ((await keeper.kept()).status, keeper.held) == (CURRENT, {"card": "ACCEPTED"})


async def test_a_token_that_may_charge_at_times_alone_is_asked_for_and_in_no_list(acme: Tester) -> None:
    await a_token(acme, "ALWAYS")
    await a_token(acme, "MONDAYS", hours=[{"days": ["MONDAY"], "begin": "08:00", "end": "18:00"}])
    await a_token(acme, "SLOW", connector_types=["cType2"])
    keeper = await a_keeper(acme)
    await keep(acme, keeper)
    assert set(keeper.held) == {"always"}
    for uid in ("MONDAYS", "SLOW"):
        with pytest.raises(Invalid, match="when, or at which plug"):
            await local_lists.send_now(
                beside(acme, keeper),
                acme.actor,
                station_id=keeper.station_id,
                update=UpdateType.DIFFERENTIAL,
                token_uids=[uid],
            )


async def test_a_list_that_is_kept_no_more_is_emptied_once(acme: Tester) -> None:
    await a_token(acme, "CARD")
    keeper = await a_keeper(acme)
    await keep(acme, keeper)
    await keeper.policy(LocalListPolicy.OFF)
    await keep(acme, keeper)
    assert (keeper.held, (await keeper.kept()).status) == ({}, CURRENT)
    await a_token(acme, "OTHER")
    await tokens_told(acme)
    await keeper.connect()
    await keep(acme, keeper)
    assert (keeper.held, keeper.versions) == ({}, [1, 2])


async def test_an_operator_sends_and_asks_at_once(acme: Tester, rival: Tester) -> None:
    await a_token(acme, "ONE")
    await a_token(acme, "TWO")
    keeper = await a_keeper(acme)
    house = beside(acme, keeper)

    async def send(update: UpdateType, uids: list[str] | None = None) -> str:
        command = await local_lists.send_now(
            house, acme.actor, station_id=keeper.station_id, update=update, token_uids=uids
        )
        return str(command.status)

    assert await send(UpdateType.FULL) == "ACCEPTED"
    with pytest.raises(Conflict, match="as it should be"):
        await send(UpdateType.DIFFERENTIAL)
    await keeper.policy(LocalListPolicy.OFF)
    with pytest.raises(Conflict, match="setLocalListPolicy"):
        await send(UpdateType.FULL)
    assert await send(UpdateType.FULL, ["one"]) == "ACCEPTED"
    assert keeper.held == {"one": "ACCEPTED"}
    assert await send(UpdateType.DIFFERENTIAL, ["TWO"]) == "ACCEPTED"
    await keep(acme, keeper)
    assert (set(keeper.held), (await keeper.kept()).size) == ({"one", "two"}, 2)
    with pytest.raises(NotFound):
        await send(UpdateType.FULL, ["NOBODYS"])
    asked = await local_lists.ask_version(house, acme.actor, station_id=keeper.station_id)
    assert asked.result == {"version": keeper.version}
    async with acme.work() as work:
        await stations.remember_configuration(
            work, station_id=keeper.station_id, values={"SendLocalListMaxLength": "1"}
        )
    with pytest.raises(Invalid, match="one message"):
        await send(UpdateType.FULL, ["ONE", "TWO"])
    with pytest.raises(NotFound):
        await local_lists.send_now(house, rival.actor, station_id=keeper.station_id, update=UpdateType.FULL)


async def test_who_may_say_what_lists_hold_and_of_which_stations(acme: Tester, rival: Tester) -> None:
    mine, theirs = await a_station(acme), await a_station(rival)
    async with acme.work(role=Role.VIEWER) as work:
        with pytest.raises(Forbidden):
            await local_lists.set_policy(work, station_ids=None, policy=LocalListPolicy.ALL_TOKENS)
    async with acme.work() as work:
        with pytest.raises(NotFound):
            await local_lists.set_policy(work, station_ids=[theirs.id], policy=LocalListPolicy.ALL_TOKENS)
        for _ in range(2):
            changed = await local_lists.set_policy(work, station_ids=None, policy=LocalListPolicy.ALL_TOKENS)
            assert [station.id for station in changed] == [mine.id]


CARDS = ["A", "B", "C", "D"]
STEPS = st.one_of(
    st.tuples(st.just("token"), st.sampled_from(CARDS), st.sampled_from([*TokenStatus, None])),
    st.tuples(st.sampled_from(["drop", "loses", "mismatch", "fails", "away", "back", "keep"]), st.none(), st.none()),
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=8))
async def test_whatever_happens_in_between_a_station_that_is_there_holds_the_tokens_in_the_end(
    house: Any, steps: list[tuple[str, Any, Any]]
) -> None:
    tester = await a_fresh_tester(house)
    keeper = await a_keeper(tester)
    keeper.configuration = {"SendLocalListMaxLength": "2"}
    for step in [*steps, ("back", None, None), ("keep", None, None)]:
        await happens(tester, keeper, *step)
    async with tester.work(read_only=True) as work:
        wanted = {uid.lower(): token.status for uid in CARDS if (token := await tokens.find(work, uid))}
    assert (keeper.held, (await keeper.kept()).status) == (wanted, CURRENT)
    assert keeper.versions == sorted(keeper.versions)


async def happens(tester: Tester, keeper: Keeper, what: str, uid: str | None, status: TokenStatus | None) -> None:
    match what:
        case "token":
            await put(tester, str(uid), status)
        case "drop":
            keeper.held, keeper.version = {}, 0
            await keeper.connect()
        case "loses":
            keeper.loses_answers = 1
        case "mismatch":
            keeper.version += 5
        case "fails":
            keeper.faults = [refusing("Failed")]
        case "away":
            keeper.online = False
        case "back":
            keeper.loses_answers, keeper.faults = 0, []
            await keeper.connect()
        case _:
            await tokens_told(tester)
            await keep(tester, keeper)


async def put(tester: Tester, uid: str, status: TokenStatus | None) -> None:
    async with tester.work() as work:
        known = await tokens.find(work, uid)
        if known is None and status is not None:
            await tokens.create(work, uid=uid, status=status)
        elif known is not None and status is not None:
            await tokens.update(work, token_id=known.id, status=status)
        elif known is not None:
            await tokens.delete(work, token_id=known.id)
