"""After a kill: forget what was half sealed, seal what was captured, or finish destroying what is sealed already.

Nothing is ever written under an old key. Every step can be killed and run again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from recordings.part import Place
from recordings.partners import FileKind, KeyedFile
from recordings.seal import CaptureFile, Sealed, SealOrder, seal


@dataclass(frozen=True, slots=True)
class Kept:
    """A row of the ledger: the file, whether the ledger knows it as sealed, and its acknowledged segments."""

    row: KeyedFile
    is_sealed: bool
    segments: int


@dataclass(frozen=True, slots=True)
class AlreadySealed:
    """The manifest was durable before the kill; only the capture files had to go."""

    manifest: KeyedFile


@dataclass(frozen=True, slots=True)
class RecoveryPlan:
    """What a kill left. With a sealed `manifest`, `captures` are to be forgotten; without, sealed anew."""

    manifest: KeyedFile | None
    captures: tuple[Kept, ...]
    strays: tuple[KeyedFile, ...]


def plan(rows: Sequence[Kept]) -> RecoveryPlan:
    """Sort a recording's rows. Pure."""
    manifest = next((kept.row for kept in rows if kept.row.kind is FileKind.MANIFEST and kept.is_sealed), None)
    captures = tuple(kept for kept in rows if kept.row.kind is FileKind.CAPTURE)
    unsealed = tuple(
        kept.row for kept in rows if kept.row.kind is not FileKind.CAPTURE and not (manifest and kept.is_sealed)
    )
    return RecoveryPlan(manifest, captures, unsealed)


async def recover(order: SealOrder, rows: Sequence[Kept], place: Place) -> Sealed | AlreadySealed:
    """Bring a recording that broke off to its sealed end. `order.captures` is taken from `rows`.

    The manifest says interrupted unless the order says that the capture had been stopped before the kill.
    """
    found = plan(rows)
    await place.forget(list(found.strays))
    if found.manifest is not None:
        await place.forget([kept.row for kept in found.captures])
        return AlreadySealed(found.manifest)
    captures = tuple(CaptureFile(kept.row, kept.segments, kept.is_sealed) for kept in found.captures)
    return await seal(replace(order, captures=captures), place)
