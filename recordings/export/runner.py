"""The server's end of one export: starts the worker, serves it ranges, encrypts and keeps what it makes."""

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from recordings.export.refusals import ExportDied, ExportFailed
from recordings.export.wire import BODY, HEAD, LONGEST, RANGE, Job, Kind, Made, framed
from recordings.part import NewFile, Place
from recordings.partners import FinishedFile
from recordings.rows import StoredFile
from recordings.sealed import OpenFile
from recordings.sealing import SealedWriter
from telehealth.log import get_logger

ROOT = Path(__file__).resolve().parents[2]
ENDING_SECONDS = 5.0  # that a worker gets to end by itself after its last message
SILENCE_SECONDS = 120.0  # without a message, after which a worker counts as hung; it says how far it is all the time
MOST_A_SECOND = 4 * 1_048_576  # octets of film for each second of the recording: far beyond what the encoders make
_log = get_logger(__name__)
Progress = Callable[[int], None]  # milliseconds of the recording done


@dataclass(frozen=True, slots=True)
class Keeping:
    """Two new files of one recording: what is made, and what is laid aside while it is made."""

    place: Place
    file: NewFile
    aside: NewFile


@dataclass(frozen=True, slots=True)
class Finished:
    """A whole export: the file as it lies in the vault, verified by reading back, and what it holds."""

    file: FinishedFile
    made: Made


async def run(job: Job, tracks: Sequence[OpenFile], keeping: Keeping, progress: Progress) -> Finished:
    """Make one export. Cancelled, the worker is killed and waited for; whatever fails, nothing is published.

    Raises ExportDied, ExportFailed, FormatUnavailable and what vault and envelope refuse with.
    """
    async with _worker() as process:
        talk = _Talk(process, tracks, keeping, progress)
        try:
            talk.room = (job.duration_ms // 1000 + 60) * MOST_A_SECOND
            await talk.say(Kind.JOB, job.encode())
            made = await talk.until_done()
            await _ended(process)
            return Finished(await talk.publish(), made)
        except (BrokenPipeError, ConnectionResetError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise ExportDied from error
        finally:
            await talk.close()


async def _ended(process: Process) -> None:
    """The worker said DONE; it must also end well. Raises ExportDied."""
    try:
        async with asyncio.timeout(ENDING_SECONDS):
            code = await process.wait()
    except TimeoutError:
        raise ExportDied from None
    if code != 0:
        raise ExportDied


@asynccontextmanager
async def _worker() -> AsyncIterator[Process]:
    """A worker of its own: no environment but where Python looks, no terminal, killed when the block ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "recordings.export.worker",
        str(os.getpid()),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        cwd="/",
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"},
        start_new_session=True,
        limit=LONGEST,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        if process.stdin is not None:
            process.stdin.close()
        await asyncio.shield(process.wait())


class _Talk:
    """Answers the worker message by message; the pipes are the only queue, so a slow disk slows the worker."""

    def __init__(self, process: Process, tracks: Sequence[OpenFile], keeping: Keeping, progress: Progress) -> None:
        if process.stdin is None or process.stdout is None:
            raise ExportFailed
        self.process = process
        self._stdin, self._stdout = process.stdin, process.stdout
        self._tracks = tracks
        self._keeping = keeping
        self._progress = progress
        self.room = 0  # octets that it may still hand back
        self._aside: SealedWriter | None = None
        self._out: SealedWriter | None = None
        self._laid: OpenFile | None = None

    async def say(self, kind: Kind, *parts: bytes) -> None:
        self._stdin.write(framed(kind, parts))
        async with asyncio.timeout(SILENCE_SECONDS):
            await self._stdin.drain()

    async def until_done(self) -> Made:
        """Serve until DONE. Raises ExportFailed, ExportDied, TimeoutError (silence), IncompleteReadError."""
        while True:
            kind, data = await self._heard()
            match kind:
                case Kind.READ:
                    await self.say(Kind.DATA, await self._range(*RANGE.unpack(data)))
                case Kind.ASIDE:
                    self._aside = self._aside or await SealedWriter.begin(self._keeping.place, self._keeping.aside)
                    await self._aside.add([data])
                case Kind.OUT:
                    self._out = self._out or await SealedWriter.begin(self._keeping.place, self._keeping.file)
                    await self._out.add([data])
                case Kind.PROGRESS:
                    self._progress(int.from_bytes(data, "big"))
                case Kind.DONE:
                    return Made.parse(data)
                case _:
                    _log.warning("export.failed", code=data.decode("ascii", "replace")[:64] or "unknown")
                    raise ExportFailed

    async def _heard(self) -> tuple[int, bytes]:
        """The next message; a worker that says nothing, too much at once or too much in all is no worker of ours."""
        async with asyncio.timeout(SILENCE_SECONDS):
            kind, length = HEAD.unpack(await self._stdout.readexactly(HEAD.size))
            if length > LONGEST:
                raise ExportDied
            data = await self._stdout.readexactly(length)
        if kind in (Kind.ASIDE, Kind.OUT):
            self.room -= length
            if self.room < 0:
                raise ExportDied
        return kind, data

    async def publish(self) -> FinishedFile:
        """The file whole, synced, verified and under its name."""
        if self._out is None:
            raise ExportFailed
        return await self._out.finish()

    async def close(self) -> None:
        for writer in (self._aside, self._out):
            if writer is not None:
                await writer.close()

    async def _range(self, number: int, offset: int, length: int) -> bytes:
        file = await self._laid_aside() if number == BODY else self._tracks[number]
        end = min(file.size, offset + min(length, LONGEST))
        if offset >= end:
            return b""
        return b"".join([bytes(piece) async for piece in file.chunks(offset, end)])

    async def _laid_aside(self) -> OpenFile:
        """What was laid aside, whole; from now on nothing more is."""
        if self._laid is None:
            if self._aside is None:
                raise ExportDied
            done = await self._aside.finish()
            new = self._keeping.aside
            stored = StoredFile(new.row, "sealed", done.segments, done.size, done.plain_size, done.sha256, None)
            self._laid = await OpenFile.open(self._keeping.place.vault, stored, new.dek)
        return self._laid
