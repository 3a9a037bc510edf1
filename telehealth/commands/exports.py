"""`telehealth recording export`: one file of a recording, followed to its end, taken out by whoever runs the command.

A running server does the work; the command asks it again and again in short questions. Without a server the same
questions are answered here.
"""

import argparse
import asyncio
import base64
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telehealth.access import command_line
from telehealth.clock import SystemClock
from telehealth.commands import control
from telehealth.commands.grammar import Subparsers, verb
from telehealth.commands.said import FAILED, OK, USAGE, CommandRefused, Said
from telehealth.config import Config
from telehealth.secret import Secret

if TYPE_CHECKING:  # heavy, and not needed where a running server does the work
    from telehealth.house import House

PIECE = 16 * 1_048_576  # octets fetched at once
ASK_SECONDS = 0.5
PURPOSES = ("treatment", "quality", "legal", "patient_request")
Put = Callable[[Sequence[str]], dict[str, Any]]


def add(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Declare the verb, and the short questions it is made of."""
    making = verb(verbs, common, "export", "Compose one file of a recording and take it out.", local=_export)
    making.add_argument("recording", help="its id (rec_…)")
    making.add_argument("--to", type=Path, required=True, metavar="FILE", help="a new file")
    protection = making.add_mutually_exclusive_group(required=True)
    protection.add_argument("--recipient", metavar="age1…", help="encrypt to this age recipient")
    protection.add_argument("--passphrase-file", type=Path, metavar="F", help="encrypt to the passphrase in this file")
    protection.add_argument("--plain", action="store_true", help="leave unencrypted (needs export.allow_plain)")
    making.add_argument("--reason", help="why it leaves unencrypted; needed with --plain")
    _shape(making)
    begin = verb(verbs, common, "export-begin", "Ask for an export; `export` does this.", housed=_begin)
    begin.add_argument("recording")
    begin.add_argument("--protection", required=True, choices=("recipient", "passphrase", "plain"))
    begin.add_argument("--secret", default="", help=argparse.SUPPRESS)  # comes over the socket, never from a shell
    begin.add_argument("--reason")
    _shape(begin)
    for name, text, run in (
        ("export-show", "How far an export is.", _show),
        ("export-cancel", "Stop an export.", _cancel),
        ("export-remove", "Destroy a finished export.", _remove),
        ("export-piece", "Octets of a finished export, in base64; `export` does this.", _piece),
    ):
        one = verb(verbs, common, name, text, housed=run)
        one.add_argument("export", help="its id (exp_…)")
        if name == "export-piece":
            one.add_argument("--from", dest="start", type=int, default=0)


def _shape(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("webm", "mp4"), default="webm", help="default webm")
    parser.add_argument("--purpose", choices=PURPOSES, default="legal", help="what for (default legal)")
    parser.add_argument("--language", default="en", help="of the cards in the picture: en, ar")
    parser.add_argument("--given-to", metavar="NAME", help="who gets it: name and address, for the list of disclosures")


async def _begin(house: "House", args: argparse.Namespace) -> Said:
    from telehealth.web.rooms import ExportWish

    words = (args.language, args.reason, args.given_to)
    wish = ExportWish(args.purpose, args.format, args.protection, Secret(args.secret), *words)
    return _said(await house.recordings.exports.ask(command_line(), args.recording, wish))


async def _show(house: "House", args: argparse.Namespace) -> Said:
    return _said(await house.recordings.exports.show(command_line(), args.export))


async def _cancel(house: "House", args: argparse.Namespace) -> Said:
    return _said(await house.recordings.exports.cancel(command_line(), args.export))


async def _remove(house: "House", args: argparse.Namespace) -> Said:
    return _said(await house.recordings.exports.remove(command_line(), args.export))


async def _piece(house: "House", args: argparse.Namespace) -> Said:
    room = house.recordings.exports
    file = await room.download(command_line(), args.export)
    pieces = room.pieces(command_line(), args.export, args.start, args.start + PIECE)
    data = b"".join([piece async for piece in pieces])
    text = await asyncio.to_thread(base64.b64encode, data)
    return Said({"size": file.size, "data": text.decode()}, [f"{len(data)} octets of {file.size}"])


def _said(export: object) -> Said:
    from telehealth.web.exports import Export

    data = Export.model_validate(export).model_dump(mode="json")
    return Said(data, [f"{name:14} {value}" for name, value in data.items()])


def _export(args: argparse.Namespace, config: Config | None) -> Said:
    if config is None:
        raise CommandRefused("usage", "There is no configuration.", exit_code=USAGE)
    if args.to.exists():
        raise CommandRefused("exists", f"{args.to} is there already.", "Name a new file.", USAGE)
    begin = _words(args)
    with _answering(config) as put:
        export = put(begin)["id"]
        try:
            done = _followed(put, export, quiet=args.json)
            if done["state"] != "ready":
                raise CommandRefused(done["failure"] or done["state"], "The export could not be made.", "Ask again.")
            _fetch(put, export, args.to)
        except KeyboardInterrupt:
            _give_up(put, export)
            raise CommandRefused("cancelled", "\nCancelled; nothing was kept.") from None
        put(["recording", "export-remove", export])
    how = "NOT encrypted: it has left protection" if args.plain else "encrypted; open it with age --decrypt"
    return Said({**done, "file": str(args.to)}, [f"Written: {args.to} ({done['bytes']} bytes, {how})."], OK)


def _words(args: argparse.Namespace) -> list[str]:
    """The question that begins it."""
    kind = "recipient" if args.recipient else "passphrase" if args.passphrase_file else "plain"
    secret = args.recipient or ""
    if args.passphrase_file:
        secret = args.passphrase_file.read_text("utf-8").rstrip("\r\n")
    shape = ["--format", args.format, "--purpose", args.purpose, "--language", args.language]
    reason = [f"--reason={args.reason}"] if args.reason else []
    reason += [f"--given-to={args.given_to}"] if args.given_to else []
    return ["recording", "export-begin", args.recording, "--protection", kind, f"--secret={secret}", *shape, *reason]


def _followed(put: Put, export: str, *, quiet: bool) -> dict[str, Any]:
    """Wait for its end, with a line that says how far it is."""
    while True:
        shown = put(["recording", "export-show", export])
        if not quiet:
            print(f"\r{shown['state']:8} {shown['progress']:4.0%}", end="", file=sys.stderr, flush=True)
        if shown["state"] not in ("queued", "running"):
            if not quiet:
                print(file=sys.stderr)
            return shown
        time.sleep(ASK_SECONDS)


def _fetch(put: Put, export: str, to: Path) -> None:
    """Write the file, for us alone; a broken one does not stay."""
    handle = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            at, size = 0, 1
            while at < size:
                piece = put(["recording", "export-piece", export, "--from", str(at)])
                size = piece["size"]
                at += file.write(base64.b64decode(piece["data"]))
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        to.unlink(missing_ok=True)
        raise


def _give_up(put: Put, export: str) -> None:
    """Stop it where it still is made, destroy it where it is ready."""
    for word in ("export-cancel", "export-remove"):
        try:
            put(["recording", word, export])
            return
        except CommandRefused:
            continue


@contextmanager
def _answering(config: Config) -> Iterator[Put]:
    """Whoever answers: the running server, or a house opened here."""
    if control.listens(config.places.audit):
        yield lambda words: _checked(control.ask(config.places.audit, words))
        return
    with asyncio.Runner() as runner:
        opened = _opened(config)
        house = runner.run(opened.__aenter__())
        try:
            yield lambda words: _checked(runner.run(_answered(house, words)))
        finally:
            runner.run(_closed(opened))


@asynccontextmanager
async def _opened(config: Config) -> "AsyncIterator[House]":
    from telehealth.house import open_house

    async with open_house(config, SystemClock()) as house:
        try:
            yield house
        finally:
            await house.recordings.exports.close()


async def _closed(opened: Any) -> None:
    await opened.__aexit__(None, None, None)


async def _answered(house: "House", words: Sequence[str]) -> Said:
    from telehealth.commands.run import in_house

    said = await in_house(house, words)
    if words[1] == "export-show":
        await asyncio.sleep(ASK_SECONDS)  # the loop turns only while it is asked something
    return said


def _checked(said: Said | None) -> dict[str, Any]:
    """The answer's data. Raises CommandRefused with what was refused."""
    if said is None:
        raise CommandRefused("server_gone", "The server has stopped.", "Ask again.")
    if said.exit != OK:
        data = said.data
        raise CommandRefused(
            str(data.get("error", "failed")), str(data.get("message", "")), str(data.get("mend", "")), FAILED
        )
    return said.data
