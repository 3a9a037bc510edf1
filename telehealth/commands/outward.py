"""`telehealth outward`: how far the systems are that get the log's entries, and sending some again."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from telehealth.access import command_line
from telehealth.audit.actions import Action
from telehealth.audit.entry import Entry, Outcome
from telehealth.commands.grammar import Subparsers, noun, verb
from telehealth.commands.said import FAILED, OK, CommandRefused, Said, table

if TYPE_CHECKING:  # heavy, and not needed where a running server does the work
    from telehealth.house import House


def add(nouns: Subparsers, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = noun(nouns, "outward", "The systems that get the audit log's entries.")
    verb(verbs, common, "status", "How far each destination is behind, and why.", housed=_status)
    again = verb(verbs, common, "resend", "Send entries again, as after a collector lost some.", housed=_resend)
    again.add_argument("name", choices=("json", "ecs", "syslog"), help="of the destination")
    again.add_argument("--from", dest="index", type=int, required=True, metavar="INDEX", help="of the first entry")


async def _status(house: "House", _args: argparse.Namespace) -> Said:
    await house.base.outward.load()
    lags = house.base.outward.lags()
    if not lags:
        return Said({"destinations": []}, ["Entries go nowhere else. See [outward] in config.toml."])
    rows = [(lag.name, lag.sent, lag.entries, f"{lag.seconds:.0f} s", lag.fault or "-") for lag in lags]
    lines = table(("DESTINATION", "CONFIRMED", "BEHIND", "SINCE", "FAULT"), rows)
    late = any(lag.alarmed for lag in lags)
    closing = "Nothing is lost: what is behind waits in the log." if late else "See also: telehealth doctor"
    return Said({"destinations": [asdict(lag) for lag in lags]}, [*lines, closing], FAILED if late else OK)


async def _resend(house: "House", args: argparse.Namespace) -> Said:
    feed = house.base.outward.find(args.name)
    if feed is None:
        raise CommandRefused("not_configured", f"There is no destination {args.name} in [outward].")
    if not 0 <= args.index < house.log.head().size:
        raise CommandRefused("index_out_of_range", "There is no entry with this index.", exit_code=2)
    detail = {"criteria": "resend", "destination": args.name, "from": args.index}
    await house.log.enter(Entry(Action.AUDIT_EXPORT, Outcome.DONE, command_line().actor(), detail=detail))
    await feed.resend(args.index)
    data = {"destination": args.name, "from": args.index}
    return Said(
        data, [f"{args.name} gets everything from entry {args.index} on again.", "See: telehealth outward status"]
    )
