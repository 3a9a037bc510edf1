"""`telehealth visit`: book and list."""

import argparse
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from telehealth.access import command_line
from telehealth.clock import parse_rfc3339, rfc3339
from telehealth.commands.grammar import Subparsers, noun, verb
from telehealth.commands.said import CommandRefused, Said, table
from telehealth.commands.users import find_user

if TYPE_CHECKING:  # heavy, and not needed where a running server does the work
    from telehealth.house import House

CHANNELS = ("passcode", "sms", "email", "spoken")


def add(nouns: Subparsers, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = noun(nouns, "visit", "Visits.")
    creating = verb(verbs, common, "create", "Book a visit; prints the patient's link.", housed=_create)
    creating.add_argument("--clinician", required=True, help="sign-in name or id")
    creating.add_argument("--patient", required=True, help="the patient's name")
    creating.add_argument("--contact", help="e-mail address or phone number")
    creating.add_argument("--birth-date", type=date.fromisoformat, help="YYYY-MM-DD")
    creating.add_argument("--at", help="when, as in 2026-01-31T09:30:00Z (default: now)")
    creating.add_argument("--minutes", type=int, default=30, help="planned length (default 30)")
    creating.add_argument("--channel", choices=CHANNELS, default="passcode", help="how the code is given")
    creating.add_argument("--record", help="the patient's number in the clinic's own records")
    creating.add_argument("--passcode", help="at least 8 characters; minted when absent")
    creating.add_argument("--send", choices=("email", "sms"), help="send the link to the contact")
    creating.add_argument("--high-assurance", action="store_true", help="no codes by e-mail")
    creating.add_argument("--recording-planned", action="store_true")
    listing = verb(verbs, common, "list", "Visits in order of their time.", housed=_list)
    listing.add_argument("--day", type=date.fromisoformat, help="YYYY-MM-DD in the clinic's time zone")
    listing.add_argument("--limit", type=int, default=50, help="how many (default 50, at most 200)")
    team = verb(verbs, common, "team", "Colleagues on a visit's team; put on or taken off.", housed=_team)
    team.add_argument("visit", help="id")
    team.add_argument("--add", metavar="USER", help="sign-in name or id")
    team.add_argument("--remove", metavar="USER", help="sign-in name or id")


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise CommandRefused("usage", "--at needs a time with its offset, as in 2026-01-31T09:30:00Z.") from error


async def _create(house: "House", args: argparse.Namespace) -> Said:
    from telehealth.visits.orders import NewPatient, NewVisit

    if not 5 <= args.minutes <= 480:
        raise CommandRefused("usage", "A visit takes 5 to 480 minutes.")
    clinician = await find_user(house, args.clinician)
    asked = NewVisit(
        patient=NewPatient(args.patient, args.contact, args.birth_date, args.record),
        clinician=clinician.id,
        scheduled_at=_moment(args.at),
        minutes=args.minutes,
        assurance="high" if args.high_assurance else "standard",
        recording_planned=args.recording_planned,
        channel=args.channel,
        passcode=args.passcode,
        send=args.send,
    )
    visit, issued = await house.booking.create(command_line(), asked)
    url = f"{house.config.public_url}/join#{issued.token.reveal()}"
    link: dict[str, Any] = {
        "id": issued.id,
        "url": url,
        "channel": issued.channel,
        "passcode": issued.passcode.reveal() if issued.passcode else None,
        "not_before": rfc3339(issued.not_before),
        "expires_at": rfc3339(issued.expires_at),
    }
    lines = [
        f"Booked {visit.id} for {clinician.login} at {rfc3339(visit.scheduled_at)}. The patient's link, shown once:"
    ]
    lines.append(f"  {url}")
    if link["passcode"]:
        lines.append(f"  passcode {link['passcode']}: tell it by phone, never beside the link.")
    lines.append(f"It works from {link['not_before']} to {link['expires_at']}.")
    return Said({"id": visit.id, "link": link}, lines)


async def _team(house: "House", args: argparse.Namespace) -> Said:
    who, team = command_line(), house.care.team
    if args.add is not None:
        await team.add(who, args.visit, (await find_user(house, args.add)).id)
    if args.remove is not None:
        await team.remove(who, args.visit, (await find_user(house, args.remove)).id)
    found = await team.list(who, args.visit)
    items = [{"id": one.id, "name": one.name, "added_by": one.added_by} for one in found]
    lines = table(("ID", "NAME", "PUT ON BY"), [(one.id, one.name, one.added_by) for one in found])
    return Said({"items": items}, lines if items else ["Nobody is on its team."])


async def _list(house: "House", args: argparse.Namespace) -> Said:
    from telehealth.visits.orders import VisitQuery

    found = await house.booking.list(command_line(), VisitQuery(day=args.day, limit=max(1, min(args.limit, 200))))
    items = [
        {
            "id": visit.id,
            "state": str(visit.state),
            "clinician": {"id": visit.clinician.id, "name": visit.clinician.name},
            "patient": {"name": visit.patient.name},
            "scheduled_at": rfc3339(visit.scheduled_at),
            "minutes": visit.minutes,
        }
        for visit in found.items
    ]
    rows = [
        (visit.id, rfc3339(visit.scheduled_at), visit.state, visit.clinician.name, visit.patient.name)
        for visit in found.items
    ]
    lines = table(("ID", "TIME", "STATE", "CLINICIAN", "PATIENT"), rows) if rows else ["No visits."]
    return Said({"items": items, "next": found.next}, lines)
