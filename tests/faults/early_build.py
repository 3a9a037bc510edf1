"""A server that is wrong on purpose: it records from the question on, without waiting for anybody's yes."""

from telehealth.__main__ import main
from telehealth.visits.recording_flow import RecordingFlow
from telehealth.visits.recording_run import RecordingRun
from telehealth.visits.roster import Here, RecordingState, Yes
from telehealth.visits.states import RECORDING, RecordingStep, after
from telehealth.visits.texts import consent_text

ask = RecordingFlow.ask


async def ask_and_begin(self: RecordingFlow, here: Here, purpose: str) -> str:
    """Take every answer for given as soon as it is asked for."""
    request = await ask(self, here, purpose)
    state, text = self.state, consent_text("en")
    for person in self._visit.admitted():
        state.answers[person.id] = Yes(person.id, self._desk.rooms.clock.now(), text.sha256, text.version)
    state.phase = after(RECORDING, state.phase, RecordingStep.CONSENT)
    self.run.begin()
    return request


def wanted_without_consent(_self: RecordingRun, state: RecordingState, _participant: str) -> str:
    return state.recording or ""


if __name__ == "__main__":
    setattr(RecordingFlow, "ask", ask_and_begin)  # noqa: B010  # methods replaced on purpose
    setattr(RecordingRun, "_wanted", wanted_without_consent)  # noqa: B010
    main()
