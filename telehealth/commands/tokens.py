"""`telehealth token`: scoped bearer tokens for programs."""

import argparse
from typing import TYPE_CHECKING

from telehealth.access import SCOPES, command_line
from telehealth.clock import rfc3339
from telehealth.commands.grammar import Subparsers, noun, verb
from telehealth.commands.said import CommandRefused, Said, table
from telehealth.commands.users import find_user
from telehealth.ids import Kind, is_id

if TYPE_CHECKING:  # heavy, and not needed where a running server does the work
    from telehealth.house import House


def add(nouns: Subparsers, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = noun(nouns, "token", "Bearer tokens for programs.")
    creating = verb(verbs, common, "create", "Make a token; it is printed once.", housed=_create)
    creating.add_argument("label", help="what it is for")
    creating.add_argument("--user", required=True, help="sign-in name or id of the account it acts for")
    creating.add_argument("--scope", action="append", required=True, choices=sorted(SCOPES), help="repeat for several")
    creating.add_argument("--days", type=int, default=90, help="life in days (default 90)")
    creating.add_argument("--network", action="append", default=[], help="only from there (CIDR); repeat for several")
    rotating = verb(verbs, common, "rotate", "Make a token's successor; both work for a while.", housed=_rotate)
    rotating.add_argument("token", help="its id (tok_…)")
    rotating.add_argument("--overlap-hours", type=int, default=24, help="how long the old one works on (default 24)")
    verb(verbs, common, "list", "Tokens, without their secrets.", housed=_list)
    verb(verbs, common, "revoke", "End a token at once.", housed=_revoke).add_argument("token", help="its id (tok_…)")


async def _create(house: "House", args: argparse.Namespace) -> Said:
    if not 1 <= args.days <= 366:
        raise CommandRefused("days", "A token lives 1 to 366 days.")
    person = await find_user(house, args.user)
    token, secret = await house.tokens.create(
        command_line(), person.id, args.label, frozenset(args.scope), args.days, args.network
    )
    lines = [
        f"Made {token} for {person.login} ({', '.join(sorted(args.scope))}), good for {args.days} days. Shown once:",
        f"  {secret.reveal()}",
        "Send it as: Authorization: Bearer …",
    ]
    return Said({"id": token, "token": secret.reveal(), "scopes": sorted(args.scope), "days": args.days}, lines)


async def _rotate(house: "House", args: argparse.Namespace) -> Said:
    hours = args.overlap_hours
    token, secret = await house.tokens.rotate(command_line(), _known(args.token), overlap_hours=hours)
    lines = [f"Made {token}; {args.token} works on for {hours} hours. Shown once:", f"  {secret.reveal()}"]
    return Said({"id": token, "token": secret.reveal(), "overlap_hours": hours}, lines)


def _known(token: str) -> str:
    if not is_id(Kind.TOKEN, token):
        raise CommandRefused("unknown_token", "There is no such token.", "See: telehealth token list")
    return token


async def _list(house: "House", _args: argparse.Namespace) -> Said:
    tokens = await house.tokens.list(command_line())
    items = [
        {
            "id": token.id,
            "user": token.user,
            "label": token.label,
            "scopes": sorted(token.scopes),
            "networks": list(token.networks),
            "successor": token.successor,
            "created_at": rfc3339(token.created_at),
            "expires_at": rfc3339(token.expires_at),
            "used_at": rfc3339(token.used_at) if token.used_at else None,
            "revoked_at": rfc3339(token.revoked_at) if token.revoked_at else None,
        }
        for token in tokens
    ]
    rows = [
        (token.id, token.label, " ".join(sorted(token.scopes)), rfc3339(token.expires_at), item["revoked_at"])
        for token, item in zip(tokens, items, strict=True)
    ]
    lines = table(("ID", "LABEL", "SCOPES", "EXPIRES", "REVOKED"), rows)
    return Said({"items": items}, lines if rows else ["No tokens. Next: telehealth token create --help"])


async def _revoke(house: "House", args: argparse.Namespace) -> Said:
    await house.tokens.revoke(command_line(), _known(args.token))
    return Said({"id": args.token, "revoked": True}, [f"Revoked {args.token}; it opens nothing any more."])
