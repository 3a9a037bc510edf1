"""`telehealth alerts`: what waits for somebody, what the rules say, the weekly review, an incident's report."""

import argparse
import asyncio
import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telehealth.access import command_line
from telehealth.alerts.rules import SHIPPED
from telehealth.clock import rfc3339
from telehealth.commands.grammar import Subparsers, noun, verb
from telehealth.commands.said import FAILED, OK, CommandRefused, Said, table
from telehealth.durable import private_folder
from telehealth.ids import Kind, is_id

if TYPE_CHECKING:  # heavy, and not needed where a running server does the work
    from telehealth.alerts.reviewing import WeekView
    from telehealth.alerts.room import AlertView
    from telehealth.house import House


def add(nouns: Subparsers, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = noun(nouns, "alerts", "Alerts, their rules, and the weekly review.")
    listing = verb(verbs, common, "list", "Alerts, newest first. Exit code 1 while one is open.", housed=_list)
    listing.add_argument("--state", choices=("open", "past", "all"), default="open")
    listing.add_argument("--limit", type=int, default=50, help="how many (default 50, at most 200)")
    acknowledging = verb(verbs, common, "acknowledge", "Take an alert on.", housed=_acknowledge)
    acknowledging.add_argument("alert", help="its id (alr_…)")
    acknowledging.add_argument("--note", required=True, help="what was found and done; no patient's name")
    verb(verbs, common, "rules", "The rules in force.", housed=_rules)
    trying = verb(verbs, common, "try", "What the rules would have said of the past days.", housed=_try)
    trying.add_argument("--days", type=int, default=7, help="default 7, at most 90")
    trying.add_argument("--rule", choices=[rule.name for rule in SHIPPED], metavar="RULE", help="only this one")
    reviewing = verb(verbs, common, "review", "A week in figures, as somebody signs it in the pages.", housed=_review)
    reviewing.add_argument("week", nargs="?", help="as in 2026-W47 (default: the newest that is over)")
    reporting = verb(
        verbs, common, "incident", "Open an incident from an alert: a report as 45 CFR 164.404 asks.", housed=_incident
    )
    reporting.add_argument("alert", help="its id (alr_…)")
    reporting.add_argument("--days", type=int, default=7, help="how far back its acts are gathered (default 7)")
    reporting.add_argument("--to", type=Path, required=True, help="folder for the report; it names patients")


def _known(name: str) -> str:
    if not is_id(Kind.ALERT, name):
        raise CommandRefused("unknown_alert", "There is no such alert.", "See: telehealth alerts list --state all")
    return name


def _plain(found: Any) -> Any:
    """Dataclasses as JSON, times in RFC 3339."""
    return json.loads(json.dumps(asdict(found), default=_said))


def _said(one: object) -> str:
    return rfc3339(one) if isinstance(one, datetime) else str(one)


async def _list(house: "House", args: argparse.Namespace) -> Said:
    opened = {"open": True, "past": False, "all": None}[args.state]
    found = await house.alerting.room.find(command_line(), opened, limit=max(1, min(args.limit, 200)))
    rows = [_row(one) for one in found.items]
    lines = table(("ID", "SEVERITY", "RULE", "ABOUT", "TIMES", "SINCE", "ACKNOWLEDGED"), rows)
    waiting = any(one.acknowledged_at is None for one in found.items)
    data = {"items": [_plain(one) for one in found.items], "next": found.next}
    if not rows:
        return Said(data, ["No alerts."], OK)
    return Said(data, [*lines, "Next: telehealth alerts acknowledge ID --note …"], FAILED if waiting else OK)


def _row(one: "AlertView") -> tuple[object, ...]:
    about = one.subject_name or one.about.get("address") or one.subject
    return one.id, one.severity, one.rule, about, one.times, rfc3339(one.raised_at), one.acknowledged_by


async def _acknowledge(house: "House", args: argparse.Namespace) -> Said:
    note = args.note.strip()[:500]
    if not note:
        raise CommandRefused("usage", "The note is empty.")
    seen = await house.alerting.room.acknowledge(command_line(), _known(args.alert), note)
    return Said(_plain(seen), [f"Acknowledged {seen.id} ({seen.rule})."])


async def _rules(house: "House", _args: argparse.Namespace) -> Said:
    rules = house.alerting.room.rules(command_line())
    rows = [(rule.name, rule.severity, rule.kind, rule.least, rule.minutes, rule.title) for rule in rules]
    lines = table(("RULE", "SEVERITY", "KIND", "LEAST", "MINUTES", "SAYS"), rows)
    data = {"items": [rule.model_dump(mode="json") for rule in rules]}
    return Said(data, [*lines, "Change them under [alerts] rules. Next: telehealth alerts try"])


async def _try(house: "House", args: argparse.Namespace) -> Said:
    if not 1 <= args.days <= 90:
        raise CommandRefused("usage", "--days is 1 to 90.")
    tried = await house.alerting.room.try_rules(command_line(), args.days, args.rule)
    newest = {
        rule: [{"at": rfc3339(one.at), "subject": one.subject, "entry": one.index} for one in found]
        for rule, found in tried.samples.items()
    }
    data = {"entries": tried.entries, "cut": tried.cut, "fired": dict(tried.fired), "newest": newest}
    rows = [(rule, times, newest[rule][-1]["at"]) for rule, times in sorted(tried.fired.items())]
    head = (
        f"{tried.entries} entries of {args.days} days read{' (the newest alone)' if tried.cut else ''}; nothing raised."
    )
    return Said(data, [head, *(table(("RULE", "TIMES", "LAST"), rows) if rows else ["No rule would have fired."])])


async def _review(house: "House", args: argparse.Namespace) -> Said:
    found = await house.alerting.room.reviews.show(command_line(), args.week)
    return Said(_plain(found), _week_lines(found))


def _week_lines(found: "WeekView") -> list[str]:
    counts = [(name.replace("_", " "), number) for name, number in found.summary["counts"].items()]
    raised = found.summary["alerts"]
    cases = [f"  case {case.entry}: {case.action} by {case.actor}: {case.verdict or 'OPEN'}" for case in found.cases]
    signed = (
        f"Signed by {found.signed.by} at {rfc3339(found.signed.at)}."
        if found.signed
        else "Not signed: somebody who signed in does that at /alerts."
    )
    return [
        f"Week {found.week}{'' if found.over else ' (not over yet)'}",
        *table(("WHAT", "TIMES"), counts),
        f"Alerts: {raised['raised']}, open: {len(raised['open'])}, critical: {raised['critical']}",
        *(["Break-glass cases:", *cases] if cases else ["No break-glass cases."]),
        signed,
        f"SHA-256 {found.sha256}",
    ]


async def _incident(house: "House", args: argparse.Namespace) -> Said:
    if not args.to.is_absolute():
        raise CommandRefused("usage", "--to is a whole path, from / on.")
    days = max(1, min(args.days, 366))
    report = await house.stewardship.incidents.open(command_line(), _known(args.alert), days=days)
    place = args.to / f"{args.alert}.json"
    await asyncio.to_thread(_written, place, json.dumps(report, ensure_ascii=False, indent=2))
    lines = [f"Incident opened; its report is in {place}.", "It names patients: keep it as you keep their files."]
    lines.append(f"Its clock runs: telehealth register show incidents {report['register']}")
    told = {"alert": args.alert, "report": str(place), "register": report["register"]}
    return Said({**told, "patients": len(report["whose"]["patients"])}, lines)


def _written(place: Path, text: str) -> None:
    private_folder(place.parent)
    place.touch(mode=0o600)
    place.write_text(text, "utf-8")
