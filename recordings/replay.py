"""Reading a capture file back: as far as it opens, chunk by chunk, off the event loop."""

import asyncio
from collections.abc import Awaitable, Callable

from recordings.envelope import MalformedEnvelope, WrongKey
from recordings.opening import Prefix, SegmentStream
from recordings.partners import KeyedFile
from recordings.vault.store import Vault, VaultMissing
from telehealth.secret import Secret

CHUNK = 524_288
NOTHING = Prefix(0, 0, 0, False)

Consume = Callable[[bytes], None]
Drain = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """No drain."""


async def replay(vault: Vault, row: KeyedFile, dek: Secret[bytes], consume: Consume, drain: Drain = nothing) -> Prefix:
    """Give every segment of the valid prefix to `consume` (in a thread), and `drain` after each chunk.

    A file that was never begun, or whose header was torn, has an empty prefix.
    """
    stream = SegmentStream(dek, row.recording_id, row.file_id, interrupted=True)
    offset = 0
    try:
        while chunk := await vault.read(row.name, offset, CHUNK):
            await asyncio.to_thread(_step, stream, chunk, consume)
            offset += len(chunk)
            await drain()
    except VaultMissing:
        return NOTHING
    except (MalformedEnvelope, WrongKey):  # the header; anything later only ends the prefix
        return Prefix(0, 0, await vault.size(row.name), False)
    return stream.finish()


def _step(stream: SegmentStream, chunk: bytes, consume: Consume) -> None:
    for segment in stream.feed(chunk):
        consume(segment)
