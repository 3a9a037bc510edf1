"""Evidence bundles: entries with their proofs under one signed head, for a reader who trusts only the log's key.

A bundle is one JSON object, checked by `offline_verifier.py` alone. See docs/audit.md.
"""

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from telehealth.audit.faults import IndexOutOfRange, SizeFromFuture, TileBroken
from telehealth.audit.files import Files
from telehealth.audit.layout import Layout
from telehealth.audit.log import AuditLog
from telehealth.audit.nodes import FolderNodes
from telehealth.audit.offline_verifier import FORMAT
from telehealth.audit.tree import Hash, consistency_proof, inclusion_proof

MAX_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class SignedConsent:
    """A consent as it was given: the receipt's exact text, its raw r‖s signature, the browser's public key (JWK)."""

    receipt: str
    signature: bytes
    key: Mapping[str, str]


async def evidence(
    log: AuditLog,
    indexes: Sequence[int],
    *,
    since: Sequence[int] = (),
    consents: Sequence[SignedConsent] = (),
    certificate: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A bundle of these entries, as JSON. `since`: sizes of older checkpoints that it must be shown to go on from.

    Raises IndexOutOfRange (also for none, or too many), SizeFromFuture, TileBroken.
    """
    signed = log.signed()
    wanted = sorted(set(indexes))
    if not wanted or len(wanted) > MAX_ENTRIES or not 0 <= wanted[0] <= wanted[-1] < signed.head.size:
        raise IndexOutOfRange
    sizes = {*since, *([int(certificate["certificate"]["audit_size"])] if certificate else [])}
    if any(not 0 <= size <= signed.head.size for size in sizes):
        raise SizeFromFuture
    entries, consistency = await asyncio.to_thread(_proven, *log.place, wanted, sorted(sizes), signed.head.size)
    return {
        "format": FORMAT,
        "keys": await asyncio.to_thread(_key_list, *log.place),
        "checkpoint": signed.note.decode(),
        "entries": entries,
        "consistency": consistency,
        "consents": [
            {"receipt": consent.receipt, "signature": _b64(consent.signature), "key": dict(consent.key)}
            for consent in consents
        ],
        "certificate": certificate,
    }


def written(bundle: Mapping[str, Any]) -> str:
    """The bundle as it is handed out."""
    return json.dumps(bundle, ensure_ascii=False, indent=1, sort_keys=True)


def _key_list(layout: Layout, files: Files) -> str | None:
    try:
        return files.read(layout.keys).decode()
    except FileNotFoundError:
        return None


def _proven(
    layout: Layout, files: Files, indexes: Sequence[int], sizes: Sequence[int], size: int
) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    nodes = FolderNodes(layout, files, size)
    try:
        entries = [
            {
                "index": index,
                "leaf": nodes.leaf(index).decode("ascii"),
                "proof": _all(inclusion_proof(index, size, nodes)),
            }
            for index in indexes
        ]
        return entries, {str(old): _all(consistency_proof(old, size, nodes)) for old in sizes}
    except ValueError:
        raise TileBroken from None


def _all(hashes: Sequence[Hash]) -> list[str]:
    return [_b64(hash_) for hash_ in hashes]


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
