"""`telehealth recording`: find, look, verify."""

import argparse
import asyncio
import base64
import binascii
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telehealth.access import command_line
from telehealth.clock import SystemClock
from telehealth.commands import erasing, exports, reconcile
from telehealth.commands.grammar import Subparsers, noun, verb
from telehealth.commands.said import FAILED, OK, USAGE, CommandRefused, Said, table
from telehealth.config import Config
from telehealth.ids import Kind, is_id

if TYPE_CHECKING:  # heavy, and not needed where a running server does the work
    from telehealth.house import House


def add(nouns: Subparsers, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = noun(nouns, "recording", "Recordings.")
    reconcile.add(verbs, common)
    erasing.add(verbs, common)
    exports.add(verbs, common)
    listing = verb(verbs, common, "list", "Recordings, newest first.", housed=_list)
    listing.add_argument("--limit", type=int, default=50, help="how many (default 50, at most 200)")
    listing.add_argument("--patient", help="the patient's whole name; found by its keyed hash")
    for name, text, run in (
        ("show", "One recording with its manifest.", _show),
        ("verify", "Read every file of a recording whole: tags, sizes, hashes.", _verify),
    ):
        verb(verbs, common, name, text, housed=run).add_argument("recording", help="its id (rec_…)")
    checking = verb(
        verbs, common, "verify-certificate", "Check a deletion certificate, offline.", local=_verify_certificate
    )
    checking.add_argument("file", type=Path, help="the certificate, as downloaded")
    checking.add_argument("--follows", type=Path, metavar="FILE", help="the pending certificate before it, to compare")
    checking.add_argument("--key", help="public key in base64 (from `telehealth keys status`); default: our own")


def _known(recording: str) -> str:
    if not is_id(Kind.RECORDING, recording):
        raise CommandRefused("not_found", "There is no such recording.", "See: telehealth recording list")
    return recording


async def _list(house: "House", args: argparse.Namespace) -> Said:
    from telehealth.web.recordings import Recording
    from telehealth.web.rooms import RecordingFilter

    lookup = house.base.fields.lookup("patient", args.patient) if args.patient else None
    limit = max(1, min(args.limit, 200))
    found = await house.recordings.find(command_line(), RecordingFilter(patient=lookup), limit=limit, after=None)
    items = [Recording.model_validate(item).model_dump(mode="json", by_alias=True) for item in found.items]
    rows = [
        (
            item["id"],
            item["started_at"],
            f"{item['milliseconds'] / 1000:.0f} s",
            item["state"] + (" (interrupted)" if item["interrupted"] else "") + (" (held)" if item["hold"] else ""),
            item["clinician"]["name"],
        )
        for item in items
    ]
    lines = table(("ID", "STARTED", "LENGTH", "STATE", "CLINICIAN"), rows) if rows else ["No recordings."]
    return Said({"items": items, "next": found.next}, lines)


async def _show(house: "House", args: argparse.Namespace) -> Said:
    from telehealth.web.recordings import Recording

    recording = _known(args.recording)
    shown = Recording.model_validate(await house.recordings.show(command_line(), recording))
    data: dict[str, Any] = shown.model_dump(mode="json", by_alias=True)
    data["manifest"] = await house.recordings.manifest(command_line(), recording)
    lines = [f"{name:16} {value}" for name, value in data.items() if name not in ("tracks", "manifest", "clinician")]
    lines += [f"track            {track['id']} {track['role']} {track['milliseconds']} ms" for track in data["tracks"]]
    return Said(data, [*lines, f"Check its files: telehealth recording verify {recording}"])


async def _verify(house: "House", args: argparse.Namespace) -> Said:
    recording = _known(args.recording)
    found = await house.recordings.verify(command_line(), recording)
    data = {"recording": recording, "ok": not found.damaged, "files": found.files, "damaged": dict(found.damaged)}
    if not found.damaged:
        return Said(data, [f"Sound: {found.files} files of {recording}, every byte authenticated."], OK)
    lines = [f"  {file}: {code}" for file, code in found.damaged.items()]
    return Said(data, [f"DAMAGED: {recording}", *lines, "Restore these files from a backup of the recordings."], FAILED)


def _verify_certificate(args: argparse.Namespace, config: Config | None) -> Said:
    from recordings.certificate import follows, verify  # pulls in the recordings room, which few commands need

    key = _given_key(args.key) if args.key else asyncio.run(_own_key(config))
    try:
        certificate = verify(args.file.read_bytes(), key)
        pending = args.follows.read_bytes() if args.follows else None
    except OSError as error:
        raise CommandRefused("unreadable", f"Cannot read {args.file}: {error.strerror}", exit_code=USAGE) from error
    if pending is not None and not follows(certificate, pending):
        raise CommandRefused("certificate_refused", "It is not the final certificate after the one given.")
    data = {"ok": True, "certificate": asdict(certificate)}
    part = f", the part of {certificate.participant_id}" if certificate.participant_id else ""
    approved = f", approved by {certificate.approved_by}" if certificate.approved_by else ""
    lines = [
        f"Genuine: certificate {certificate.certificate_id} for {certificate.recording_id}{part}.",
        f"Asked by {certificate.asked_by}{approved}, executed by {certificate.executed_by}.",
        f"Destroyed {certificate.destroyed_at} ({certificate.method}, {certificate.assurance}).",
        f"Status {certificate.status}; holds, backups included, from {certificate.effective_after}.",
    ]
    return Said(data, lines)


def _given_key(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 32:
        raise CommandRefused("usage", "--key is a 32-byte Ed25519 key in base64.", exit_code=USAGE)
    return key


async def _own_key(config: Config | None) -> bytes:
    if config is None or not (config.places.keys / "ring").exists():
        raise CommandRefused("no_key", "There is no server here whose key could be asked.", "Give --key.", USAGE)
    from telehealth.base import certificate_key, open_keyring

    provider, keyring = await open_keyring(config, SystemClock())
    try:
        return await certificate_key(keyring)
    finally:
        await provider.close()
