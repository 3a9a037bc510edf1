"""Whatever people do in whatever order, the recorder is on nobody's leg unless everybody in the call has agreed."""

import os
import random
from contextlib import suppress

import pytest

from telehealth.errors import Refusal
from telehealth.visits.consent import Standing
from telehealth.visits.roster import Here
from telehealth.visits.states import RecordingPhase
from tests.telehealth.visits.visit_house import Call, Guest, Place, Staff

STEPS = int(os.environ.get("N", "150"))
SEED = int(os.environ.get("SEED", "0"))
RECORDED = (RecordingPhase.STARTING, RecordingPhase.RECORDING)


class Walk:
    """A clinician, a patient and two guests who do what a die says."""

    def __init__(self, call: Call, guests: list[Guest], dice: random.Random) -> None:
        self.call, self.place, self.dice = call, call.place, dice
        self.people: dict[str, Staff | Guest] = {
            call.doctor.participant: call.staff,
            call.patient.participant: call.guest,
        }
        self.people |= {guest.participant: guest for guest in guests}
        self.here: dict[str, Here] = {one.participant: one for one in (call.doctor, call.patient)}
        self.page = 0
        self.attached = 0

    async def step(self) -> str:
        who = self.dice.choice(list(self.people))
        names = ["enter"] if who not in self.here else self.acts(who)
        name = self.dice.choice(names)
        try:
            await getattr(self, name)(who)
        except Refusal:
            name += " (refused)"
        await self.call.settled()
        return f"{name} {who[-4:]}"

    def acts(self, who: str) -> list[str]:
        both = ["answer", "leg", "lose_leg", "drop", "withdraw", "come_back", "ready"]
        if who != self.call.doctor.participant:
            return [*both, *["all_answer", "all_legs"] * 2, "leave"]
        return [*both, "admit", *["ask", "all_answer", "all_legs"] * 3, "pause", "resume", "resume", "stop"]

    async def enter(self, who: str) -> None:
        self.page += 1
        self.here[who] = await self.place.enter(self.people[who], self.call.visit, page=f"p{self.page}")

    come_back = enter

    async def admit(self, _who: str) -> None:
        for person in list(self.visit.people.values()):
            if person.state == "waiting":
                await self.place.live.admit(self.here[self.call.doctor.participant], person.id)
                return

    async def ask(self, who: str) -> None:
        await self.place.live.recording_ask(self.here[who], "training")

    async def answer(self, who: str) -> None:
        asked = self.call.board.of(who, "consent.asked")
        if asked:
            word = "no" if self.dice.random() < 0.05 else "yes"
            said = self.people[who].key.receipt(asked[-1], self.call.visit, who, word)
            await self.place.live.consent_answer(self.here[who], **said)

    async def all_answer(self, _who: str) -> None:
        for who in [one for one in self.people if one in self.here]:
            with suppress(Refusal):
                await self.answer(who)
            await self.call.settled()

    async def all_legs(self, _who: str) -> None:
        for who in [one for one in self.people if one in self.here]:
            with suppress(Refusal):
                await self.leg(who)

    async def withdraw(self, who: str) -> None:
        if self.dice.random() < 0.3:
            await self.place.live.consent_withdraw(self.here[who])

    async def leg(self, who: str) -> None:
        self.page += 1
        await self.place.live.leg_offer(self.here[who], f"o={self.page}")
        if self.dice.random() < 0.9:
            self.place.legs.of(who)[-1].connect()

    async def lose_leg(self, who: str) -> None:
        for leg in self.place.legs.of(who)[:1]:
            leg.finish("lost")

    async def ready(self, who: str) -> None:
        self.place.live.leg_ready(self.here[who], self.visit.media.turn)

    async def drop(self, who: str) -> None:
        if self.dice.random() < 0.7:
            self.place.live.dropped(self.here[who])

    async def leave(self, who: str) -> None:
        if self.dice.random() < 0.3:
            await self.place.live.leave(self.here.pop(who))

    async def pause(self, who: str) -> None:
        await self.place.live.recording_pause(self.here[who])

    async def resume(self, who: str) -> None:
        await self.place.live.recording_resume(self.here[who])

    async def stop(self, who: str) -> None:
        if self.dice.random() < 0.3:
            await self.place.live.recording_stop(self.here[who])

    @property
    def visit(self):  # type: ignore[no-untyped-def]
        found = self.place.live.running(self.call.visit)
        assert found is not None
        return found

    def holds(self) -> None:
        """The promise, as it stands now."""
        on = {leg.publisher for leg in self.place.legs.live if leg.sink is not None}
        state = self.visit.recording
        if on:
            self.attached += 1
            assert state.phase in RECORDED
            assert state.pauses == []
            assert state.consent.standing is Standing.GIVEN
            admitted = {person.id for person in self.visit.admitted()}
            assert set(state.consent.answers) == admitted, "everybody in the call was asked"
            assert on <= {person.id for person in self.visit.admitted() if person.online}
            assert on <= state.parties
        assert all(self.place.legs.of(who) == [] for who in self.people if not self.visit.people[who].admitted)
        for who in self.people:
            assert sum(leg.sink is not None for leg in self.place.legs.of(who)) <= 1


@pytest.mark.parametrize("number", range(3))
async def test_the_recorder_is_on_no_leg_unless_everybody_in_the_call_has_agreed(place: Place, number: int) -> None:
    call = await place.in_call()
    guests = [await place.invited(call.staff, call.visit, role) for role in ("interpreter", "relative")]
    walk = Walk(call, guests, random.Random(SEED + number))
    for guest in guests:
        await walk.enter(guest.participant)
    taken: list[str] = []
    while len(taken) < STEPS or (walk.attached == 0 and len(taken) < 20 * STEPS):  # some dice record late
        taken.append(await walk.step())
        try:
            walk.holds()
        except AssertionError as error:
            raise AssertionError(f"seed {SEED + number}, after {' → '.join(taken[-12:])}") from error
    print(f"seed {SEED + number}: the recorder was on somebody's leg after {walk.attached} of {len(taken)} steps")  # noqa: T201
    assert walk.attached > 0, "a walk that never records shows nothing"
