"""A visit's recording once everyone said yes: the recorder, whose packets it takes, pausing, going on, ending."""

from collections.abc import Callable

from telehealth.errors import Refusal
from telehealth.frames import FrameSink
from telehealth.log import get_logger
from telehealth.visits.consent import Standing
from telehealth.visits.faults import LegNotWanted
from telehealth.visits.media_flow import MediaFlow
from telehealth.visits.neighbours import Desk
from telehealth.visits.roster import LiveVisit, Recorded, RecordingState
from telehealth.visits.states import CAPTURING, RECORDING, RecordingPhase, RecordingStep, after, allows

log = get_logger(__name__)

_FROM_PEOPLE = frozenset({"withdrawn", "declined"})  # whatever arrives after these is not kept
_GOES_ON = frozenset({"recorder_too_slow"})  # faults that leave a gap and no more


class RecordingRun:
    """Moves `LiveVisit.recording` from STARTING on. Methods without `async` act at once, on the event loop."""

    def __init__(self, desk: Desk, visit: LiveVisit, media: MediaFlow) -> None:
        self._desk = desk
        self._visit = visit
        self._media = media
        media.relay_failed = self._relay_failed

    @property
    def state(self) -> RecordingState:
        return self._visit.recording

    def begin(self) -> None:
        """Make the recorder; the state is STARTING already, and everybody's yes is in it."""
        state = self.state
        self._watch_start(state)
        self._media.try_relay()
        purpose = state.consent.purpose if state.consent else ""
        self._desk.chores.start(self._begin(state, purpose), f"recording.begin {self._visit.id}")

    async def _begin(self, state: RecordingState, purpose: str) -> None:
        """Make the recorder ready, then put it on everybody's leg; give up if the consent went meanwhile."""
        visit, rooms = self._visit, self._desk.rooms
        parties = [Recorded(participant, visit.people[participant].role) for participant in state.answers]
        try:
            recording = await rooms.recorder.begin(
                visit=visit.id,
                clinician=visit.row.clinician,
                patient_lookup=visit.row.patient_lookup,
                parties=parties,
                purpose=purpose,
                consents=list(state.answers.values()),
                listener=Listener(self, state),
                ask_key=lambda _recording, participant: self._media.taking.request_key_frame(participant),
            )
        except Refusal as refusal:
            self._not_begun(state, refusal.code)
            return
        except Exception:
            log.error("recording.begin_failed", visit=visit.id, exc_info=True)
            self._not_begun(state, "failed")
            return
        state.recording = recording
        if state.phase not in CAPTURING:
            rooms.recorder.cut(recording, state.reason or "stopped")
            await self._hand_over(state, state.reason or "stopped")
            return
        state.parties = frozenset(party.participant for party in parties)
        state.started_at = rooms.clock.now()
        if state.pauses:
            await self._pause(state, state.pauses[0])
        if state.phase in CAPTURING:
            self._capture(state)
        self._count_stored(state)
        self._desk.tell(visit)

    def _not_begun(self, state: RecordingState, code: str) -> None:
        log.error("alarm.recording_not_begun", visit=self._visit.id, code=code)
        state.phase, state.reason, state.consent = RecordingPhase.NONE, state.reason or code, None
        state.pauses.clear()
        state.forget_timers()
        self._media.reconsider()
        self._desk.tell(self._visit)

    def restart(self) -> None:
        """Somebody new is to be recorded: the running recording ends, another begins under the same consents."""
        old = self.state
        fresh = RecordingState(phase=RecordingPhase.STARTING, consent=old.consent, retention_days=old.retention_days)
        fresh.answers = dict(old.answers)
        self._finish("roster_changed")
        self._visit.recording = fresh
        self.begin()

    # The legs it is on.

    def _capture(self, state: RecordingState) -> None:
        """Have the recorder take everybody's packets, those of legs still to come included, while this goes on."""
        if state is self.state and not state.pauses and state.phase in CAPTURING:
            self._media.taking.capture(lambda participant: self._sink(state, participant))

    def _sink(self, state: RecordingState, participant: str) -> FrameSink | None:
        """Somebody's way into the recorder; None for whoever has not said yes to it."""
        if state is not self.state or state.pauses:
            return None
        try:
            return self._desk.rooms.recorder.sink(self._wanted(state, participant), participant)
        except Refusal as refusal:  # no consent of theirs, or the recording has ended meanwhile
            log.info("recording.not_attached", visit=self._visit.id, participant=participant, code=refusal.code)
            return None

    def _relay_failed(self) -> None:
        if self.state.phase in CAPTURING:
            self.finish("relay_failed")

    def _wanted(self, state: RecordingState, participant: str) -> str:
        if state.recording is None or state.phase not in CAPTURING or participant not in state.parties:
            raise LegNotWanted
        asked = state.consent
        if asked is None or asked.standing is not Standing.GIVEN or participant not in asked.answers:
            raise LegNotWanted
        return state.recording

    # Pausing, going on, ending.

    def hold(self, code: str) -> None:
        """Pause for one more reason: at once nobody's packets reach the recorder. Raises WrongState."""
        state = self.state
        state.phase = after(RECORDING, state.phase, RecordingStep.PAUSE)
        self._media.taking.release(code)
        state.pauses = [*(pause for pause in state.pauses if pause != code), code]
        state.reason = state.pauses[0]
        state.forget_timer("start")
        self._desk.chores.start(self._pause(state, code), f"recording.pause {self._visit.id}")
        self._desk.tell(self._visit)

    async def hold_now(self, code: str) -> None:
        """Pause, and come back only when the recorder has paused."""
        self.hold(code)
        await self._pause(self.state, code)

    async def _pause(self, state: RecordingState, code: str) -> None:
        async with state.orders:
            if state.recording is None or not state.pauses:
                return
            try:
                await self._desk.rooms.recorder.pause(state.recording, code)
            except Refusal as refusal:  # it has ended already: nothing is stored either way
                log.warning("recording.pause_refused", recording=state.recording, code=refusal.code)

    def clear(self, code: str) -> None:
        """One reason to pause less; with the last one gone the recording goes on."""
        state = self.state
        if code not in state.pauses:
            return
        state.pauses.remove(code)
        if not state.pauses:
            state.phase, state.reason = after(RECORDING, state.phase, RecordingStep.RESUME), None
            self._watch_start(state)
            self._desk.chores.start(self._resume(state), f"recording.resume {self._visit.id}")
        else:
            state.reason = state.pauses[0]
        self._desk.tell(self._visit)

    async def _resume(self, state: RecordingState) -> None:
        async with state.orders:
            if state.phase is not RecordingPhase.STARTING or state.recording is None:
                return
            try:
                await self._desk.rooms.recorder.resume(state.recording)
            except Refusal as refusal:
                log.error("alarm.recording_not_resumed", recording=state.recording, code=refusal.code)
                self._ring(state, True, refusal.code)
                return
        self._capture(state)
        self._count_stored(state)

    def finish(self, reason: str) -> None:
        """End the question or the recording, whichever there is; after a person's no nothing more is stored."""
        self._finish(reason)
        self._media.reconsider()

    def _finish(self, reason: str) -> None:
        state, desk = self.state, self._desk
        if not allows(RECORDING, state.phase, RecordingStep.STOP):
            return
        if reason in _FROM_PEOPLE and state.recording is not None:
            desk.rooms.recorder.cut(state.recording, reason)
        self._media.taking.release(reason)
        state.phase = after(RECORDING, state.phase, RecordingStep.STOP)
        state.reason, state.consent, state.pauses = reason, None, []
        state.forget_timers()
        if state.recording is not None:
            desk.chores.start(self._hand_over(state, reason), f"recording.stop {self._visit.id}")
        desk.tell(self._visit)

    async def _hand_over(self, state: RecordingState, reason: str) -> None:
        """Leave the recording to be sealed."""
        try:
            async with state.orders:
                await self._desk.rooms.recorder.stop(state.recording or "", reason)
        except Exception:
            log.error("alarm.recording_stop_failed", visit=self._visit.id, recording=state.recording, exc_info=True)
            state.reason = "failed"
        state.phase = after(RECORDING, state.phase, RecordingStep.CLOSED)
        self._desk.tell(self._visit)

    # Time, and what the recorder says.

    def watch_starter(self) -> None:
        """The starter is away: unless they come back in time it ends."""
        state = self.state
        seconds = self._desk.settings.starter_lost_seconds
        self._set_timer(
            state, "starter", seconds, lambda: self._ring(state, "starter_lost" in state.pauses, "starter_lost")
        )

    def _watch_start(self, state: RecordingState) -> None:
        seconds = self._desk.settings.start_seconds
        waits = RecordingPhase.STARTING
        self._set_timer(state, "start", seconds, lambda: self._ring(state, state.phase is waits, "start_timeout"))

    def _ring(self, state: RecordingState, due: bool, reason: str) -> None:
        if due and state is self.state:
            self.finish(reason)

    def _set_timer(self, state: RecordingState, name: str, seconds: float, act: Callable[[], None]) -> None:
        state.forget_timer(name)
        state.timers[name] = self._desk.chores.later(seconds, act)

    def stored(self, state: RecordingState, participant: str) -> None:
        state.stored.add(participant)
        self._count_stored(state)

    def _count_stored(self, state: RecordingState) -> None:
        """It counts as recording once a frame of every present person is durable."""
        if state.phase is not RecordingPhase.STARTING or state.recording is None or state.consent is None:
            return
        if set(state.consent.answers) <= state.stored:
            state.phase = after(RECORDING, state.phase, RecordingStep.STORED)
            state.forget_timer("start")
            self._desk.tell(self._visit)

    def broken(self, state: RecordingState, recording: str, code: str) -> None:
        log.error("alarm.recording_fault", visit=self._visit.id, recording=recording, code=code)
        if code not in _GOES_ON and state is self.state:
            self.finish(code)

    def sealed(self) -> None:
        self._desk.tell(self._visit)


class Listener:
    """Hears one recording's recorder."""

    def __init__(self, run: RecordingRun, state: RecordingState) -> None:
        self._run = run
        self._state = state

    def first_stored(self, recording: str, participant: str) -> None:
        self._run.stored(self._state, participant)

    def fault(self, recording: str, code: str) -> None:
        self._run.broken(self._state, recording, code)

    def sealed(self, recording: str) -> None:
        self._run.sealed()
