"""From words to an answer: in a running server where there is one, else in the data folder itself."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from telehealth.audit.faults import LogMismatch
from telehealth.clock import SystemClock
from telehealth.commands import control, parser
from telehealth.commands.config import config_of
from telehealth.commands.grammar import Local
from telehealth.commands.said import FAILED, USAGE, CommandRefused, Said, refusal_lines
from telehealth.commands.serve import serve
from telehealth.config import Config, ConfigRefused
from telehealth.errors import Refusal
from telehealth.log import configure
from telehealth.memory import loading

if TYPE_CHECKING:  # heavy, and not needed where a running server does the work
    from telehealth.house import House


def main(argv: Sequence[str]) -> int:
    """Do one command and print what it says; the exit code."""
    args = parser.build().parse_args(argv)
    if args.noun == "serve":
        return serve(args)
    configure(level="WARNING")
    try:
        said = _do(args, argv)
    except CommandRefused as refused:
        said = refused.said
    except ConfigRefused as refused:
        lines = ["The configuration is refused:", *(f"  {fault}" for fault in refused.faults)]
        said = Said({"error": "config", "faults": refused.faults}, [*lines, "See: telehealth doctor"], USAGE)
    except Refusal as refusal:
        said = refused_said(refusal)
    except LogMismatch as mismatch:
        lines = ["The audit log on disk is not what was signed; nothing is opened.", str(mismatch)]
        said = Said(
            {"error": "log_mismatch", "message": str(mismatch)}, [*lines, "See: telehealth audit verify"], FAILED
        )
    except OSError as error:
        what = f"{error.strerror or type(error).__name__}: {error.filename or 'a file'}"
        said = Said({"error": "os_error", "message": what}, [what, "See: telehealth doctor"], FAILED)
    stream = sys.stdout if said.exit == 0 or args.json else sys.stderr
    print(said.text(as_json=args.json), file=stream)
    return said.exit


def refused_said(refusal: Refusal) -> Said:
    """A refusal as the command line says it."""
    lines = [*refusal_lines(refusal), "See: telehealth doctor"]
    return Said({"error": refusal.code, "message": refusal.message}, lines, FAILED)


def _do(args: argparse.Namespace, argv: Sequence[str]) -> Said:
    local: Local | None = args.local
    if args.noun == "doctor" and local is not None:
        return local(args, None)  # reads the configuration itself, to say what is wrong with it
    config = config_of(args)
    if args.housed is not None and not getattr(
        args, "folder", None
    ):  # what stands in another folder is no matter of the server
        answered = control.ask(config.places.audit, argv)
        if answered is not None:
            return answered
    if local is not None:
        return local(args, config)
    return asyncio.run(_housed(config, args))


async def _housed(config: Config, args: argparse.Namespace) -> Said:
    with loading():
        from telehealth.house import open_house

    async with open_house(config, SystemClock()) as house:
        said: Said = await args.housed(house, args)
        return said


async def in_house(house: "House", argv: Sequence[str], reach: object = None) -> Said:
    """What a running server does for the command line: the same command, in its own house."""
    try:
        args = await asyncio.to_thread(lambda: parser.build().parse_args(argv))  # looks for translations on disk
        if reach is not None and getattr(args, "attended", None) is not None:
            return cast("Said", await args.attended(reach, args))  # what only a running server can answer
        if args.housed is None:
            raise CommandRefused("usage", "This command does not run in the server.", exit_code=USAGE)
        said: Said = await args.housed(house, args)
    except CommandRefused as refused:
        return refused.said
    except Refusal as refusal:
        return refused_said(refusal)
    except SystemExit:
        return Said({"error": "usage"}, ["The running server does not know this command."], USAGE)
    return said
