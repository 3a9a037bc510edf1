"""`telehealth keys`: the keyring's state, a new wrapping key, re-wrapping what hangs on old ones."""

import argparse
import base64
from typing import TYPE_CHECKING

from telehealth.access import command_line
from telehealth.clock import rfc3339
from telehealth.commands.grammar import Subparsers, noun, verb
from telehealth.commands.progress import tell
from telehealth.commands.said import FAILED, OK, Said

if TYPE_CHECKING:  # heavy, and not needed where a running server does the work
    from telehealth.house import House
    from telehealth.keys.rewrap import Progress


def add(nouns: Subparsers, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verbs = noun(nouns, "keys", "Keys.")
    verb(verbs, common, "status", "Provider, wrapping keys, rotation, progress of a re-wrapping.", housed=_status)
    verb(verbs, common, "rotate", "Begin a new wrapping key now, and re-wrap.", housed=_rotate)
    verb(verbs, common, "rewrap", "Move every share to the present wrapping key; retire old ones.", housed=_rewrap)


async def _status(house: "House", _args: argparse.Namespace) -> Said:
    from telehealth.auditing import log_verifier
    from telehealth.base import certificate_key
    from telehealth.nodes.folder import log_name

    ring, provider = house.keyring.status(), await house.provider.status()
    left, progress = await house.turnover.left(), house.turnover.progress
    data = {
        "provider": house.provider.name,
        "assurance": house.provider.assurance,
        "healthy": provider.reachable,
        "wrapping_key": ring.wrapping_key,
        "wrapping_keys": ring.wrapping_keys,
        "since": rfc3339(ring.since),
        "rotate_by": rfc3339(ring.rotate_by),
        "rotation_due": ring.rotation_due,
        "on_old_keys": left,
        "rewrapping": progress.running,
        "rewrapped": progress.done,
        "unreadable": progress.unreadable,
        "certificate_key": base64.b64encode(await certificate_key(house.keyring)).decode("ascii"),
        "log_key": (await log_verifier(house.keyring, log_name(house.config.places.audit)))[2],
    }
    due = "It is due: the server rotates by itself at the next sweep." if ring.rotation_due else "Nothing to do."
    lines = [
        f"Provider {house.provider.name} ({house.provider.assurance}), {'well' if provider.reachable else 'NOT WELL'}.",
        f"Wrapping key {ring.wrapping_key} since {data['since']}, rotates by {data['rotate_by']}. {due}",
        f"{left} shares on old wrapping keys{_share_of(progress)}.",
        f"Certificates verify under {data['certificate_key']}",
        f"The audit log verifies under {data['log_key']}",
    ]
    if house.provider.name == "file":
        root = house.config.places.root_key
        lines.append(f"Keep a copy of {root} apart from the recordings: without it nothing can be opened.")
    return Said(data, lines, OK if provider.reachable else FAILED)


def _share_of(progress: "Progress") -> str:
    """How far a re-wrapping is, in words; the same numbers stay after its end."""
    if not progress.total:
        return ""
    unreadable = f", {progress.unreadable} UNREADABLE" if progress.unreadable else ""
    return f" ({progress.done} of {progress.total} re-wrapped{unreadable}{', running' if progress.running else ''})"


async def _rotate(house: "House", args: argparse.Namespace) -> Said:
    name = await house.turnover.rotate(command_line().actor())
    said = await _rewrap(house, args)
    return Said({"wrapping_key": name, **said.data}, [f"New wrapping key: {name}.", *said.lines], said.exit)


async def _rewrap(house: "House", _args: argparse.Namespace) -> Said:
    done = await house.turnover.rewrap(command_line().actor(), _tell)
    data = {
        "rewrapped": done.moved,
        "unreadable": done.unreadable,
        "left": done.left,
        "retired": list(done.retired),
        "waiting": list(done.waiting),
    }
    lines = [f"{done.moved} shares re-wrapped, {done.left} left on old keys. Media were not touched."]
    if done.unreadable:
        lines.append(
            f"{done.unreadable} could not be opened: see keys.share_unreadable in the log. Their key lives on."
        )
    if done.retired:
        lines.append(f"Ended: {', '.join(done.retired)}.")
    if done.waiting:
        days = house.config.keys.retire_days
        lines.append(
            f"{', '.join(done.waiting)} ends by itself {days} days after its successor began (keys.retire_days)."
        )
    return Said(data, lines, FAILED if done.unreadable else OK)


def _tell(progress: "Progress") -> None:
    """For people who wait."""
    tell(f"{progress.done} of {progress.total} re-wrapped")
