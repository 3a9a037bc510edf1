"""The words of the command line; each noun's file adds its own."""

import argparse
from importlib.metadata import version
from pathlib import Path

from telehealth.commands import (
    access,
    alerts,
    audit,
    backup,
    doctor,
    drill,
    keys,
    outward,
    privacy,
    recordings,
    registers,
    serve,
    tokens,
    users,
    visits,
)

VERSION = version("telehealth")  # read once: commands are also parsed in the running server's event loop


def build() -> argparse.ArgumentParser:
    """The whole grammar. `--config` and `--json` may stand before or after the command."""
    parser = argparse.ArgumentParser(
        prog="telehealth",
        description="Visits by link, consented recordings, certified deletion, an audit log that can be checked.",
        epilog="Start with: telehealth serve. Something wrong? telehealth doctor.",
    )
    parser.add_argument("--version", action="version", version=f"telehealth {VERSION}")
    common = argparse.ArgumentParser(add_help=False)
    for place, default in ((parser, True), (common, False)):
        place.add_argument(
            "--config",
            type=Path,
            metavar="FILE",
            default=None if default else argparse.SUPPRESS,
            help="configuration (default: ./config.toml where it exists)",
        )
        place.add_argument(
            "--json", action="store_true", default=False if default else argparse.SUPPRESS, help="answer in JSON"
        )
    nouns = parser.add_subparsers(title="commands", dest="noun", required=True, metavar="COMMAND")
    first = (serve, users, access, tokens, visits, recordings, audit, alerts, registers, privacy)
    rest = (outward, keys, backup, drill, doctor)
    for module in (*first, *rest):
        module.add(nouns, common)
    return parser
