"""`telehealth access`: who may do what, and why; emergency access."""

import argparse
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from telehealth.access import PURPOSES, RULES, Action, Caller, Kind, Object, command_line, judged, may
from telehealth.access.words import REASON_WORDS, RULE_WORDS
from telehealth.audit.actions import Action as Entered
from telehealth.audit.entry import Entry, Outcome
from telehealth.clock import parse_rfc3339, rfc3339
from telehealth.commands.grammar import Subparsers, noun, verb
from telehealth.commands.said import CommandRefused, Said, table
from telehealth.commands.users import find_user
from telehealth.config import Config
from telehealth.errors import NotFound

if TYPE_CHECKING:  # heavy, and not needed where a running server does the work
    from telehealth.house import House

_MARK = {"pass": "ok", "alert": "ok, noticed", "refuse": "REFUSED"}


def add(nouns: Subparsers, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = noun(nouns, "access", "Who may do what, and why.")
    why = verb(verbs, common, "explain", "A dry run: what every rule says about one request.", housed=_explain)
    why.add_argument("user", help="sign-in name or id")
    why.add_argument("action", choices=[action.value for action in Action], metavar="ACTION", help="as in the matrix")
    why.add_argument("object", help="id of a visit or recording, or - for none")
    why.add_argument("--at", help="when, as in 2026-01-31T09:30:00Z (default: now)")
    why.add_argument("--from", dest="address", help="address they come from")
    why.add_argument("--purpose", choices=sorted(PURPOSES), help="what they say they need it for")
    why.add_argument("--unknown-device", action="store_true", help="from a browser that is not known as theirs")
    why.add_argument("--proved", type=int, default=0, metavar="MINUTES", help="since they proved two factors")
    verb(verbs, common, "matrix", "The table of roles and actions, and the clinic's bounds.", local=_matrix)
    verb(verbs, common, "glasses", "Emergency access, newest first.", housed=_glasses)
    verb(verbs, common, "close", "End an emergency access before its time.", housed=_close).add_argument("glass")


def _moment(text: str | None, now: datetime) -> datetime:
    try:
        return now if text is None else parse_rfc3339(text)
    except ValueError as error:
        raise CommandRefused("usage", "--at needs a time with its offset, as in 2026-01-31T09:30:00Z.") from error


async def _object(house: "House", wanted: str) -> Object:
    try:
        if wanted.startswith("vis_"):
            return (await house.care.rooms.thing(wanted))[1]
        if wanted.startswith("rec_"):
            row = await house.recordings.catalogue.recording(wanted)
            return await house.recordings.catalogue.object_of(row, house.clock.now())
    except NotFound as error:
        raise CommandRefused("not_found", "There is no such visit or recording.") from error
    return Object() if wanted == "-" else Object(id=wanted)


async def _explain(house: "House", args: argparse.Namespace) -> Said:
    person, at = await find_user(house, args.user), _moment(args.at, house.clock.now())
    thing, action = await _object(house, args.object), Action(args.action)
    who = Caller("user", person.id, person.role, address=args.address, mfa_at=at - timedelta(minutes=args.proved))
    who = house.care.surroundings.about(who, at, device_known=not args.unknown_device)
    context = replace(who.context, purpose=args.purpose)
    found, verdict = judged(who, action, thing, context), may(who, action, thing, context)
    entry = Entry(
        Entered.ACCESS_EXPLAIN,
        Outcome.DONE,
        command_line().actor(),
        visit=thing.visit,
        recording=thing.id if thing.kind is Kind.RECORDING else None,
        subject=person.id,
        detail={"action": action.value},
    )
    await house.log.enter(entry)
    lines = [f"{person.login} ({person.role}), {action.value}, {thing.id or 'no object'}, at {rfc3339(at)}:"]
    if person.disabled:
        lines.append("  This account is disabled: they cannot even sign in. With an active account:")
    cells = [(_MARK[one.says], one.rule, RULE_WORDS[one.rule], REASON_WORDS[one.reason]) for one in found]
    lines += [f"  {line}" for line in table(("SAYS", "RULE", "QUESTION", "ANSWER"), cells)]
    end = "Allowed." if verdict else f"Refused by the rule {verdict.rule}: {REASON_WORDS[verdict.reason]}."
    data: dict[str, Any] = {
        "user": person.id,
        "role": person.role,
        "action": action.value,
        "object": {"kind": thing.kind.value, "id": thing.id},
        "at": rfc3339(at),
        "country": context.country,
        "allowed": verdict.allowed,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "alerts": list(verdict.alerts),
        "consulted": [{"rule": one.rule, "says": one.says, "reason": one.reason} for one in found],
    }
    return Said(data, [*lines, end])


def _matrix(_args: argparse.Namespace, config: Config) -> Said:
    roles = ("admin", "clinician", "auditor", "front_desk", "patient", "guest", "stranger")
    items = [
        {
            "action": action.value,
            **{role: _may_word(action, role) for role in roles},
            "scope": rule.scope or "",
            "purpose": rule.purpose,
            "fresh": rule.fresh,
        }
        for action, rule in RULES.items()
    ]
    cells = [(row["action"], *(row[role] or "-" for role in roles), row["scope"] or "-", _more(row)) for row in items]
    section = config.access.model_dump(mode="json")
    bounds = [f"  {name} = {value}" for name, value in section.items() if value not in ([], {}, None)]
    heads = ("ACTION", *(role.upper() for role in roles), "TOKEN SCOPE", "ALSO")
    told = ["all: for every object. own: their own, their team's, or opened by a broken glass.", "Bounds [access]:"]
    return Said({"items": items, "bounds": section}, [*table(heads, cells), "", *told, *bounds])


def _may_word(action: Action, role: str) -> str:
    rule = RULES[action]
    return "all" if role in rule.all_of else "own" if role in rule.own else ""


def _more(row: dict[str, Any]) -> str:
    words = (("purpose", "purpose beyond own"), ("fresh", "two factors again"))
    return ", ".join(text for name, text in words if row[name]) or "-"


async def _glasses(house: "House", _args: argparse.Namespace) -> Said:
    found = await house.care.glasses.list(command_line())
    items = [
        {
            "id": one.id,
            "visit": one.visit,
            "by": one.by,
            "name": one.by_name,
            "reason": one.reason,
            "words": one.words,
            "state": one.state,
            "asked_at": rfc3339(one.asked_at),
            "expires_at": rfc3339(one.expires_at),
        }
        for one in found
    ]
    cells = [(one["id"], one["state"], one["asked_at"], one["name"], one["reason"], one["visit"]) for one in items]
    lines = table(("ID", "STATE", "ASKED", "BY", "REASON", "VISIT"), cells) if cells else ["Nobody broke the glass."]
    return Said({"items": items}, lines)


async def _close(house: "House", args: argparse.Namespace) -> Said:
    await house.care.glasses.close(command_line(), args.glass)
    return Said({"id": args.glass}, ["Closed; what it had opened is closed too."])
