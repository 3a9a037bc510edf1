"""A visit's recording as people decide it: asked, answered, withdrawn, and what coming and going mean for it."""

from telehealth.audit.actions import Action
from telehealth.errors import WrongState
from telehealth.ids import Kind, new_id
from telehealth.visits import consent
from telehealth.visits.consent import Answer, Consent, NotAsked, Standing
from telehealth.visits.faults import IdentityOpen, NobodyElse
from telehealth.visits.media_flow import MediaFlow
from telehealth.visits.neighbours import Desk, visit_entry
from telehealth.visits.receipts import Question, Receipt, ReceiptInvalid, checked
from telehealth.visits.recording_run import RecordingRun
from telehealth.visits.roster import Here, LiveVisit, Person, RecordingState, Yes
from telehealth.visits.rows import ConsentRow
from telehealth.visits.states import CAPTURING, RECORDING, RecordingPhase, RecordingStep, after, allows
from telehealth.visits.texts import ConsentText, consent_text


class RecordingFlow:
    """Asks, and hears the answers. Methods without `async` act at once, on the event loop."""

    def __init__(self, desk: Desk, visit: LiveVisit, media: MediaFlow) -> None:
        self._desk = desk
        self._visit = visit
        self.run = RecordingRun(desk, visit, media)

    @property
    def state(self) -> RecordingState:
        return self._visit.recording

    async def ask(self, here: Here, purpose: str) -> str:
        """Ask everyone present; the request's id. Raises ClinicianOnly, WrongState, NobodyElse, LogUnavailable."""
        visit, desk = self._visit, self._desk
        me = visit.clinician(here)
        self._may_ask()
        days = await desk.rooms.retention_days()
        request = new_id(Kind.CONSENT)
        actor = here.caller.actor()
        await desk.enter(visit_entry(Action.CONSENT_ASK, actor, visit, subject=request, purpose=purpose))
        phase = self._may_ask()
        asked = consent.ask(request, purpose, me.id, [person.id for person in visit.admitted()])
        visit.recording = RecordingState(phase=phase, consent=asked, retention_days=days)
        for person in visit.admitted():
            self.put_question(person)
        desk.tell(visit)
        return request

    def _may_ask(self) -> RecordingPhase:
        phase = after(RECORDING, self.state.phase, RecordingStep.ASK)
        if len(list(self._visit.admitted())) < consent.FEWEST:
            raise NobodyElse
        if self._visit.unseen():
            raise IdentityOpen
        return phase

    def put_question(self, person: Person) -> None:
        """Show somebody the open question, in their language, if they owe an answer."""
        asked = self.state.consent
        if asked is None or person.id not in asked.waits_for() or not person.online:
            return
        asker = self._visit.people.get(asked.asker)
        text = consent_text(person.language)
        payload = {
            "request": asked.request,
            "by": {
                "name": asker.name if asker else self._visit.clinician_name,
                "role": asker.role if asker else "clinician",
            },
            "purpose": asked.purpose,
            "text": text.text,
            "version": text.version,
            "sha256": text.sha256,
            "language": text.language,
            "retention_days": self.state.retention_days,
        }
        self._desk.send(person.id, "consent.asked", payload)

    async def answer(self, here: Here, request: str, answer: Answer, receipt: str, signature: str) -> None:
        """A signed yes or no. Raises NotAdmitted, NotAsked, AlreadyAnswered, ReceiptInvalid, LogUnavailable."""
        me = self._visit.inside(here)
        asked = self._awaited(me, request)
        text = consent_text(me.language)
        signed = self._signed(me, asked, answer, text, receipt, signature)
        if answer is Answer.NO:
            self._declined(me, request)
        await self._write_answer(here, asked, answer, text, signed)
        if answer is Answer.YES:
            self._agreed(me, request, text)

    def _awaited(self, me: Person, request: str) -> Consent:
        asked = self.state.consent
        if asked is None:
            raise NotAsked
        asked.may_answer(me.id, request)
        return asked

    def _signed(
        self, me: Person, asked: Consent, answer: Answer, text: ConsentText, receipt: str, signature: str
    ) -> Receipt:
        if me.key is None:
            raise ReceiptInvalid
        question = Question(
            visit=self._visit.id,
            participant=me.id,
            request=asked.request,
            answer=answer.value,
            sha256=text.sha256,
            version=text.version,
            language=text.language,
            purpose=asked.purpose,
        )
        return checked(question, me.key, receipt, signature)

    async def _write_answer(
        self, here: Here, asked: Consent, answer: Answer, text: ConsentText, signed: Receipt
    ) -> None:
        """A yes opens, so its entry comes first; a no has happened already."""
        visit, desk = self._visit, self._desk
        yes = answer is Answer.YES
        entry = visit_entry(
            Action.CONSENT_ANSWER if yes else Action.CONSENT_REFUSE,
            here.caller.actor(),
            visit,
            subject=asked.request,
            purpose=asked.purpose,
            detail={"answer": answer.value, "text": text.sha256, "version": text.version, "language": text.language},
        )
        await (desk.enter(entry) if yes else desk.enter_closing(entry))
        await desk.rooms.store.add_consent(
            ConsentRow(
                id=new_id(Kind.CONSENT),
                visit=visit.id,
                request=asked.request,
                participant=here.participant,
                answer=answer.value,
                version=text.version,
                sha256=text.sha256,
                language=text.language,
                purpose=asked.purpose,
                at=desk.rooms.clock.now(),
                receipt=signed.text,
                signature=signed.signature,
            )
        )

    def _agreed(self, person: Person, request: str, text: ConsentText) -> None:
        """One yes that is written down. With the last one the recorder begins, or goes on."""
        state = self.state
        state.consent = self._awaited(person, request).answered(person.id, request, Answer.YES)
        state.answers[person.id] = Yes(person.id, self._desk.rooms.clock.now(), text.sha256, text.version)
        if state.consent.standing is Standing.GIVEN:
            if state.phase is RecordingPhase.ASKING:
                state.phase = after(RECORDING, state.phase, RecordingStep.CONSENT)
                self.run.begin()
            elif set(state.consent.answers) <= state.parties:
                self.run.clear("consent")
            else:
                self.run.restart()
        self._desk.tell(self._visit)

    def _declined(self, person: Person, request: str) -> None:
        """One no: the request is over, and with it a recording that waited for this answer."""
        self._awaited(person, request)
        self.run.finish("declined")

    async def withdraw(self, here: Here) -> None:
        """A yes taken back: from here on nothing more is stored of anybody. Raises NotAdmitted, WrongState."""
        me, state, desk = self._visit.inside(here), self.state, self._desk
        asked = state.consent
        if asked is None or me.id not in asked.answers or not allows(RECORDING, state.phase, RecordingStep.STOP):
            raise WrongState
        self.run.finish("withdrawn")
        text = consent_text(me.language)
        await desk.enter_closing(
            visit_entry(
                Action.CONSENT_WITHDRAW,
                here.caller.actor(),
                self._visit,
                subject=asked.request,
                recording=state.recording,
                purpose=asked.purpose,
            )
        )
        await desk.rooms.store.add_consent(
            ConsentRow(
                id=new_id(Kind.CONSENT),
                visit=self._visit.id,
                request=asked.request,
                participant=me.id,
                answer="withdrawn",
                version=text.version,
                sha256=text.sha256,
                language=text.language,
                purpose=asked.purpose,
                at=desk.rooms.clock.now(),
            )
        )

    # What people's comings and goings mean for it.

    async def make_room(self) -> None:
        """Somebody is about to be admitted: capture pauses first, for they have not consented."""
        if self.state.phase in CAPTURING:
            await self.run.hold_now("consent")

    def nobody_came(self) -> None:
        """Whoever it paused for went before they were in: with everybody's yes it goes on."""
        consented = self.state.consent
        if consented is not None and consented.standing is Standing.GIVEN:
            self.run.clear("consent")

    def joined(self, person: Person) -> None:
        """Somebody was admitted while the question is open or the recording runs: they are asked too."""
        state = self.state
        if state.consent is not None:
            state.consent = state.consent.joined(person.id)
            if state.phase in CAPTURING and "consent" not in state.pauses:
                self.run.hold("consent")
            self.put_question(person)

    def returned(self, person: Person) -> None:
        """Somebody is back in time: their question is put again."""
        state = self.state
        self.put_question(person)
        if state.consent is not None and state.consent.asker == person.id:
            state.forget_timer("starter")
            self.run.clear("starter_lost")

    def dropped(self, person: Person) -> None:
        """Somebody's connection is lost: with the starter's the recording pauses, and ends if they stay away."""
        state = self.state
        if state.phase in CAPTURING and state.consent is not None and state.consent.asker == person.id:
            self.run.hold("starter_lost")
            self.run.watch_starter()

    def departed(self, person: Person, reason: str) -> None:
        """Somebody is gone, and their answer with them. Without the starter or anybody else to record it ends."""
        state = self.state
        if state.consent is None or person.id not in state.consent.answers:
            return
        state.answers.pop(person.id, None)
        state.consent = state.consent.departed(person.id)
        if state.consent.asker == person.id:
            self.run.finish("starter_lost" if reason == "away" else "starter_left")
        elif len(state.consent.answers) < consent.FEWEST:
            self.run.finish("left")
        elif state.consent.standing is Standing.GIVEN:
            self.run.clear("consent")

    # The clinician's buttons.

    async def pause(self, here: Here) -> None:
        """Raises ClinicianOnly, WrongState."""
        visit = self._visit
        visit.clinician(here)
        self.run.hold("paused")
        actor, recording = here.caller.actor(), self.state.recording
        await self._desk.enter_closing(visit_entry(Action.RECORDING_PAUSE, actor, visit, recording=recording))

    async def resume(self, here: Here) -> None:
        """Raises ClinicianOnly, WrongState, LogUnavailable."""
        visit = self._visit
        visit.clinician(here)
        if "paused" not in self.state.pauses:
            raise WrongState
        actor, recording = here.caller.actor(), self.state.recording
        await self._desk.enter(visit_entry(Action.RECORDING_RESUME, actor, visit, recording=recording))
        self.run.clear("paused")

    async def stop(self, here: Here) -> None:
        """Raises ClinicianOnly, WrongState."""
        visit, state = self._visit, self.state
        visit.clinician(here)
        if not allows(RECORDING, state.phase, RecordingStep.STOP):
            raise WrongState
        self.run.finish("stopped")
        actor = here.caller.actor()
        await self._desk.enter_closing(visit_entry(Action.RECORDING_STOP, actor, visit, recording=state.recording))
