"""Who of those present has said yes to one request to record: pure, so that every order of events can be tried."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from telehealth.errors import Reason, Refusal

FEWEST = 2  # one person alone is no visit to record


class Answer(StrEnum):
    YES = "yes"
    NO = "no"


class Standing(StrEnum):
    """Where a request stands. Only GIVEN lets anything be written."""

    OPEN = "open"
    GIVEN = "given"
    REFUSED = "refused"


class NotAsked(Refusal):
    code = "not_asked"
    reason = Reason.CONFLICT
    message = "There is no such question open for you."


class AlreadyAnswered(Refusal):
    code = "already_answered"
    reason = Reason.CONFLICT
    message = "You have already answered."


@dataclass(frozen=True, slots=True)
class Consent:
    """One request and the answers of exactly those who are present now."""

    request: str
    purpose: str
    asker: str
    answers: Mapping[str, Answer | None]
    refused_by: str | None = None

    @property
    def standing(self) -> Standing:
        if self.refused_by is not None:
            return Standing.REFUSED
        if len(self.answers) >= FEWEST and all(answer is Answer.YES for answer in self.answers.values()):
            return Standing.GIVEN
        return Standing.OPEN

    def waits_for(self) -> tuple[str, ...]:
        """Those present who have not answered."""
        return tuple(person for person, answer in self.answers.items() if answer is None)

    def may_answer(self, participant: str, request: str) -> None:
        """Raise unless this answer is awaited: NotAsked, AlreadyAnswered."""
        if request != self.request or participant not in self.answers or self.refused_by is not None:
            raise NotAsked
        if self.answers[participant] is not None:
            raise AlreadyAnswered

    def answered(self, participant: str, request: str, answer: Answer) -> "Consent":
        """One answer given. Raises NotAsked, AlreadyAnswered."""
        self.may_answer(participant, request)
        refused = participant if answer is Answer.NO else None
        return replace(self, answers=_frozen({**self.answers, participant: answer}), refused_by=refused)

    def joined(self, participant: str) -> "Consent":
        """Somebody more is present: until they answer, nothing is given. Whoever is present already stays as is."""
        if participant in self.answers:
            return self
        return replace(self, answers=_frozen({**self.answers, participant: None}))

    def departed(self, participant: str) -> "Consent":
        """Somebody is gone, and their answer with them: back again, they are asked again."""
        return replace(self, answers=_frozen({key: value for key, value in self.answers.items() if key != participant}))

    def withdrawn(self, participant: str) -> "Consent":
        """One yes taken back, or refused outright: the request is over for all. Raises NotAsked."""
        if participant not in self.answers:
            raise NotAsked
        return replace(self, answers=_frozen({**self.answers, participant: Answer.NO}), refused_by=participant)


def ask(request: str, purpose: str, asker: str, present: Iterable[str]) -> Consent:
    """A new question to everyone present, the asker included."""
    return Consent(request, purpose, asker, _frozen(dict.fromkeys(present)))


def _frozen(answers: dict[str, Answer | None]) -> Mapping[str, Answer | None]:
    return MappingProxyType(answers)
