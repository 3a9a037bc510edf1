"""What the audit log can prove: checkpoint, inclusion, consistency, tiles (C2SP tlog-tiles)."""

import base64
from collections.abc import Sequence
from typing import Annotated

from aiohttp import web
from pydantic import Field

from telehealth.audit.actions import Action
from telehealth.audit.entry import Entry, Outcome
from telehealth.audit.faults import (
    IndexOutOfRange,
    LogUnavailable,
    SizeFromFuture,
    SizesReversed,
    TileBroken,
    TileUnknown,
)
from telehealth.audit.proofs import Proofs
from telehealth.audit.tree import leaf_hash
from telehealth.web.models import Asked, Nothing, Told
from telehealth.web.route import Answer, Ask, Route, Who

Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
_TEXT = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}


class InclusionQuery(Asked):
    index: Count | None = Field(default=None, description="Of the entry; without it, the newest.")
    size: Count | None = Field(default=None, description="Of the checkpoint; without it, the newest.")


class ConsistencyQuery(Asked):
    old: Count = Field(default=0, alias="from")
    new: Count | None = Field(default=None, alias="to", description="Without it, the newest checkpoint.")


class InclusionTold(Told):
    """Hashes in base64, from the leaf's neighbour up to the root (RFC 6962 §2.1.1)."""

    index: int
    size: int
    leaf_hash: str
    proof: Sequence[str]
    root: str


class ConsistencyTold(Told):
    """Hashes in base64 (RFC 6962 §2.1.2)."""

    old: int = Field(alias="from")
    new: int = Field(alias="to")
    proof: Sequence[str]
    old_root: str
    new_root: str


def _b64(hash_: bytes) -> str:
    return base64.b64encode(hash_).decode("ascii")


async def audit_checkpoint(ask: Ask[Nothing, Nothing]) -> web.Response:
    """The newest signed head, as a C2SP checkpoint."""
    return web.Response(body=Proofs(ask.rooms.log).checkpoint(), headers=_TEXT)


async def audit_keys(ask: Ask[Nothing, Nothing]) -> web.Response:
    """The verifier keys of the log, oldest first, one a line; each with the size from which on it signs."""
    return web.Response(body=ask.rooms.log.keys.text().encode(), headers=_TEXT)


async def audit_inclusion(ask: Ask[Nothing, InclusionQuery]) -> Answer:
    """That an entry stands in the log of a size."""
    size = ask.rooms.log.head().size if ask.query.size is None else ask.query.size
    index = size - 1 if ask.query.index is None else ask.query.index
    found = await Proofs(ask.rooms.log).inclusion(index, size)
    return Answer(
        InclusionTold(
            index=found.index,
            size=found.size,
            leaf_hash=_b64(leaf_hash(found.leaf)),
            proof=[_b64(hash_) for hash_ in found.proof],
            root=_b64(found.root),
        )
    )


async def audit_consistency(ask: Ask[Nothing, ConsistencyQuery]) -> Answer:
    """That the log of one size begins with the log of a smaller one."""
    found = await Proofs(ask.rooms.log).consistency(ask.query.old, ask.query.new)
    return Answer(
        ConsistencyTold.model_validate(
            {
                "from": found.old,
                "to": found.new,
                "proof": [_b64(hash_) for hash_ in found.proof],
                "old_root": _b64(found.old_root),
                "new_root": _b64(found.new_root),
            }
        )
    )


async def audit_tile(ask: Ask[Nothing, Nothing]) -> web.Response:
    """A tile of hashes, or a bundle of entries; reading entries is itself entered first."""
    tile = ask.id("tile")
    proofs = Proofs(ask.rooms.log)
    name = proofs.tile_name(f"tile/{tile}")
    if name.level is None:
        entry = Entry(Action.AUDIT_READ, Outcome.DONE, ask.caller.actor(), detail={"criteria": "tile", "tile": tile})
        await ask.rooms.log.enter(entry)
    content = await proofs.tile(name)
    return web.Response(body=content, content_type="application/octet-stream", headers={"Cache-Control": "no-store"})


ROUTES = (
    Route(
        "GET",
        "/api/v1/audit/checkpoint",
        audit_checkpoint,
        Who.OVERSEER,
        "audit",
        scope="audit:read",
        stream=True,
        media_type="text/plain",
    ),
    Route(
        "GET",
        "/api/v1/audit/keys",
        audit_keys,
        Who.OVERSEER,
        "audit",
        scope="audit:read",
        stream=True,
        media_type="text/plain",
    ),
    Route(
        "GET",
        "/api/v1/audit/proofs/inclusion",
        audit_inclusion,
        Who.OVERSEER,
        "audit",
        InclusionTold,
        query=InclusionQuery,
        scope="audit:read",
        codes=(IndexOutOfRange, SizeFromFuture, TileBroken),
    ),
    Route(
        "GET",
        "/api/v1/audit/proofs/consistency",
        audit_consistency,
        Who.OVERSEER,
        "audit",
        ConsistencyTold,
        query=ConsistencyQuery,
        scope="audit:read",
        codes=(SizesReversed, SizeFromFuture, TileBroken),
    ),
    Route(
        "GET",
        "/api/v1/audit/tile/{tile}",
        audit_tile,
        Who.OVERSEER,
        "audit",
        scope="audit:read",
        stream=True,
        media_type="application/octet-stream",
        codes=(TileUnknown, TileBroken, LogUnavailable),
    ),
)
