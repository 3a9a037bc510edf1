"""The process of a worker: started with one socket and nothing else, and ended for certain."""

import asyncio
import contextlib
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from typing import Final

from signaling.workers.wire import Line

ROOT: Final = Path(__file__).resolve().parents[2]
_ENDS_WITHIN = 3.0  # seconds that a worker gets to say goodbye to browsers
_DIES_WITHIN = 0.2


async def spawn(line: Line) -> Process:
    """A worker that waits for its configuration at the other end of `line`. Raises OSError."""
    ours, theirs = socket.socketpair()
    try:
        ours.setblocking(False)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "signaling.workers.child",
            stdin=theirs.fileno(),
            stdout=DEVNULL,
            stderr=DEVNULL,
            cwd="/",
            env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
        await asyncio.get_running_loop().create_unix_connection(lambda: line, sock=ours)
    except BaseException:  # without its socket a process that was started ends by itself
        ours.close()
        raise
    finally:
        theirs.close()
    return process


async def stop(process: Process, line: Line, *, gently: bool) -> int:
    """Close the socket and wait for the exit code; what does not end by itself in time is killed."""
    if gently:
        line.close()
    else:
        line.abort()
    try:  # waits also for what is dead already: a kill would reap it before the loop heard of it
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ENDS_WITHIN if gently else _DIES_WITHIN):
                await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        code = await asyncio.shield(process.wait())
    return code
