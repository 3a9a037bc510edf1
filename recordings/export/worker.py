"""The worker of one export: a process that gets plaintext by a pipe and gives a file by another. Nothing on disk.

It has no key, no path, no credential and an empty environment; it dies with the server, and whatever ends it early ends
without DONE, so that half a file never passes for a whole one.
"""

import ctypes
import io
import os
import signal
import sys
from collections.abc import Callable
from typing import BinaryIO

import av

from recordings.export import age
from recordings.export.compose import compose
from recordings.export.intake import RangeFile
from recordings.export.outlet import HeadHeld, head_of
from recordings.export.wire import BODY, HEAD, PIECE, RANGE, Job, Kind, framed
from telehealth.errors import Refusal
from telehealth.keys.process import harden_process

NICE = 10
_PR_SET_DUMPABLE, _PR_SET_PDEATHSIG = 4, 1


class ServerGone(Exception):
    """The pipe ended: there is nobody to work for."""


class Line:
    """Our end of the two pipes; one question at a time."""

    def __init__(self, source: BinaryIO, target: BinaryIO) -> None:
        self._source, self._target = source, target

    def say(self, kind: Kind, *parts: bytes) -> None:
        self._target.write(framed(kind, parts))
        self._target.flush()

    def hear(self, wanted: Kind) -> bytes:
        """The next message, of the wanted kind. Raises ServerGone."""
        kind, length = HEAD.unpack(self._exactly(HEAD.size))
        if kind != wanted:
            raise ServerGone
        return self._exactly(length)

    def ask(self, number: int, offset: int, length: int) -> bytes:
        self.say(Kind.READ, RANGE.pack(number, offset, length))
        return self.hear(Kind.DATA)

    def _exactly(self, length: int) -> bytes:
        data = self._source.read(length)
        if len(data) != length:
            raise ServerGone
        return data


class _Pieces:
    """Octets on their way out, in messages of one size."""

    def __init__(self, line: Line, kind: Kind) -> None:
        self._line, self._kind = line, kind
        self._held = bytearray()

    def write(self, data: bytes) -> None:
        self._held += data
        while len(self._held) >= PIECE:
            self._line.say(self._kind, bytes(self._held[:PIECE]))
            del self._held[:PIECE]

    def close(self) -> None:
        if self._held:
            self._line.say(self._kind, bytes(self._held))
            self._held.clear()


def work(line: Line) -> None:
    """One job, from JOB to DONE or FAILED. Raises ServerGone."""
    job = Job.parse(line.hear(Kind.JOB))
    aside = _Pieces(line, Kind.ASIDE)
    target = HeadHeld(aside.write, head_of(job.duration_ms))
    sources = [_ranges(line, number) for number in range(len(job.tracks))]
    made = compose(job, sources, target, lambda done: line.say(Kind.PROGRESS, done.to_bytes(8, "big")))
    aside.close()
    out = _Pieces(line, Kind.OUT)
    _protect(job, _Composed(line, target), out.write)
    out.close()
    line.say(Kind.DONE, made.encode())


def _ranges(line: Line, number: int) -> Callable[[int, int], bytes]:
    return lambda offset, length: line.ask(number, offset, length)


class _Composed(io.RawIOBase):
    """The composed file from its beginning: the head from here, the rest from where it was laid aside."""

    def __init__(self, line: Line, target: HeadHeld) -> None:
        self._head, self._at = bytes(target.head), 0
        rest = target.size - len(self._head)
        self._rest = RangeFile(rest, lambda offset, length: line.ask(BODY, offset, length))

    def read(self, size: int = -1) -> bytes:
        wanted = PIECE if size is None or size < 0 else size
        if self._at < len(self._head):
            data = self._head[self._at : self._at + wanted]
            self._at += len(data)
            return data
        return self._rest.read(wanted)


def _protect(job: Job, source: _Composed, write: Callable[[bytes], None]) -> None:
    match job.protection:
        case "recipient":
            age.to_recipient(source, write, job.secret)
        case "passphrase":
            age.to_passphrase(source, write, job.secret, os.urandom)
        case "plain":
            age.plain(source, write)


def withdraw_from_view(parent: int) -> None:
    """No dumps, no debugger of the same user, last in the queue for the processor, and never longer than the server."""
    harden_process()
    os.nice(NICE)
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise ServerGone  # it died before we asked to be told


def main(parent: int) -> int:
    """Exit code 0 when everything was said, also a refusal; 1 when the server went away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to hear
    av.logging.set_level(None)
    line = Line(sys.stdin.buffer, sys.stdout.buffer)
    try:
        withdraw_from_view(parent)
        try:
            work(line)
        except Refusal as refusal:
            line.say(Kind.FAILED, refusal.code.encode())
        except (av.FFmpegError, ValueError, MemoryError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            line.say(Kind.FAILED, b"export_failed")
    except (ServerGone, BrokenPipeError):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
