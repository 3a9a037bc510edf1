"""`telehealth keys`: the keyring's state."""

import argparse
import base64
from typing import TYPE_CHECKING

from telehealth.clock import rfc3339
from telehealth.commands.grammar import Subparsers, noun, verb
from telehealth.commands.said import Said

if TYPE_CHECKING:  # heavy, and not needed where a running server does the work
    from telehealth.house import House


def add(nouns: Subparsers, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    verb(noun(nouns, "keys", "Keys."), common, "status", "Provider, wrapping keys, rotation.", housed=_status)


async def _status(house: "House", _args: argparse.Namespace) -> Said:
    from telehealth.base import certificate_key, log_verifier

    ring, provider = house.keyring.status(), await house.provider.status()
    data = {
        "provider": house.provider.name,
        "assurance": house.provider.assurance,
        "healthy": provider.reachable,
        "wrapping_key": ring.wrapping_key,
        "wrapping_keys": ring.wrapping_keys,
        "since": rfc3339(ring.since),
        "rotate_by": rfc3339(ring.rotate_by),
        "rotation_due": ring.rotation_due,
        "certificate_key": base64.b64encode(await certificate_key(house.keyring)).decode("ascii"),
        "log_key": (await log_verifier(house.keyring))[2],
    }
    due = "It is due: the server rotates by itself at the next sweep." if ring.rotation_due else "Nothing to do."
    lines = [
        f"Provider {house.provider.name} ({house.provider.assurance}), {'well' if provider.reachable else 'NOT WELL'}.",
        f"Wrapping key {ring.wrapping_key} since {data['since']}, rotates by {data['rotate_by']}. {due}",
        f"Certificates verify under {data['certificate_key']}",
        f"The audit log verifies under {data['log_key']}",
        f"Keep a copy of {house.config.places.root_key} apart from the recordings: without it nothing can be opened.",
    ]
    return Said(data, lines, 0 if provider.reachable else 1)
