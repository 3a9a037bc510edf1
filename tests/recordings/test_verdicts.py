"""Pure decisions: a recording's states, and when it must go."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.retention import (
    Allowed,
    Due,
    Gone,
    HeldBack,
    Keep,
    Rule,
    Subject,
    TooEarly,
    Unfinished,
    may_delete,
    verdict,
)
from recordings.states import TRANSITIONS, Held, State, Step, after
from telehealth.errors import WrongState

ENDED = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
RULE = Rule(days=100, minimum_days=10)
states, steps, moments = (
    st.sampled_from(State),
    st.sampled_from(Step),
    st.datetimes(datetime(2026, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)


def subject(state: State = State.SEALED, *, held: bool = False, ended: datetime | None = ENDED) -> Subject:
    return Subject(state, held, ENDED - timedelta(hours=1), ended)


def test_a_recording_is_kept_to_the_moment_and_then_due() -> None:
    due = ENDED + timedelta(days=100)
    assert verdict(subject(), RULE, due - timedelta(microseconds=1)) == Keep(due)
    assert verdict(subject(), RULE, due) == Due(due)
    assert verdict(subject(held=True), RULE, due) == HeldBack(due)


def test_a_recording_without_an_end_counts_from_its_start() -> None:
    start = ENDED - timedelta(hours=1)
    for state in (State.CAPTURING, State.PAUSED, State.INTERRUPTED, State.SEALING):
        assert verdict(subject(state, ended=None), RULE, ENDED + timedelta(days=101)) == Due(
            start + timedelta(days=100)
        )


def test_a_destruction_begun_is_finished_and_one_done_is_left() -> None:
    late = ENDED + timedelta(days=1000)
    assert verdict(subject(State.DELETING, held=True), RULE, late) == Unfinished()
    assert verdict(subject(State.DELETED), RULE, late) == Gone()
    assert may_delete(subject(State.DELETING), RULE, late) == Unfinished()
    assert may_delete(subject(State.DELETED), RULE, late) == Gone()


def test_asking_before_the_minimum_is_too_early() -> None:
    earliest = ENDED + timedelta(days=10)
    assert may_delete(subject(), RULE, earliest - timedelta(seconds=1)) == TooEarly(earliest)
    assert may_delete(subject(), RULE, earliest) == Allowed()
    assert may_delete(subject(), Rule(), ENDED) == Allowed()


@pytest.mark.parametrize(("days", "minimum"), [(1, 2), (-1, 0), (5, -1)])
def test_a_rule_that_contradicts_itself_cannot_be_made(days: int, minimum: int) -> None:
    with pytest.raises(ValueError):
        Rule(days, minimum)


@given(state=states, now=moments, days=st.integers(0, 5000))
def test_nothing_held_is_ever_due_or_allowed(state: State, now: datetime, days: int) -> None:
    held = subject(state, held=True)
    assert not isinstance(verdict(held, Rule(days), now), Due)
    assert not isinstance(may_delete(held, Rule(days), now), Allowed)


@given(state=states, step=steps, held=st.booleans())
def test_only_the_table_moves_a_recording(state: State, step: Step, held: bool) -> None:
    if (state, step) not in TRANSITIONS:
        with pytest.raises(WrongState):
            after(state, step, held=held)
    elif held and step is Step.DELETE:
        with pytest.raises(Held):
            after(state, step, held=held)
    else:
        assert after(state, step, held=held) is TRANSITIONS[state, step]


@given(path=st.lists(steps, max_size=12))
def test_what_was_deleted_never_comes_back(path: list[Step]) -> None:
    state, was_deleting = State.CAPTURING, False
    for step in path:
        following = TRANSITIONS.get((state, step))
        if following is None:
            continue
        state = following
        was_deleting = was_deleting or state is State.DELETING
        assert not was_deleting or state in (State.DELETING, State.DELETED)


def test_every_state_can_be_reached_and_every_unfinished_one_can_be_sealed_or_deleted() -> None:
    assert {State.CAPTURING, *TRANSITIONS.values()} == set(State)
    for state in State:
        if state not in (State.DELETING, State.DELETED):
            assert after(state, Step.DELETE) is State.DELETING
