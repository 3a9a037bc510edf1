"""`telehealth audit story|report|disclosures|export`: what the log tells people, each reading entered first."""

import argparse
import json
import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from telehealth.access import command_line
from telehealth.audit.actions import Action
from telehealth.audit.entry import Code, Entry, Outcome
from telehealth.clock import parse_rfc3339, rfc3339
from telehealth.commands.grammar import Subparsers, verb
from telehealth.commands.said import USAGE, CommandRefused, Said, table

if TYPE_CHECKING:  # heavy, and not needed where a running server does the work
    from telehealth.audit.report import Told
    from telehealth.house import House

SIX_YEARS = timedelta(days=2192)
MOST_TOLD = 1000  # entries of one export; the control socket carries one MiB


def add(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    telling = verb(verbs, common, "story", "A visit in order, each act once.", housed=_story)
    telling.add_argument("visit", help="vis_…")
    reporting = verb(verbs, common, "report", "Who saw what of a patient's, when, why and from where.", housed=_report)
    reporting.add_argument("--bundle", action="store_true", help="the evidence bundle with proofs instead")
    giving = verb(verbs, common, "disclosures", "What left the house, six years back (45 CFR 164.528).", housed=_given)
    exporting = verb(verbs, common, "export", f"Entries as JSON lines, at most {MOST_TOLD} at once.", housed=_export)
    exporting.add_argument("--action", choices=[str(action) for action in Action], metavar="ACTION")
    exporting.add_argument("--outcome", choices=[str(outcome) for outcome in Outcome], metavar="OUTCOME")
    for name in ("actor", "visit", "recording"):
        exporting.add_argument(f"--{name}", help="its id")
    exporting.add_argument("--after", type=int, default=-1, help="go on after this index")
    for parser in (reporting, giving, exporting):
        parser.add_argument("--patient", metavar="NAME", help="the whole name")
        parser.add_argument(
            "--born", type=date.fromisoformat, metavar="YYYY-MM-DD", help="tells people of a name apart"
        )
        parser.add_argument("--record", help="the patient's number in the clinic's records, with or without a name")
        parser.add_argument("--key", type=_hash, help="what was shown where several people are called so")
        for name in ("since", "until"):
            parser.add_argument(f"--{name}", type=_moment, help="as in 2026-01-31T09:30:00Z")


def _moment(text: str) -> datetime:
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("needs a time with its offset, as in 2026-01-31T09:30:00Z") from error


async def _enter(house: "House", args: argparse.Namespace, action: Action, view: str, patient: str | None) -> None:
    times: dict[str, Code] = {
        f"by_{name}": rfc3339(moment) for name in ("since", "until") if (moment := getattr(args, name, None))
    }
    visit, recording = getattr(args, "visit", None), getattr(args, "recording", None)
    entry = Entry(
        action,
        Outcome.DONE,
        command_line().actor(),
        visit=visit,
        recording=recording,
        patient=patient,
        detail={"view": view, **times},
    )
    await house.log.enter(entry)


async def _names(house: "House", ids: Any) -> dict[str, str]:
    from telehealth.identity.naming import names_of

    return await names_of(house.people, house.tokens, ids)


def _hash(text: str) -> str:
    if re.fullmatch("[0-9a-f]{64}", text) is None:
        raise argparse.ArgumentTypeError("needs 64 hex digits")
    return text


async def _whose(house: "House", args: argparse.Namespace) -> str | None:
    """The key of the one person who is meant, None where nobody is named; the look-up is entered."""
    from telehealth.visits.namesakes import Namesakes

    name, born = (args.patient or "").strip() or None, args.born.isoformat() if args.born else None
    if args.key or (name is None and not args.record):
        if born:
            raise CommandRefused("usage", "Say --patient or --record beside --born.", exit_code=USAGE)
        return str(args.key) if args.key else None
    namesakes = Namesakes(house.base.store, house.base.fields, house.log)
    await _enter(house, args, Action.AUDIT_READ, "patients", None)
    found = await namesakes.find(name, born, args.record)
    if len(found) == 1:
        return found[0].key
    people = [
        f"--key {one.key}: born {one.birth_date or '?'}, record {one.record or '–'}, {one.visits} visits"
        for one in found
    ]
    said = "\n".join([f"{len(found)} people fit:", *people])
    raise CommandRefused("several_people", said, "Say --key, --born or --record.", exit_code=USAGE)


async def _story(house: "House", args: argparse.Namespace) -> Said:
    from telehealth.audit.report import story
    from telehealth.ids import Kind, is_id

    if not is_id(Kind.VISIT, args.visit):
        raise CommandRefused("usage", "Say which visit: vis_… as in `telehealth visit list`.", exit_code=USAGE)
    await _enter(house, args, Action.AUDIT_READ, "story", None)
    return _said(await story(house.log, lambda ids: _names(house, ids), args.visit))


async def _report(house: "House", args: argparse.Namespace) -> Said:
    from telehealth.audit.bundle import evidence, written
    from telehealth.audit.report import access_report

    patient = await _whose(house, args)
    if patient is None:
        raise CommandRefused("usage", "Say whose: --patient NAME or --record NUMBER.", exit_code=USAGE)
    action = Action.AUDIT_EXPORT if args.bundle else Action.AUDIT_READ
    await _enter(house, args, action, "report.bundle" if args.bundle else "report", patient)
    acts = await access_report(house.log, lambda ids: _names(house, ids), patient, args.since, args.until)
    if args.bundle:
        bundle = await evidence(house.log, [index for one in acts for index in one.line.indexes])
        return Said(bundle, [written(bundle)])
    return _said(acts)


async def _given(house: "House", args: argparse.Namespace) -> Said:
    from telehealth.audit.report import disclosures

    patient = await _whose(house, args)
    args.since = args.since or house.clock.now() - SIX_YEARS
    await _enter(house, args, Action.AUDIT_READ, "disclosures", patient)
    return _said(await disclosures(house.log, lambda ids: _names(house, ids), patient, args.since, args.until))


async def _export(house: "House", args: argparse.Namespace) -> Said:
    from telehealth.audit.reading import EntryFilter
    from telehealth.commands.audit import item

    patient = await _whose(house, args)
    await _enter(house, args, Action.AUDIT_EXPORT, "jsonl", patient)
    only = EntryFilter(
        action=Action(args.action) if args.action else None,
        outcome=Outcome(args.outcome) if args.outcome else None,
        actor=args.actor,
        patient=patient,
        visit=args.visit,
        recording=args.recording,
        since=args.since,
        until=args.until,
    )
    found = await house.log.entries(after=args.after, limit=MOST_TOLD, only=only)
    items = [item(stored) for stored in found]
    following = found[-1].index if len(found) == MOST_TOLD else None
    return Said({"items": items, "next": following}, [json.dumps(one, ensure_ascii=False) for one in items])


def _said(acts: Sequence["Told"]) -> Said:
    items = [_item(one) for one in acts]
    rows = [
        (each["at"], each["action"], each["outcome"], each["who"], each["purpose"], each["from"], each["what"])
        for each in items
    ]
    lines = table(("TIME", "ACTION", "OUTCOME", "WHO", "WHY", "FROM", "WHAT"), rows) if rows else ["No entries."]
    return Said({"items": items}, lines)


def _item(one: "Told") -> dict[str, Any]:
    stored, private = one.stored, one.private or {}
    return {
        "indexes": list(one.line.indexes),
        "at": rfc3339(stored.at),
        "action": stored.action,
        "outcome": stored.outcome,
        "meaning": str(one.meaning),
        "who": one.name or f"{stored.actor_role or stored.actor_kind} {stored.actor[:16]}".strip(),
        "purpose": stored.purpose,
        "from": private.get("address") or ("forgotten" if one.forgotten else None),
        "device": private.get("device"),
        "recipient": private.get("recipient") or ("patient" if stored.detail.get("for_patient") else None),
        "what": stored.recording or stored.visit,
        "visit": stored.visit,
        "recording": stored.recording,
        "detail": dict(stored.detail),
    }
