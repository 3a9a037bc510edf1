"""Partners in processes of their own, asked by JSON lines over their standard input and output."""

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_LONGEST_LINE = 16 * 1_048_576
_PATIENCE = 180.0  # seconds for one answer
_REST = 0.5  # seconds with less than a tenth of a core in use

Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class PartnerDied(Exception):
    """A partner ended instead of answering; what it said stands on stderr."""


class Partner:
    """A running process; `partner` starts and ends it."""

    def __init__(self, module: str, process: Process) -> None:
        self._module = module
        self._process = process
        self._turn = asyncio.Lock()

    async def ask(self, what: str, **words: Any) -> dict[str, Any]:
        """Ask and wait for the answer. Raises PartnerDied, TimeoutError."""
        to, of = self._process.stdin, self._process.stdout
        assert to is not None
        assert of is not None
        async with self._turn, asyncio.timeout(_PATIENCE):
            to.write(json.dumps({"ask": what, **words}).encode() + b"\n")
            await to.drain()
            line = await of.readline()
        if not line:
            raise PartnerDied(self._module)
        answer: dict[str, Any] = json.loads(line)
        return answer

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu(self) -> float:
        """Seconds of processor time, user and system, all threads, from the process's own clock."""
        return time.clock_gettime((~self._process.pid << 3) | 2)  # clock_getcpuclockid(3)

    async def idle(self, limit: float = 90.0) -> float:
        """Wait until it rests, and say after how many seconds that began. Raises TimeoutError."""
        begun = time.monotonic()
        async with asyncio.timeout(limit):
            while True:
                before, at = self.cpu(), time.monotonic()
                await asyncio.sleep(_REST)
                if self.cpu() - before < 0.1 * _REST:
                    return at - begun


@asynccontextmanager
async def partner(module: str, *arguments: str) -> AsyncIterator[Partner]:
    """`python -m module arguments`, ended by closing its input, or killed after ten seconds."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, cwd=ROOT, stdin=PIPE, stdout=PIPE, limit=_LONGEST_LINE
    )
    try:
        yield Partner(module, process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def serve(answer: Answer) -> None:
    """In the partner: answer every line of standard input until it ends; whatever else prints goes to stderr."""
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    reader = asyncio.StreamReader(limit=_LONGEST_LINE)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        while line := await reader.readline():
            told = json.dumps(await answer(json.loads(line))).encode() + b"\n"
            await asyncio.to_thread(out.write, told)
    finally:
        transport.close()
        out.close()
