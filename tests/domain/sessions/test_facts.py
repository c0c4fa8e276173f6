"""What stations say of a charge is merged the same way in any order and any number of times."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.sessions import ChargingState, Moment, Sample, Session, SessionStatus
from domain.sessions.facts import (
    learn_existence,
    learn_samples,
    learn_seq,
    learn_silence,
    learn_start,
    learn_state,
    learn_stop,
    learn_token,
    learn_vacancy,
)
from domain.sessions.models import StopSource
from domain.sessions.rules import conclude

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
TOKEN_IDS = {"A": UUID(int=1), "B": UUID(int=2)}

Fact = Callable[[Session], None]


def minute(number: float) -> datetime:
    return NOON + timedelta(minutes=number)


def merged(facts: Sequence[Fact]) -> dict[str, Any]:
    """The row that comes of hearing the facts in this order."""
    session = Session(
        station_id=UUID(int=0),
        transaction_id="1",
        started_at=minute(10_000),
        start_inferred=True,
        created_at=NOON,
        received_at=NOON,
        updated_at=NOON,
    )
    for fact in facts:
        fact(session)
        conclude(session)
    return session.model_dump(exclude={"id"})


@dataclass(frozen=True)
class Start:
    at: float
    meter_wh: float | None

    def __call__(self, session: Session) -> None:
        learn_start(session, at=minute(self.at), meter_wh=self.meter_wh)


@dataclass(frozen=True)
class Metered:
    at: float
    register_wh: float | None
    power_w: float | None = None
    soc_percent: float | None = None
    moment: Moment = Moment.AMID
    signed: bool = False

    def __call__(self, session: Session) -> None:
        sample = Sample(minute(self.at), self.register_wh, self.power_w, self.soc_percent, self.moment, self.signed)
        learn_samples(session, [sample])


@dataclass(frozen=True)
class State:
    state: ChargingState
    seq: int

    def __call__(self, session: Session) -> None:
        learn_existence(session, at=minute(self.seq // 2))
        learn_state(session, state=self.state, at=minute(self.seq // 2), seq=self.seq)


@dataclass(frozen=True)
class Card:
    uid: str
    at: float

    def __call__(self, session: Session) -> None:
        learn_existence(session, at=minute(self.at))
        learn_token(session, uid=self.uid, token_id=TOKEN_IDS[self.uid], at=minute(self.at))


@dataclass(frozen=True)
class Stop:
    at: float
    meter_wh: float
    source: StopSource

    def __call__(self, session: Session) -> None:
        learn_stop(session, at=minute(self.at), source=self.source, meter_wh=self.meter_wh, reason=str(self.at))


@dataclass(frozen=True)
class Numbered:
    seq: int

    def __call__(self, session: Session) -> None:
        learn_seq(session, seq=self.seq)


@dataclass(frozen=True)
class Vacated:
    at: float

    def __call__(self, session: Session) -> None:
        learn_vacancy(session, at=minute(self.at))


@dataclass(frozen=True)
class Silent:
    since: float

    def __call__(self, session: Session) -> None:
        learn_silence(session, since=minute(self.since))


minutes = st.integers(0, 30)
wh = st.integers(0, 5_000).map(float)
metered = st.builds(
    Metered,
    minutes,
    st.none() | wh,
    st.none() | wh,
    st.none() | wh,
    st.sampled_from([*Moment, Moment.AMID, Moment.AMID]),
    st.booleans(),
)
quiet = st.builds(Numbered, st.integers(0, 30)) | st.builds(Vacated, minutes) | st.builds(Silent, minutes)
said = st.lists(
    metered
    | quiet
    | st.builds(Start, minutes, st.none() | wh)
    | st.builds(Stop, minutes, wh, st.sampled_from(StopSource)),
    min_size=1,
    max_size=8,
)
states = st.lists(st.integers(0, 40), unique=True, max_size=4).flatmap(
    lambda seqs: st.tuples(*(st.builds(State, st.sampled_from(ChargingState), st.just(seq)) for seq in seqs))
)
cards = st.lists(minutes, unique=True, max_size=2).map(
    lambda ats: [Card(uid, at) for uid, at in zip(TOKEN_IDS, ats, strict=False)]
)


def test_power_that_was_told_of_a_charge_that_seemed_over_counts_when_it_goes_on() -> None:
    facts: list[Fact] = [Silent(0), Metered(0, None, 7_000), State(ChargingState.CHARGING, 2)]
    assert merged(facts)["power_w"] == 7_000


@given(said, states, cards, st.data())
def test_facts_in_any_order_and_any_number_of_times_come_to_the_same(
    said: list[Fact], states: tuple[Fact, ...], cards: list[Fact], data: st.DataObject
) -> None:
    facts = [*said, *states, *cards]
    repeated = data.draw(st.lists(st.sampled_from(facts), max_size=5))
    assert merged(data.draw(st.permutations([*facts, *repeated]))) == merged(facts)


@given(st.lists(metered, min_size=1, max_size=10), st.none() | wh, st.none() | wh)
def test_energy_is_never_negative_and_never_more_than_the_register_moved(
    samples: list[Metered], meter_start: float | None, meter_stop: float | None
) -> None:
    facts: list[Fact] = [Start(0, meter_start), *samples]
    if meter_stop is not None:
        facts.append(Stop(60, meter_stop, StopSource.REPORTED))
    row = merged(facts)
    told = [s.register_wh for s in samples if s.register_wh is not None]
    told += [value for value in (meter_start, meter_stop) if value is not None]
    assert 0 <= row["energy_wh"] <= 2 * (max(told, default=0) - min(told, default=0))


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10_000), min_size=1, max_size=20), st.randoms())
def test_energy_is_what_the_register_rose_by_from_start_to_stop(first: int, steps: list[int], dice: Any) -> None:
    register, facts = float(first), list[Fact]()
    for at, step in enumerate(steps):
        register += step
        facts.append(Metered(at, register))
    facts += [Start(0, float(first)), Stop(len(steps), register, StopSource.REPORTED)]
    dice.shuffle(facts)
    row = merged(facts)
    assert (row["energy_wh"], row["meter_suspect"]) == (register - first, False)
    assert row["status"] is SessionStatus.COMPLETED


def test_the_values_of_begin_and_end_beat_periodic_ones_but_not_those_of_start_and_stop() -> None:
    samples = [
        Metered(1, 900, moment=Moment.AMID),
        Metered(2, 1_000, moment=Moment.BEGIN),
        Metered(9, 1_500, moment=Moment.END),
        Metered(10, 1_600, moment=Moment.AMID),
    ]
    assert merged(samples)["energy_wh"] == 500
    assert merged([Start(0, 990.0), Stop(11, 1_650.0, StopSource.REPORTED), *samples])["energy_wh"] == 660


def test_signed_values_of_begin_and_end_beat_those_of_start_and_stop() -> None:
    begin = Metered(0, 1_000.4, moment=Moment.BEGIN, signed=True)
    end = Metered(9, 1_999.9, moment=Moment.END, signed=True)
    told: list[Fact] = [Start(0, 1_001.0), begin, end, Stop(9, 2_001.0, StopSource.REPORTED)]
    for facts in (told, told[::-1]):
        row = merged(facts)
        assert (row["meter_start_wh"], row["meter_stop_wh"], row["meter_suspect"]) == (1_000.4, 1_999.9, False)


@pytest.mark.parametrize(
    ("registers", "energy_wh"),
    [
        ([1_000, 1_500, 0, 300], 800),  # starts anew at zero
        ([1_000, 1_500, 40, 300], 760),  # what it counted before it was first read again is lost
        ([999_900, 999_990, 10, 500], 580),  # rolls over
        ([1_000, 1_000, 900, 400], 0),  # falls, and never rises
        ([1_000, 99_999, 1_500, 2_000], 1_000),  # one wild value in between
    ],
)
def test_a_register_that_runs_backwards_is_marked_and_counted_without_going_negative(
    registers: list[float], energy_wh: float
) -> None:
    first, *_, last = registers
    samples = [Metered(at, register) for at, register in enumerate(registers)]
    row = merged([Start(0, first), *samples, Stop(9, last, StopSource.REPORTED)])
    assert (row["energy_wh"], row["meter_suspect"]) == (energy_wh, True)


def test_a_stop_below_the_start_is_marked_and_is_no_energy() -> None:
    row = merged([Start(0, 1_000.0), Stop(9, 990.0, StopSource.REPORTED)])
    assert (row["energy_wh"], row["meter_suspect"]) == (0.0, True)


def test_a_register_told_in_rounded_kwh_does_not_run_backwards() -> None:
    row = merged([Start(0, 12_345.0), Metered(1, 12_300.0), Metered(2, 12_500.0)])
    assert (row["energy_wh"], row["meter_suspect"]) == (155.0, False)


def test_the_first_of_two_different_stops_counts_and_a_reported_one_beats_a_matched_one() -> None:
    early, late = Stop(5, 1_500.0, StopSource.REPORTED), Stop(6, 0.0, StopSource.REPORTED)
    guessed = Stop(1, 1_100.0, StopSource.MATCHED)
    for facts in ([late, early], [early, late], [guessed, late, early], [late, early, guessed]):
        row = merged([Start(0, 1_000.0), *facts])
        assert (row["ended_at"], row["energy_wh"], row["stop_reason"]) == (minute(5), 500.0, "5")


def test_power_and_charge_are_the_newest_by_the_time_of_the_device() -> None:
    row = merged([Metered(5, None, power_w=7_000), Metered(3, None, power_w=11_000, soc_percent=40)])
    assert (row["power_w"], row["soc_percent"]) == (7_000, 40)


def test_a_charge_that_is_over_draws_no_power_and_keeps_its_last_charge() -> None:
    row = merged([Metered(5, 100.0, power_w=7_000, soc_percent=80), Stop(6, 100.0, StopSource.REPORTED)])
    assert (row["power_w"], row["soc_percent"]) == (None, 80)


@pytest.mark.parametrize(
    ("state", "energy_wh", "status"),
    [
        (ChargingState.EV_CONNECTED, 0, SessionStatus.PENDING),
        (ChargingState.EV_CONNECTED, 500, SessionStatus.SUSPENDED),
        (ChargingState.IDLE, 0, SessionStatus.PENDING),
        (ChargingState.CHARGING, 0, SessionStatus.ACTIVE),
        (ChargingState.SUSPENDED_EV, 0, SessionStatus.SUSPENDED),
        (ChargingState.SUSPENDED_EVSE, 500, SessionStatus.SUSPENDED),
    ],
)
def test_the_charging_state_and_whether_energy_has_flowed_make_the_status(
    state: ChargingState, energy_wh: float, status: SessionStatus
) -> None:
    row = merged([Start(0, 1_000.0), Metered(1, 1_000.0 + energy_wh), State(state, seq=4)])
    assert row["status"] is status


def test_states_of_one_second_are_told_apart_by_their_sequence_numbers() -> None:
    connected, charging = State(ChargingState.EV_CONNECTED, seq=2), State(ChargingState.CHARGING, seq=3)
    assert merged([charging, connected])["charging_state"] is ChargingState.CHARGING


def test_an_end_before_the_start_is_no_negative_duration() -> None:
    row = merged([Start(5, 0.0), Stop(3, 0.0, StopSource.REPORTED)])
    assert row["ended_at"] == row["started_at"] == minute(5)
