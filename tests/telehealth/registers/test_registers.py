"""Registers: clocks that are right to the day, changes that are entered, reminders that come once."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from telehealth.access import Caller, Refused, command_line
from telehealth.audit.actions import Action
from telehealth.audit.details import FileDetailKeys
from telehealth.audit.log import AuditLog, Limits
from telehealth.errors import Malformed, NotFound
from telehealth.keys.fields import FieldCipher
from telehealth.registers.clock import stage as stage_of
from telehealth.registers.clock import standing
from telehealth.registers.faults import NoticesOwed, RegisterChanged, RegisterFull
from telehealth.registers.forms import Associate, Finding, Incident, Notice
from telehealth.registers.room import Registers
from telehealth.registers.table import as_csv, changes, plain
from telehealth.secret import Secret
from telehealth.store.engine import Store
from tests.partners.databases import Databases

NOW = datetime(2031, 5, 6, 22, 30, tzinfo=UTC)  # the seventh in Berlin
TODAY = date(2031, 5, 7)
CLI = command_line()
ALERT = "alr_" + "a" * 26
QUICK = Limits(retry_every=0.005, brief=2.0, throttle_tick=0.005)


class SteppedClock:
    def __init__(self) -> None:
        self.moment = NOW

    def now(self) -> datetime:
        return self.moment

    def steady(self) -> float:
        return (self.moment - NOW).total_seconds()


class Office:
    """The registers over a real log and database, in Berlin."""

    def __init__(self, store: Store, audit: AuditLog, clock: SteppedClock) -> None:
        self.store, self.audit, self.clock = store, audit, clock
        fields = FieldCipher(Secret(b"f" * 32), Secret(b"l" * 32))
        self.room = Registers(
            store=store, audit=audit, clock=clock, fields=fields, zone=ZoneInfo("Europe/Berlin"), entropy=os.urandom
        )

    async def entries(self, action: Action) -> list[Any]:
        return [one for one in await self.audit.entries(limit=1000) if one.action == action]


@pytest.fixture
async def office(databases: Databases, tmp_path: Path) -> AsyncIterator[Office]:
    """On SQLite and on PostgreSQL."""
    clock = SteppedClock()
    audit = await AuditLog.open(
        tmp_path / "audit",
        signing_key=Secret(b"s" * 32),
        pseudonym_key=Secret(b"p" * 32),
        detail_keys=FileDetailKeys(tmp_path / "detail-keys", Secret(b"w" * 32)),
        clock=clock,
        origin="log.example/audit",
        limits=QUICK,
    )
    store = await asyncio.to_thread(Store.open, await asyncio.to_thread(databases.of, tmp_path))
    yield Office(store, audit, clock)
    await store.close()
    await audit.close()


def associate(**more: Any) -> Associate:
    return Associate(
        **{"name": "Host", "service": "hosting", "agreed_on": TODAY, "review_on": date(2032, 1, 31), **more}
    )


def incident(**more: Any) -> Incident:
    return Incident(**{"title": "Stolen laptop", "discovered_on": date(2031, 5, 1), **more})


def finding(**more: Any) -> Finding:
    values = {"title": "Old TLS", "severity": "high", "found_on": date(2031, 5, 1), "owner": "IT", "due_on": TODAY}
    return Finding(**{**values, **more})


def by(form: Incident) -> dict[str, date]:
    return {one.what: one.by for one in standing(form).deadlines}


def test_sixty_calendar_days_from_the_discovery() -> None:
    assert by(incident(people=500)) == {"individuals": date(2031, 6, 30), "secretary": date(2031, 6, 30)}
    assert by(incident(people=501))["media"] == date(2031, 6, 30)
    assert by(incident(people=None)) == {"individuals": date(2031, 6, 30), "secretary": date(2031, 6, 30)}
    few = by(incident(people=499))
    assert few == {"individuals": date(2031, 6, 30), "secretary": date(2032, 2, 29)}  # 60 days after the year
    assert by(incident(people=9000, people_in_one_state=500)).keys() == {"individuals", "secretary"}
    assert by(incident(people=0)) == {}
    assert by(incident(assessment="no_breach", people=9)) == {}


def test_states_follow_from_what_was_done() -> None:
    sent = (Notice(to="individuals", on=TODAY), Notice(to="secretary", on=TODAY))
    assert standing(incident()).state == "open"
    assert standing(incident(assessment="breach", people=5)).state == "notify"
    half = standing(incident(assessment="breach", people=5, notices=sent[:1]))
    assert (half.state, half.due_on) == ("notify", date(2032, 2, 29))
    assert standing(incident(assessment="breach", people=5, notices=sent)).state == "notified"
    assert standing(incident(assessment="breach", people=5, notices=sent, closed_on=TODAY)).due_on is None
    assert standing(associate()).state == "active"
    assert standing(associate(agreed_on=None)).state == "no_agreement"
    assert standing(associate(ended_on=TODAY)).due_on is None
    assert standing(finding(closed_on=TODAY, outcome="fixed")).due_on is None


def test_reminders_come_ahead_on_the_day_and_every_week() -> None:
    due = date(2031, 6, 30)
    days = {days: stage_of("incidents", due, due + timedelta(days=days)) for days in (-21, -20, -1, 0, 6, 7, 13, 14)}
    assert days == {-21: None, -20: "soon", -1: "soon", 0: "due", 6: "due", 7: "over_1", 13: "over_1", 14: "over_2"}


@pytest.mark.parametrize(
    "odd",
    [
        {"closed_on": TODAY},
        {"outcome": "fixed"},
        {"closed_on": date(2031, 4, 1), "outcome": "fixed"},
        {"title": ""},
        {"title": "a\x00b"},
        {"title": "x" * 201},
        {"severity": "awful"},
        {"due_on": "9999-12-31"},
        {"more": 1},
    ],
)
def test_what_does_not_fit_is_no_finding(odd: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        finding(**odd)


async def test_an_incident_is_closed_only_when_nobody_waits(office: Office) -> None:
    item = await office.room.add(CLI, "incidents", incident(people=3))
    with pytest.raises(NoticesOwed):
        await office.room.change(CLI, "incidents", item.id, 0, incident(people=3, closed_on=TODAY))
    owed = {"people": 3, "assessment": "breach", "closed_on": TODAY}
    with pytest.raises(NoticesOwed):
        await office.room.change(CLI, "incidents", item.id, 0, incident(**owed))
    sent = (Notice(to="individuals", on=TODAY), Notice(to="secretary", on=TODAY, how="form"))
    closed = await office.room.change(CLI, "incidents", item.id, 0, incident(**owed, notices=sent))
    assert (closed.standing.state, closed.standing.due_on, closed.revision) == ("closed", None, 1)


async def test_nothing_has_happened_tomorrow(office: Office) -> None:
    tomorrow = TODAY + timedelta(days=1)
    await office.room.add(CLI, "incidents", incident(discovered_on=TODAY))  # already today in the clinic's zone
    for form in (incident(discovered_on=tomorrow), incident(notices=(Notice(to="media", on=tomorrow),))):
        with pytest.raises(Malformed):
            await office.room.add(CLI, "incidents", form)


async def test_a_change_is_entered_with_its_codes_before_and_after_and_no_words(office: Office) -> None:
    item = await office.room.add(CLI, "findings", finding(note="secret words"))
    changed = finding(severity="low", due_on=date(2031, 9, 1), note="others", owner="Ops")
    await office.room.change(CLI, "findings", item.id, 0, changed)
    intent, done = await office.entries(Action.REGISTER_CHANGE)
    assert (intent.outcome, done.outcome, intent.subject) == ("intent", "done", item.id)
    assert dict(intent.detail) == {
        "register": "findings",
        "severity_before": "high",
        "severity_after": "low",
        "due_on_before": "2031-05-07",
        "due_on_after": "2031-09-01",
        "note": "changed",
        "owner": "changed",
    }
    log = b"".join(path.read_bytes() for path in sorted(office_files(office)))
    assert b"secret words" not in log


def office_files(office: Office) -> list[Path]:
    layout, _ = office.audit.place
    return [path for path in Path(layout.folder).rglob("*") if path.is_file()]


async def test_who_changes_what_somebody_else_changed_is_refused(office: Office) -> None:
    item = await office.room.add(CLI, "associates", associate())
    await office.room.change(CLI, "associates", item.id, 0, associate(service="backups"))
    with pytest.raises(RegisterChanged):
        await office.room.change(CLI, "associates", item.id, 0, associate(service="nothing"))
    with pytest.raises(NotFound):
        await office.room.change(CLI, "findings", item.id, 1, finding())
    (kept,) = await office.room.list(CLI, "associates")
    assert kept.form == associate(service="backups")


async def test_one_alert_makes_one_incident(office: Office) -> None:
    made = await asyncio.gather(*(office.room.add(CLI, "incidents", incident(alert=ALERT)) for _ in range(5)))
    assert len({one.id for one in made}) == 1
    with pytest.raises(Malformed):
        await office.room.change(CLI, "incidents", made[0].id, 0, incident(alert=None))


async def test_reminded_once_for_each_stage(office: Office) -> None:
    await office.room.add(CLI, "findings", finding(due_on=TODAY + timedelta(days=7)))
    await office.room.add(CLI, "associates", associate(review_on=TODAY + timedelta(days=31)))
    told = []
    for _ in range(30):
        told.append(await office.room.remind())
        assert await office.room.remind() == 0
        office.clock.moment += timedelta(days=1)
    entries = [(one.detail["register"], one.detail["stage"]) for one in await office.entries(Action.REGISTER_REMIND)]
    assert entries == [
        ("findings", "soon"),
        ("associates", "soon"),
        ("findings", "due"),
        ("findings", "over_1"),
        ("findings", "over_2"),
        ("findings", "over_3"),
    ]
    assert sum(told) == 6


async def test_who_may(office: Office) -> None:
    for role in ("clinician", "front_desk", "patient"):
        with pytest.raises(Refused):
            await office.room.list(Caller("user", "usr_x", role), "incidents")  # type: ignore[arg-type]
    auditor = Caller("user", "usr_x", "auditor")
    assert await office.room.list(auditor, "incidents") == []
    with pytest.raises(Refused):
        await office.room.add(auditor, "incidents", incident())


async def test_a_register_has_an_end(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telehealth.registers.room.MOST", 2)
    for _ in range(2):
        await office.room.add(CLI, "findings", finding())
    with pytest.raises(RegisterFull):
        await office.room.add(CLI, "findings", finding())


def test_a_spreadsheet_runs_nothing() -> None:
    form = finding(title="=HYPERLINK(1)", owner="@sum", note='a "quoted", line\nand another')
    text = as_csv("findings", [plain("reg_x", form, standing(form))])
    assert "'=HYPERLINK(1)" in text
    assert "'@sum" in text
    assert '"a ""quoted"", line\nand another"' in text
    assert text.splitlines()[0].startswith("id,title,source,severity")


def test_every_entry_of_a_change_is_made_of_codes() -> None:
    notices = tuple(
        Notice(to=to, on=TODAY) for to in ("individuals", "secretary", "media", "authority", "associate") * 9
    )
    said = changes(incident(), incident(people=2**31, alert=ALERT, notices=notices, title="Other"))
    assert all(isinstance(value, str | int | bool) and len(str(value)) <= 128 for value in said.values()), said
    assert said["title"] == "changed"
