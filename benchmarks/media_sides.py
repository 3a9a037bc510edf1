"""The two servers of the media benchmark behind one face: bring visits up, say what was spent, end them."""

import asyncio
import os
import resource
import shutil
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.media_janus import Janus
from benchmarks.pipe import Partner

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PATIENCE = 30.0  # seconds for one tape


@dataclass(frozen=True, slots=True)
class After:
    """What the end of visits cost: seconds of processor time, None where it was not measured; video frames kept."""

    seconds: float | None = None
    pictures: int | None = None


class Side(Protocol):
    """A server that is measured."""

    name: str

    async def bring_up(self, load: Partner, visits: int, record: bool) -> None:
        """Every peer connected, nothing sent yet."""
        ...

    def cpu(self) -> float:
        """Seconds of processor time so far, user and system, all threads."""
        ...

    def pid(self) -> int: ...

    async def end(self, load: Partner, record: bool) -> After:
        """End every visit and work off what its recording leaves to do. Raises RuntimeError if a recording broke."""
        ...


class Ours:
    """Our port, one leg for each browser."""

    def __init__(self, server: Partner, name: str = "ours") -> None:
        self.name = name
        self._server = server

    async def bring_up(self, load: Partner, visits: int, record: bool) -> None:
        offers = await load.ask("offers", visits=visits, receiving=True)
        answers = await self._server.ask("answers", offers=offers["offers"], record=record)
        await load.ask("connect", answers=answers["answers"])

    def cpu(self) -> float:
        return self._server.cpu()

    def pid(self) -> int:
        return self._server.pid

    async def end(self, load: Partner, record: bool) -> After:
        before = self.cpu()
        left = await self._server.ask("stop")
        if left["faults"]:
            raise RuntimeError(f"a recording or a leg broke off: {left['faults'][:3]}")
        await load.ask("stop")
        return After(self.cpu() - before, left["pictures"]) if record else After()


class Theirs:
    """Janus: each browser a publishing and a receiving connection, as its VideoRoom wants it."""

    name = "janus"

    def __init__(self, server: Janus) -> None:
        self._server = server

    async def bring_up(self, load: Partner, visits: int, record: bool) -> None:
        offers = await load.ask("offers", visits=visits, receiving=False)
        await load.ask("connect", answers=await self._server.answers(offers["offers"], record))
        answers = await load.ask("subscribe", offers=await self._server.invite())
        await self._server.start(answers["answers"])
        await load.ask("connected")

    def cpu(self) -> float:
        return self._server.cpu()

    def pid(self) -> int:
        return self._server.process.pid

    async def end(self, load: Partner, record: bool) -> After:
        await self._server.stop()
        await load.ask("stop")
        if not record:
            return After()
        tapes = list(self._server.tapes.glob("*.mjr"))
        if not any(tape.stat().st_size > 100_000 for tape in tapes):
            raise RuntimeError("janus recorded nothing")
        spent = await asyncio.to_thread(_post_process, tapes)
        for tape in tapes:
            tape.unlink()
        return After(spent)


def _post_process(tapes: list[Path]) -> float | None:
    """What janus-pp-rec spends to make playable files of raw dumps; None where it is not installed."""
    tool = shutil.which("janus-pp-rec")
    if tool is None:
        return None
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for tape in tapes:
        made = tape.with_suffix(".opus" if "audio" in tape.name else ".webm")
        pid = os.posix_spawn(tool, [tool, str(tape), str(made)], os.environ, file_actions=_silence())
        _wait(pid)
        made.unlink()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _wait(pid: int) -> None:
    """Until it ends; janus-pp-rec, its work done, may wait for its own logging thread for ever, and is killed then."""
    until = time.monotonic() + _PATIENCE
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return
        time.sleep(0.005)


def _silence() -> list[tuple[int, int, str, int, int]]:
    return [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]


def ahead_of_others(pid: int) -> None:
    """With REALTIME=1 its threads run before everybody else's: for machines that others use too; needs the right to."""
    if os.environ.get("REALTIME") != "1":
        return
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setscheduler(int(task.name), os.SCHED_FIFO, os.sched_param(2))


def descriptors(pid: int) -> list[str]:
    """What each open file of a process is; one that closes meanwhile is left out."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(os.readlink(link))
    return found


def kernel_drops(pid: int) -> int:
    """Datagrams that the kernel dropped at this process's UDP sockets."""
    inodes = {target[8:-1] for target in descriptors(pid) if target.startswith("socket:[")}
    found = 0
    for table in ("udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[9] in inodes:
                found += int(words[-1])
    return found


def resident(pid: int) -> int:
    """Octets of memory that are its own: what it maps from files is left out."""
    _, held, shared = Path(f"/proc/{pid}/statm").read_text().split()[:3]
    return (int(held) - int(shared)) * _PAGE
