"""`telehealth user`: staff."""

import argparse
from typing import TYPE_CHECKING, Any

from telehealth.access import command_line
from telehealth.clock import rfc3339
from telehealth.commands.grammar import Subparsers, noun, verb
from telehealth.commands.said import CommandRefused, Said, table

if TYPE_CHECKING:  # heavy, and not needed where a running server does the work
    from telehealth.house import House

ROLES = ("admin", "clinician", "auditor", "front_desk")


def add(nouns: Subparsers, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = noun(nouns, "user", "Staff accounts.")
    adding = verb(verbs, common, "add", "Invite somebody; prints a set-up link.", housed=_add)
    adding.add_argument("login", help="sign-in name")
    adding.add_argument("--name", required=True, help="name as patients see it")
    adding.add_argument("--role", required=True, choices=ROLES)
    verb(verbs, common, "list", "Everybody who can sign in.", housed=_list)
    for name, text, run in (
        ("disable", "Stop somebody from signing in; ends their sessions.", _disable),
        ("enable", "Let somebody sign in again.", _enable),
        ("reset", "New set-up link; the old password and code generator end.", _reset),
    ):
        verb(verbs, common, name, text, housed=run).add_argument("user", help="sign-in name or id")


async def find_user(house: "House", wanted: str) -> Any:
    """The account of a sign-in name or id. Raises CommandRefused."""
    for person in await house.people.list(command_line()):
        if wanted in (person.id, person.login):
            return person
    raise CommandRefused("unknown_user", "There is no such account.", "See: telehealth user list")


def _invited(house: "House", invitation: Any, done: str) -> Said:
    url = f"{house.config.public_url}/setup#{invitation.token.reveal()}"
    until = rfc3339(invitation.expires_at)
    lines = [done, f"  {url}", f"Hand this link over in person or by a safe channel; it is good once, until {until}."]
    return Said({"id": invitation.user, "enrolment_url": url, "expires_at": until}, lines)


async def _add(house: "House", args: argparse.Namespace) -> Said:
    invitation = await house.people.add(command_line(), args.login, args.name, args.role)
    return _invited(house, invitation, f"Invited {args.login} as {args.role}. Their set-up link:")


async def _list(house: "House", _args: argparse.Namespace) -> Said:
    people = await house.people.list(command_line())
    items = [
        {
            "id": person.id,
            "login": person.login,
            "name": person.name,
            "role": person.role,
            "disabled": person.disabled,
            "enrolled": person.enrolled,
            "created_at": rfc3339(person.created_at),
        }
        for person in people
    ]
    rows = [
        (
            person.login,
            person.name,
            person.role,
            "disabled" if person.disabled else "active" if person.enrolled else "invited",
            person.id,
        )
        for person in people
    ]
    lines = table(("LOGIN", "NAME", "ROLE", "STATE", "ID"), rows)
    if not rows:
        lines = ["Nobody yet. Next: telehealth user add LOGIN --name NAME --role admin"]
    return Said({"items": items}, lines)


async def _disable(house: "House", args: argparse.Namespace) -> Said:
    return await _switch(house, args, disabled=True)


async def _enable(house: "House", args: argparse.Namespace) -> Said:
    return await _switch(house, args, disabled=False)


async def _switch(house: "House", args: argparse.Namespace, *, disabled: bool) -> Said:
    person = await find_user(house, args.user)
    await house.people.change(command_line(), person.id, disabled=disabled)
    done = "Disabled; their sessions have ended. Undo with: telehealth user enable" if disabled else "Enabled:"
    return Said({"id": person.id, "disabled": disabled}, [f"{done} {person.login}"])


async def _reset(house: "House", args: argparse.Namespace) -> Said:
    person = await find_user(house, args.user)
    invitation = await house.people.reset(command_line(), person.id)
    return _invited(house, invitation, f"Reset {person.login}: old password and code generator are void. New link:")
