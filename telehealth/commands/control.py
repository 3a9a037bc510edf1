"""A Unix socket by which the command line asks a running server, so that one process alone writes log and keys."""

import asyncio
import json
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from telehealth.commands.said import CommandRefused, Said
from telehealth.log import get_logger

NAME = "control.sock"
LIMIT = 1024 * 1024  # bytes of one request or answer
SECONDS = 120.0
AT_ONCE = 8
Run = Callable[[Sequence[str]], Awaitable[Said]]
log = get_logger(__name__)


@contextmanager
def _short(folder: Path) -> Iterator[str]:
    """A path to the socket that fits into a socket address (108 bytes), however deep the folder lies."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        through = Path(f"/proc/self/fd/{handle}")
        yield str((through if through.exists() else folder) / NAME)
    finally:
        os.close(handle)


def _listen(folder: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _short(folder) as path:
        Path(path).unlink(missing_ok=True)  # we hold the folder's lock: whoever left it is gone
        listening.bind(path)
        Path(path).chmod(0o600)
    return listening


class Control:
    """The server's end. At most AT_ONCE commands run; further ones wait in the socket's backlog."""

    def __init__(self, folder: Path, run: Run) -> None:
        self._folder = folder
        self._run = run
        self._server: asyncio.Server | None = None
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def start(self) -> None:
        """Listen; the folder's lock must be held."""
        listening = await asyncio.to_thread(_listen, self._folder)
        self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=LIMIT)

    async def close(self) -> None:
        """Stop listening and take the socket away."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            await asyncio.to_thread((self._folder / NAME).unlink, missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._turns, asyncio.timeout(SECONDS):
                answer = await self._answer(reader, writer)
                writer.write(json.dumps(answer, default=str).encode() + b"\n")
                await writer.drain()
        except Exception:  # whatever a command ends in, the server goes on and the log says where
            log.warning("control.broken_off", exc_info=True)
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, Any]:
        if not _may_ask(writer.get_extra_info("socket")):
            raise ConnectionError
        asked = json.loads(await reader.readuntil(b"\n"))
        said = await self._run([str(word) for word in asked["argv"]])
        return {"data": said.data, "lines": list(said.lines), "exit": said.exit}


def _may_ask(peer: socket.socket) -> bool:
    """Only our own user and root, besides what the folder's and the socket's rights say."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", raw)
    return user in (0, os.geteuid())


def listens(folder: Path) -> bool:
    """Whether a server listens there. Blocks for a moment."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        return _reach(asking, folder)


def _reach(asking: socket.socket, folder: Path) -> bool:
    place = folder / NAME
    try:
        if not stat.S_ISSOCK(place.stat().st_mode):
            return False
        with _short(folder) as path:
            asking.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        return False  # never started, or left behind by a server that was killed
    return True


def ask(folder: Path, argv: Sequence[str]) -> Said | None:
    """Have the running server do a command; None where no server listens. Blocks. Raises CommandRefused."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(SECONDS)
        if not _reach(asking, folder):
            return None
        try:
            asking.sendall(json.dumps({"argv": list(argv)}).encode() + b"\n")
            with asking.makefile("rb") as answers:
                answer = json.loads(answers.readline(LIMIT))
        except (OSError, ValueError) as error:
            raise CommandRefused("server_silent", "The running server did not answer.", "See its log.") from error
    return Said(answer["data"], answer["lines"], answer["exit"])
