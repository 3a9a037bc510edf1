"""Small words for declaring commands."""

import argparse
from collections.abc import Awaitable, Callable
from typing import Any

from telehealth.commands.said import Said

Subparsers = Any  # argparse's own type is private
Local = Callable[[argparse.Namespace, Any], Said]
Housed = Callable[[Any, argparse.Namespace], Awaitable[Said]]


def noun(nouns: Subparsers, name: str, text: str) -> Subparsers:
    """A noun that has verbs."""
    parser = nouns.add_parser(name, help=text, description=text)
    return parser.add_subparsers(title="verbs", dest="verb", required=True, metavar="VERB")


def verb(
    verbs: Subparsers,
    common: argparse.ArgumentParser,
    name: str,
    text: str,
    *,
    housed: Housed | None = None,
    local: Local | None = None,
) -> argparse.ArgumentParser:
    """A verb. `housed` needs the data folder and runs in the server where one runs; `local` needs neither."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text, parents=[common])
    parser.set_defaults(housed=housed, local=local)
    return parser
