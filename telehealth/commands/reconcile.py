"""`telehealth recording reconcile`: what store, catalogue and key store disagree about."""

import argparse
from typing import TYPE_CHECKING

from telehealth.access import command_line
from telehealth.commands.grammar import Subparsers, verb
from telehealth.commands.said import FAILED, OK, Said

if TYPE_CHECKING:  # heavy, and not needed where a running server does the work
    from telehealth.house import House

_MEANING = {
    "files_without_row": "orphans in the store: no recording knows these files",
    "uploads_without_row": "orphans in the remote store: uploads that were begun and belong to nothing",
    "shares_without_row": "orphans in the key store: keys of files that no recording knows",
    "rows_without_file": "MISSING files: restore them from a backup of the recordings",
    "rows_without_share": "MISSING keys: restore the key store from its backup",
    "wrong_size": "MISMATCHED: these files have another size than was sealed; restore them",
    "wrong_sha256": "MISMATCHED: these files hold other bytes than were sealed; restore them",
}


def add(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Declare the verb."""
    text = "Compare store, catalogue and key store both ways; nothing is deleted. Exit code 1 when something differs."
    comparing = verb(verbs, common, "reconcile", text, housed=_reconcile)
    comparing.add_argument(
        "--read", type=int, default=256, metavar="MIB", help="read files drawn by lot, so many MiB (default 256)"
    )
    comparing.add_argument("--seed", type=int, help="draw the same files again")


async def _reconcile(house: "House", args: argparse.Namespace) -> Said:
    seed = args.seed if args.seed is not None else int.from_bytes(house.storing.entropy(4), "big")
    done = await house.storing.reconciler.compare(command_line().actor(), max(0, args.read) * 1_048_576, seed)
    found = {kind: sorted(getattr(done.discord, kind)) for kind in _MEANING}
    read = {"read_files": done.read_files, "read_bytes": done.read_octets, "seed": seed}
    data = {"ok": not done.discord.counts, "files": done.files, **read, **found}
    if data["ok"]:
        return Said(data, [f"In accord: {done.files} sealed files, {done.read_files} of them read whole."], OK)
    lines = [
        line for kind, ids in found.items() if ids for line in (f"{_MEANING[kind]}:", *(f"  {id_}" for id_ in ids))
    ]
    return Said(data, [*lines, "Nothing was deleted. See docs/stores.md for what each means."], FAILED)
