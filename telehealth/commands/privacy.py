"""`telehealth privacy`: what is forgotten next, and exports without identifiers."""

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args

from telehealth.access import command_line
from telehealth.clock import rfc3339
from telehealth.commands.grammar import Subparsers, noun, verb
from telehealth.commands.said import Said, table
from telehealth.privacy.settings import Purpose, What

if TYPE_CHECKING:  # heavy, and not needed where a running server does the work
    from telehealth.house import House
    from telehealth.privacy.leaving import Leaving


def add(nouns: Subparsers, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = noun(nouns, "privacy", "How long patients are remembered; numbers without patients.")
    verb(verbs, common, "due", "Whose identity the next sweep forgets; changes nothing.", housed=_due)
    leaving = verb(verbs, common, "export", "De-identified by 45 CFR 164.514(b)(2), as JSON.", housed=_export)
    leaving.add_argument("--deidentified", choices=get_args(What), required=True, help="what leaves")
    leaving.add_argument("--purpose", choices=get_args(Purpose), required=True, help="entered in the log")


async def _due(house: "House", _args: argparse.Namespace) -> Said:
    found = await house.stewardship.purge.due(command_line())
    days = house.config.privacy.identity_days
    items = [
        {"visit": one.visit, "over_at": rfc3339(one.over_at), "whole": one.whole, "kept": one.kept} for one in found
    ]
    rows = [(one["visit"], one["over_at"], "all" if one["whole"] else "all but who a recording is of") for one in items]
    lines = table(("VISIT", "OVER", "WHAT GOES"), rows) if rows else ["Nobody is due."]
    return Said(
        {"identity_days": days, "items": items}, [*lines, f"{days} days after a visit ([privacy] identity_days)."]
    )


async def _export(house: "House", args: argparse.Namespace) -> Said:
    made = await house.stewardship.leavings.make(command_line(), args.deidentified, args.purpose)
    data = as_json(made)
    return Said(data, [json.dumps(data, ensure_ascii=False, indent=2)])


def as_json(made: "Leaving") -> dict[str, Any]:
    """Without what was not asked for."""
    return {name: value for name, value in asdict(made).items() if value is not None}
