"""`telehealth audit`: check the log, and look at its end."""

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telehealth.access import command_line
from telehealth.audit.actions import Action
from telehealth.audit.entry import Code, Entry, Outcome
from telehealth.clock import SystemClock, rfc3339
from telehealth.commands import audit_reports
from telehealth.commands.grammar import Subparsers, noun, verb
from telehealth.commands.said import FAILED, OK, CommandRefused, Said, table
from telehealth.config import Config

if TYPE_CHECKING:  # heavy, and not needed where a running server does the work
    from telehealth.audit.leaf import Stored
    from telehealth.audit.verify import Verdict
    from telehealth.house import House


def add(nouns: Subparsers, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = noun(nouns, "audit", "The audit log.")
    verifying = verb(
        verbs,
        common,
        "verify",
        "Find any edit, insertion, swap or cut against the last signed head.",
        housed=_verify,
        local=_verify_alone,
    )
    verifying.add_argument(
        "--folder", type=Path, help="a copy of a log, checked without this server's keys; with --key"
    )
    verifying.add_argument("--key", help="the log's verifier key (name+id+base64), for --folder")
    verifying.add_argument(
        "--checkpoint", type=Path, action="append", default=[], help="a checkpoint kept elsewhere; may be repeated"
    )
    proving = verb(verbs, common, "prove", "An evidence bundle with proofs, for a reader elsewhere.", housed=_prove)
    proving.add_argument("index", type=int, nargs="*", help="of entries")
    proving.add_argument("--visit", help="entries of this visit (vis_…), at most 1000")
    proving.add_argument("--recording", help="entries of this recording (rec_…), at most 1000")
    proving.add_argument("--since", type=int, action="append", default=[], help="size of an older checkpoint")
    verb(verbs, common, "rotate-key", "Sign with a new key from now on; old checkpoints hold.", housed=_rotate_key)
    tailing = verb(verbs, common, "tail", "The newest entries (the reading is entered).", housed=_tail)
    audit_reports.add(verbs, common)
    tailing.add_argument("-n", "--number", type=int, default=20, help="how many (default 20, at most 1000)")


def _told(verdict: "Verdict", key: str) -> Said:
    problems = [{"index": problem.index, "code": problem.code} for problem in verdict.problems]
    data = {"ok": verdict.ok, "size": verdict.size, "root": verdict.root, "problems": problems, "key": key}
    if verdict.ok:
        lines = [
            f"Sound: {verdict.size} entries stand under the signed head {verdict.root[:16]}….",
            f"Keep this head and this key elsewhere, to check copies against: {key}",
        ]
        return Said(data, lines, OK)
    found = [f"  entry {problem['index']}: {problem['code']}" for problem in problems[:20]]
    lines = [
        "NOT SOUND. The log on disk is not what was signed:",
        *found,
        "Keep the folder as it is, and a copy of it.",
    ]
    return Said(data, lines, FAILED)


async def _verify(house: "House", args: argparse.Namespace) -> Said:
    from telehealth.auditing import log_verifier
    from telehealth.nodes.folder import log_name

    name, key, line = await log_verifier(house.keyring, log_name(house.config.places.audit))
    return _told(await asyncio.to_thread(_verdict, house.config.places.audit, key, name, args), line)


def _verdict(folder: Path, key: bytes, name: str, args: argparse.Namespace) -> "Verdict":
    from telehealth.audit.verify import verify_folder

    try:
        kept = [path.read_bytes() for path in args.checkpoint]
    except OSError as error:
        raise CommandRefused("unreadable", f"Cannot read {error.filename}: {error.strerror}", exit_code=2) from error
    return verify_folder(folder, key, name, kept=kept, tiles=True)


def _verify_alone(args: argparse.Namespace, config: Config) -> Said:
    """Without a running server: by a key given, or by this server's own, whatever state the log is in."""
    from telehealth.audit.note import NoteInvalid, parse_verifier_key

    if (args.folder is None) != (args.key is None):
        raise CommandRefused("usage", "--folder and --key go together.", exit_code=2)
    if args.folder is not None:
        try:
            name, key = parse_verifier_key(args.key)
            return _told(_verdict(args.folder, key, name, args), args.key)
        except (NoteInvalid, OSError) as error:
            raise CommandRefused("unreadable", f"Cannot check: {error}", exit_code=2) from error
    name, key, line = asyncio.run(_own_key(config))
    return _told(_verdict(config.places.audit, key, name, args), line)


async def _prove(house: "House", args: argparse.Namespace) -> Said:
    """A bundle that `offline_verifier.py` checks anywhere; taking it out is entered first."""
    from telehealth.audit.bundle import evidence, written
    from telehealth.audit.reading import EntryFilter

    indexes = list(args.index)
    if args.visit or args.recording:
        only = EntryFilter(visit=args.visit, recording=args.recording)
        indexes += [stored.index for stored in await house.log.entries(limit=1000, only=only)]
    if not indexes:
        raise CommandRefused("usage", "Say which entries: indexes, --visit or --recording.", exit_code=2)
    detail: dict[str, Code] = {"count": len(indexes), "criteria": "prove"}
    await house.log.enter(Entry(Action.AUDIT_EXPORT, Outcome.DONE, command_line().actor(), detail=detail))
    bundle = await evidence(house.log, indexes, since=args.since)
    return Said(bundle, [written(bundle)])


async def _rotate_key(house: "House", _args: argparse.Namespace) -> Said:
    from telehealth.auditing import rotate_signing_key

    keys = await rotate_signing_key(house.config, house.keyring, house.log, command_line().actor())
    lines = [f"From entry {keys.keys[-1].since} on the log is signed with key {len(keys.keys)}; old checkpoints hold."]
    return Said({"keys": keys.text().splitlines()}, [*lines, "See: telehealth audit verify"])


async def _own_key(config: Config) -> tuple[str, bytes, str]:
    from telehealth.auditing import log_verifier
    from telehealth.base import open_keyring
    from telehealth.nodes.folder import log_name

    provider, keyring = await open_keyring(config, SystemClock())
    try:
        return await log_verifier(keyring, log_name(config.places.audit))
    finally:
        await provider.close()


async def _tail(house: "House", args: argparse.Namespace) -> Said:
    count = max(1, min(args.number, 1000))
    await house.log.enter(
        Entry(Action.AUDIT_READ, Outcome.DONE, command_line().actor(), detail={"limit": count, "criteria": "tail"})
    )
    found = await house.log.entries(limit=count, newest_first=True)
    found.reverse()
    rows = [
        (
            stored.index,
            rfc3339(stored.at),
            stored.action,
            stored.outcome,
            f"{stored.actor_kind} {stored.actor[:16]}".strip(),
            stored.recording or stored.visit or stored.subject,
        )
        for stored in found
    ]
    lines = table(("INDEX", "TIME", "ACTION", "OUTCOME", "WHO", "WHAT"), rows)
    return Said({"items": [item(stored) for stored in found]}, [*lines, "Check them all: telehealth audit verify"])


def item(stored: "Stored") -> dict[str, Any]:
    """An entry as programs read it."""
    return {
        "index": stored.index,
        "at": rfc3339(stored.at),
        "action": stored.action,
        "outcome": stored.outcome,
        "actor": {"kind": stored.actor_kind, "id": stored.actor, "role": stored.actor_role},
        "visit": stored.visit,
        "recording": stored.recording,
        "subject": stored.subject,
        "purpose": stored.purpose,
        "detail": dict(stored.detail),
    }
