"""Every act of the log is a FHIR AuditEvent that two validators of other hands accept."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from outward_samples import ADDRESS, DEVICE, NAME, ORIGIN, an_entry

from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.audit.leaf import Pseudonyms, Stamped, Stored, decode, encode
from telehealth.errors import Malformed
from telehealth.outward.codes import known, meaning
from telehealth.outward.fhir import OURS, Site, audit_event, profile
from telehealth.outward.fhir_search import Search, parse
from telehealth.secret import Secret
from tests.partners.fhir_validator import faults

AT = datetime(2031, 5, 6, 7, 8, 9, 123_000, tzinfo=UTC)
SITE = Site(ORIGIN, "visits.example")
PSEUDONYMS = Pseudonyms(Secret(b"p" * 32))


def stored(index: int = 0, **changes: Any) -> Stored:
    entry = an_entry(index, **changes)
    return decode(index, encode(Stamped(entry, AT, f"{index:032x}"), PSEUDONYMS, "ab" * 32))


def bare(action: Action, outcome: Outcome) -> Entry:
    return Entry(action, outcome, Actor("stranger"))


def test_every_act_has_a_row_of_its_own_or_of_its_family() -> None:
    assert [act.value for act in Action if known(act.value) is None] == []


def test_every_act_and_outcome_is_a_resource_that_both_partners_accept() -> None:
    found: list[Stored] = []
    for act in Action:
        for outcome in Outcome:
            full = an_entry(action=act, outcome=outcome, subject="usr_b", detail={"number": 3, "long": "x", "ok": True})
            for entry in (full, bare(act, outcome)):
                leaf = encode(Stamped(entry, AT, f"{len(found):032x}", late=bool(len(found) % 2)), PSEUDONYMS, None)
                found.append(decode(len(found), leaf))
    events = [audit_event(one, SITE, {"address": ADDRESS} if one.index % 3 else {}) for one in found]
    assert faults(events) == []
    assert len(events) == len(Action) * len(Outcome) * 2


def test_the_partners_find_what_is_wrong() -> None:
    event = audit_event(stored(), SITE, {})
    assert len(faults([{**event, "outcome": "17"}])) == 1
    assert faults([{**event, "colour": "blue"}])
    assert faults([{name: value for name, value in event.items() if name != "agent"}])


def test_a_reading_is_the_balp_patient_read() -> None:
    event = audit_event(stored(action=Action.RECORDING_READ), SITE, {})
    assert event["meta"]["profile"][0].endswith("IHE.BasicAudit.PatientRead")
    assert (event["type"]["code"], event["subtype"][0]["code"], event["action"]) == ("rest", "read", "R")
    assert event["outcome"] == "0"
    kinds = [agent["type"]["coding"][0]["code"] for agent in event["agent"]]
    assert kinds == ["IRCP", "110152", "110153"]  # user, client, server
    assert all(agent["network"] for agent in event["agent"][1:])
    assert event["agent"][0]["requestor"] is True
    sorts = [entity["type"]["code"] for entity in event["entity"]]
    assert (sorts.count("1"), sorts.count("2")) == (1, 1)  # one patient, one thing
    patient = event["entity"][0]
    assert (patient["role"]["code"], patient["what"]["type"]) == ("1", "Patient")


@pytest.mark.parametrize(
    ("action", "name"),
    [
        (Action.VISIT_CREATE, "PatientCreate"),
        (Action.VISIT_EDIT, "PatientUpdate"),
        (Action.RECORDING_DELETE, "PatientDelete"),
        (Action.JOIN, None),
        (Action.PLAYBACK_GRANT, None),
    ],
)
def test_a_profile_is_claimed_only_where_it_fits(action: Action, name: str | None) -> None:
    claimed = profile(stored(action=action))
    assert (claimed or "").rpartition(".")[2] == (name or "")
    assert profile(stored(action=action, outcome=Outcome.REFUSED)) is None
    assert profile(stored(action=action, visit=None, recording=None)) is None


def test_an_event_says_no_more_than_the_leaf_unless_details_may_be_shown() -> None:
    one = stored()
    plain = str(audit_event(one, SITE, {}))
    assert not any(canary in plain for canary in (NAME, ADDRESS, DEVICE, "pat_0"))
    assert "masked" in plain
    assert ADDRESS in str(audit_event(one, SITE, {"address": ADDRESS, "device": DEVICE}))


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("2031-05-06", True),
        ("2031-05", True),
        ("2031", True),
        ("eq2031-05-07", False),
        ("ge2031-05-06", True),
        ("gt2031-05-06", False),
        ("lt2031-05-06", False),
        ("le2031-05-06", True),
        ("sa2031-05-05", True),
        ("eb2031-06", True),
        ("2031-05-06T07:08Z", True),
        ("2031-05-06T07:08:09Z", True),
        ("2031-05-06T09:08:09+02:00", True),
        ("2031-05-06T07:08:09.123Z", True),
        ("gt2031-05-06T07:08:09.123Z", False),
        ("lt2031-05-06T07:08:09.123Z", False),
        ("ge2031-05-06T07:08:09.124Z", False),
        ("le2031-05-06T07:08:08Z", False),
    ],
)
def test_dates_mean_what_fhir_says(text: str, holds: bool) -> None:
    assert parse([("date", text)], strict=True).fits(stored()) is holds


def test_all_parameters_must_hold_and_commas_are_choices() -> None:
    one = stored()
    fitting = [
        [("patient", str(one.patient))],
        [("patient", f"Patient/{one.patient}")],
        [("patient:identifier", f"{OURS}patient|{one.patient}")],
        [("agent", "usr_b,usr_a")],
        [("entity", "rec_1"), ("entity", "vis_0")],
        [("action", "C,R"), ("type", "rest"), ("subtype", "read")],
        [("subtype", f"{OURS}action|recording.read")],
        [("outcome", "0")],
        [("_id", "0,5")],
        [("date", "ge2031"), ("date", "lt2032")],
    ]
    for pairs in fitting:
        assert parse(pairs, strict=True).fits(one), pairs
    failing = [("agent", "usr_b"), ("action", "C"), ("outcome", "8"), ("_id", "1"), ("entity", "https://x|rec_1")]
    for pair in failing:
        assert not parse([pair], strict=True).fits(one), pair
    assert not parse([("agent", "usr_a"), ("agent", "usr_b")], strict=True).fits(one)


@pytest.mark.parametrize(
    "pair",
    [
        ("date", "yesterday"),
        ("date", "ne2031"),
        ("date", "ap2031"),
        ("date", "2031-13"),
        ("date", "2031-02-30"),
        ("date", "9999-12-31"),
        ("date", "0000"),
        ("date", "2031-05-06T07:08"),
        ("date", "2031-05-06T25:08Z"),
        ("date:missing", "true"),
        ("patient", "Jane"),
        ("patient.name", "Jane"),
        ("_count", "0"),
        ("_count", "-1"),
        ("_count", "many"),
        ("_count", "9" * 40),
        ("_sort", "patient"),
        ("_format", "xml"),
        ("agent", "a b"),
        ("agent", ","),
        ("_after", "-1"),
        ("colour", "blue"),
        ("_count", "100000"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_the_name_of_its_parameter(pair: tuple[str, str]) -> None:
    with pytest.raises(Malformed) as refused:
        parse([pair], strict=True)
    assert refused.value.where == pair[0]
    assert pair[1] not in str(refused.value)


def test_a_lenient_search_leaves_out_what_it_does_not_know_and_says_so() -> None:
    found = parse([("colour", "blue"), ("date", "2031")], strict=False)
    assert found.ignored == ("colour",)
    assert found.asked == (("date", "2031"),)


def test_a_patients_key_becomes_the_pseudonym_in_the_log() -> None:
    key = "0f" * 32
    found = parse([("patient", f"{OURS}patient-key|{key}")], strict=True).resolved(PSEUDONYMS.patient)
    assert found.patients == {PSEUDONYMS.patient(key)}
    assert replace(found, patients=None) == replace(Search(), asked=found.asked)


def test_an_act_of_a_version_to_come_still_has_a_meaning() -> None:
    assert meaning("teleport.begin").kind.code == "110100"
