"""`telehealth recording delete|delete-part|deletions|approve|refuse|certificate`."""

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telehealth.access import command_line
from telehealth.clock import rfc3339
from telehealth.commands.grammar import Subparsers, verb
from telehealth.commands.said import CommandRefused, Said, table
from telehealth.ids import Kind, is_id

if TYPE_CHECKING:  # heavy, and not needed where a running server does the work
    from telehealth.house import House

_WHY = ("patient_request", "error", "policy", "other")
_WHY_A_PART = ("withdrawal", "patient_request", "error", "other")


def add(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    deleting = verb(verbs, common, "delete", "Destroy a recording, or ask a second admin to.", housed=_delete)
    deleting.add_argument("recording", help="its id (rec_…)")
    part = verb(
        verbs, common, "delete-part", "Destroy one participant's part, or ask a second admin to.", housed=_delete_part
    )
    part.add_argument("recording", help="its id (rec_…)")
    part.add_argument("participant", help="whose part (par_…); recording show names them")
    for parser, reasons in ((deleting, _WHY), (part, _WHY_A_PART)):
        parser.add_argument("--reason", choices=reasons, required=True)
        parser.add_argument("--note", help="kept encrypted beside it")
    verb(verbs, common, "deletions", "Wishes to destroy that wait for another person.", housed=_deletions)
    for name, text, run in (
        ("approve", "Destroy what somebody else asked for; never under hold.", _approve),
        ("refuse", "Keep it; the wish is over.", _refuse),
    ):
        verb(verbs, common, name, text, housed=run).add_argument("deletion", help="the wish (del_…)")
    getting = verb(verbs, common, "certificate", "The signed certificate of a destruction.", housed=_certificate)
    getting.add_argument("recording", help="its id (rec_…)")
    getting.add_argument("--participant", help="of this participant's part (par_…)")
    getting.add_argument("--first", action="store_true", help="the pending one, which the final one names by its hash")
    getting.add_argument("--out", type=Path, help="write it to this file of the server's machine, byte for byte")


def _known(kind: Kind, text: str) -> str:
    if not is_id(kind, text):
        raise CommandRefused("not_found", f"{text} is no id of that kind.", "See: telehealth recording list")
    return text


async def _delete(house: "House", args: argparse.Namespace) -> Said:
    recording = _known(Kind.RECORDING, args.recording)
    is_gone = await house.recordings.erasing.delete(command_line(), recording, args.reason, args.note)
    return await _done(house, recording, is_gone)


async def _delete_part(house: "House", args: argparse.Namespace) -> Said:
    recording, participant = _known(Kind.RECORDING, args.recording), _known(Kind.PARTICIPANT, args.participant)
    is_gone = await house.recordings.erasing.destroy_part(
        command_line(), recording, participant, args.reason, args.note
    )
    return await _done(house, recording, is_gone)


async def _done(house: "House", recording: str, is_gone: bool) -> Said:
    shown = await house.recordings.show(command_line(), recording)
    data: dict[str, Any] = {"recording": recording, "destroyed": is_gone, "state": shown.state}
    if not is_gone:
        [mine] = [one for one in shown.requests if one.asked_by.id == command_line().id] or shown.requests[:1]
        data["request"] = mine.id
        return Said(data, ["Nothing is destroyed yet: another admin has to approve it in the pages.", f"  {mine.id}"])
    final = shown.parts[-1] if shown.state == "sealed" and shown.parts else shown
    when, certificate = final.effective_after, final.certificate
    data |= {"certificate": certificate, "effective_after": rfc3339(when) if when else None}
    lines = [f"Destroyed; its certificate is {certificate}."]
    if certificate == "pending" and when:
        lines.append(f"Final from {rfc3339(when)}, when the last backup that could bring a key back is gone.")
    return Said(data, [*lines, f"Keep it: telehealth recording certificate {recording} --out FILE"])


async def _deletions(house: "House", _args: argparse.Namespace) -> Said:
    found = await house.recordings.erasing.waiting(command_line())
    items = [
        {
            "id": one.id,
            "recording": one.recording,
            "participant": one.participant,
            "reason": one.reason,
            "note": one.note,
            "asked_by": one.asked_by.id,
            "asked_at": rfc3339(one.asked_at),
            "expires_at": rfc3339(one.expires_at),
        }
        for one in found
    ]
    rows = [
        (one["id"], one["recording"], one["participant"] or "all", one["reason"], one["asked_by"], one["expires_at"])
        for one in items
    ]
    heads = ("WISH", "RECORDING", "PART", "REASON", "ASKED BY", "UNTIL")
    return Said({"items": items}, table(heads, rows) if rows else ["Nothing waits."])


async def _approve(house: "House", args: argparse.Namespace) -> Said:
    recording = await house.recordings.erasing.approve(command_line(), _known(Kind.DELETION, args.deletion))
    return await _done(house, recording, is_gone=True)


async def _refuse(house: "House", args: argparse.Namespace) -> Said:
    deletion = _known(Kind.DELETION, args.deletion)
    await house.recordings.erasing.refuse(command_line(), deletion)
    return Said({"id": deletion}, ["The wish is over. Nothing was destroyed."])


async def _certificate(house: "House", args: argparse.Namespace) -> Said:
    recording, erasing = _known(Kind.RECORDING, args.recording), house.recordings.erasing
    if args.participant:
        participant = _known(Kind.PARTICIPANT, args.participant)
        content = await erasing.part_certificate(command_line(), recording, participant, first=args.first)
    else:
        content = await erasing.certificate(command_line(), recording, first=args.first)
    text = content.decode("utf-8")
    data = {"recording": recording, "certificate": text}
    if args.out is None:
        return Said(data, [text])
    await asyncio.to_thread(args.out.write_bytes, content)
    return Said(data, [f"Written to {args.out}. Check it: telehealth recording verify-certificate {args.out}"])
