"""The tables of states: whatever people try, in any order."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telehealth.errors import WrongState
from telehealth.visits.states import (
    OVER,
    PARTICIPANT,
    RECORDING,
    VISIT,
    ParticipantState,
    ParticipantStep,
    RecordingPhase,
    RecordingStep,
    VisitState,
    VisitStep,
    after,
    allows,
)


def walk(table, state, steps):  # type: ignore[no-untyped-def]
    """The states passed through; a step the table does not have changes nothing."""
    passed = [state]
    for step in steps:
        if allows(table, passed[-1], step):
            passed.append(after(table, passed[-1], step))
    return passed


@given(st.lists(st.sampled_from(ParticipantStep)))
def test_removed_is_never_left(steps: list[ParticipantStep]) -> None:
    assert set(walk(PARTICIPANT, ParticipantState.REMOVED, steps)) == {ParticipantState.REMOVED}


@given(st.lists(st.sampled_from(VisitStep)), st.sampled_from(sorted(OVER)))
def test_what_is_over_stays_over(steps: list[VisitStep], state: VisitState) -> None:
    assert walk(VISIT, state, steps) == [state]


@given(st.lists(st.sampled_from([step for step in ParticipantStep if step is not ParticipantStep.HOST])))
def test_a_patient_is_admitted_only_from_the_waiting_room(steps: list[ParticipantStep]) -> None:
    passed = walk(PARTICIPANT, ParticipantState.INVITED, steps)
    for before, now in pairwise(passed):
        if now is ParticipantState.ADMITTED and before is not ParticipantState.ADMITTED:
            assert before is ParticipantState.WAITING


@given(st.lists(st.sampled_from(ParticipantStep)))
def test_nobody_waits_unverified(steps: list[ParticipantStep]) -> None:
    passed = walk(PARTICIPANT, ParticipantState.INVITED, [s for s in steps if s is not ParticipantStep.PASS_CODE])
    assert ParticipantState.WAITING not in passed or ParticipantStep.HOST in steps


@given(st.lists(st.sampled_from([step for step in RecordingStep if step is not RecordingStep.CONSENT])))
def test_without_the_last_yes_nothing_starts(steps: list[RecordingStep]) -> None:
    assert set(walk(RECORDING, RecordingPhase.NONE, steps)) <= {RecordingPhase.NONE, RecordingPhase.ASKING}


def test_a_missing_pair_is_a_refusal() -> None:
    with pytest.raises(WrongState):
        after(VISIT, VisitState.BOOKED, VisitStep.BEGIN)


def test_every_state_of_a_visit_can_be_reached() -> None:
    reached, new = {VisitState.BOOKED}, {VisitState.BOOKED}
    while new:
        new = {after(VISIT, state, step) for state in new for step in VisitStep if allows(VISIT, state, step)} - reached
        reached |= new
    assert reached == set(VisitState)
