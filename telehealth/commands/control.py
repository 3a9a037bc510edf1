"""A Unix socket by which the command line asks a running server, so that one process alone writes log and keys."""

import asyncio
import json
import os
import socket
import stat
import struct
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from telehealth.commands.progress import tell, telling
from telehealth.commands.said import CommandRefused, Said
from telehealth.log import get_logger

NAME = "control.sock"
LIMIT = 1024 * 1024  # bytes of one request
ANSWER = 64 * LIMIT  # bytes of one answer; a bundle of evidence is long
SECONDS = 120.0  # of silence: a question that does not come, an answer that nobody takes, a server that says nothing
BEAT = 1.0  # between two signs of life while a command runs, however long that takes
AT_ONCE = 8
Run = Callable[[Sequence[str]], Coroutine[Any, Any, Said]]
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
    """The server's end. At most AT_ONCE commands run; further ones of our own user wait for their turn."""

    def __init__(self, folder: Path, run: Run) -> None:
        self._folder = folder
        self._run = run
        self._server: asyncio.Server | None = None
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._running: set[asyncio.Task[Said]] = set()

    async def start(self) -> None:
        """Listen; the folder's lock must be held."""
        listening = await asyncio.to_thread(_listen, self._folder)
        self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=LIMIT)

    async def close(self) -> None:
        """Stop listening, end what still runs, take the socket away."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            await asyncio.to_thread((self._folder / NAME).unlink, missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._turns:
                if not _may_ask(writer.get_extra_info("socket")):
                    raise ConnectionError
                async with asyncio.timeout(SECONDS):
                    asked = json.loads(await reader.readuntil(b"\n"))
                said = await self._told([str(word) for word in asked["argv"]], reader, writer)
                await _send(writer, {"data": said.data, "lines": list(said.lines), "exit": said.exit})
        except Exception:  # whatever a command ends in, the server goes on and the log says where
            log.warning("control.broken_off", exc_info=True)
        finally:
            writer.close()

    async def _told(self, argv: list[str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Said:
        """Run the command, telling how far it is; it ends when whoever asked goes away. Raises what it raises."""
        newest: deque[str | None] = deque([None], maxlen=1)
        with telling(newest.append):
            running = asyncio.create_task(self._run(argv), name="command")
        gone = asyncio.create_task(reader.read(1), name="command's reader")  # says nothing more, but for its end
        self._running.add(running)
        try:
            while not (await asyncio.wait({running, gone}, timeout=BEAT, return_when=asyncio.FIRST_COMPLETED))[0]:
                await _send(writer, {"progress": newest[0]})
            if not running.done():
                raise ConnectionResetError
            return running.result()
        finally:
            for task in (running, gone):
                task.cancel()
            await asyncio.gather(running, gone, return_exceptions=True)
            self._running.discard(running)


async def _send(writer: asyncio.StreamWriter, line: dict[str, Any]) -> None:
    writer.write(json.dumps(line, default=str).encode() + b"\n")
    async with asyncio.timeout(SECONDS):
        await writer.drain()


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
                answer = json.loads(answers.readline(ANSWER))
                while "progress" in answer:
                    if answer["progress"]:
                        tell(answer["progress"])
                    answer = json.loads(answers.readline(ANSWER))
        except (OSError, ValueError) as error:
            raise CommandRefused("server_silent", "The running server did not answer.", "See its log.") from error
    return Said(answer["data"], answer["lines"], answer["exit"])
