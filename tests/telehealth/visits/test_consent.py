"""Consent: only everyone present counts, in every order of events."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from telehealth.errors import NotFound
from telehealth.visits.consent import AlreadyAnswered, Answer, NotAsked, Standing, ask
from telehealth.visits.receipts import KeyInvalid, Question, ReceiptInvalid, checked, signing_key
from telehealth.visits.texts import consent_text, languages
from tests.telehealth.visits.visit_house import Key

PEOPLE = ("par_a", "par_b", "par_c")


class AnyOrder(RuleBasedStateMachine):
    """People come, go, answer and withdraw; a plain model says who agreed since they came last."""

    def __init__(self) -> None:
        super().__init__()
        self.consent = ask("con_1", "training", "par_a", ("par_a", "par_b"))
        self.yes: dict[str, bool] = {"par_a": False, "par_b": False}
        self.refused = False

    @rule(person=st.sampled_from(PEOPLE))
    def comes(self, person: str) -> None:
        self.consent = self.consent.joined(person)
        self.yes.setdefault(person, False)

    @rule(person=st.sampled_from(PEOPLE))
    def goes(self, person: str) -> None:
        self.consent = self.consent.departed(person)
        self.yes.pop(person, None)

    @rule(person=st.sampled_from(PEOPLE), answer=st.sampled_from(Answer))
    def answers(self, person: str, answer: Answer) -> None:
        try:
            self.consent = self.consent.answered(person, "con_1", answer)
        except NotAsked:
            assert self.refused or person not in self.yes
        except AlreadyAnswered:
            assert self.yes[person]
        else:
            self.yes[person] = answer is Answer.YES
            self.refused |= answer is Answer.NO

    @rule(person=st.sampled_from(PEOPLE))
    def withdraws(self, person: str) -> None:
        if person in self.yes:
            self.consent = self.consent.withdrawn(person)
            self.yes[person], self.refused = False, True

    @invariant()
    def given_exactly_when_everyone_present_agreed(self) -> None:
        everyone = len(self.yes) >= 2 and all(self.yes.values()) and not self.refused
        assert (self.consent.standing is Standing.GIVEN) is everyone

    @invariant()
    def a_no_is_the_end(self) -> None:
        assert (self.consent.standing is Standing.REFUSED) is self.refused


TestAnyOrder = AnyOrder.TestCase


def test_an_answer_to_another_question_does_not_count() -> None:
    with pytest.raises(NotAsked):
        ask("con_1", "training", "par_a", PEOPLE).answered("par_a", "con_2", Answer.YES)


def test_every_language_has_its_text_and_hash() -> None:
    assert set(languages()) == {"en", "ar"}
    for language in languages():
        text = consent_text(f"{language}-XX")
        assert text.language == language
        assert text.sha256 == hashlib.sha256(text.text.encode()).hexdigest()
    assert consent_text("xx").language == "en"
    with pytest.raises(NotFound):
        consent_text("en", version="0")


KEY = Key()
ASKED = {"request": "con_1", "sha256": "00", "version": "1", "language": "en", "purpose": "training"}
QUESTION = Question(visit="vis_1", participant="par_a", answer="yes", **ASKED)


def test_a_receipt_that_the_key_signed_is_accepted() -> None:
    said = KEY.receipt(ASKED, "vis_1", "par_a", "yes")
    assert checked(QUESTION, signing_key(KEY.jwk), said["receipt"], said["signature"]).text == said["receipt"]


@pytest.mark.parametrize("field", ["visit", "participant", "request", "sha256", "version", "language", "purpose", "at"])
def test_a_receipt_that_says_something_else_is_refused(field: str) -> None:
    said = KEY.receipt(ASKED, "vis_1", "par_a", "yes", **{field: "other"})
    with pytest.raises(ReceiptInvalid):
        checked(QUESTION, signing_key(KEY.jwk), said["receipt"], said["signature"])


def test_a_receipt_signed_by_another_key_is_refused() -> None:
    said = Key().receipt(ASKED, "vis_1", "par_a", "yes")
    with pytest.raises(ReceiptInvalid):
        checked(QUESTION, signing_key(KEY.jwk), said["receipt"], said["signature"])


@given(text=st.text(max_size=60), signature=st.text(max_size=90))
def test_whatever_comes_as_a_receipt_is_refused(text: str, signature: str) -> None:
    with pytest.raises(ReceiptInvalid):
        checked(QUESTION, signing_key(KEY.jwk), text, signature)


@given(st.dictionaries(st.sampled_from(["kty", "crv", "x", "y"]), st.text(max_size=50)))
def test_whatever_comes_as_a_key_is_refused(jwk: dict[str, str]) -> None:
    with pytest.raises(KeyInvalid):
        signing_key({"kty": "EC", "crv": "P-256", **jwk} if len(jwk) < 4 else jwk)


def test_a_point_beside_the_curve_is_refused() -> None:
    with pytest.raises(KeyInvalid):
        signing_key({**KEY.jwk, "y": KEY.jwk["x"]})
