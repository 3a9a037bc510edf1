"""Several media ports in processes of their own, used like one `signaling.rtc.MediaPort`, and kept alive."""

import asyncio
import signal
from collections import Counter
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, Final, Self

from signaling.workers.faults import LOST, MediaAway
from signaling.workers.remote import Heard, RemoteLeg
from signaling.workers.tuning import BackOff, Tuning
from signaling.workers.worker import Worker
from telehealth.clock import Clock
from telehealth.frames import FrameSink
from telehealth.log import get_logger

_MOST_WAITING: Final = 256  # who may wait for a worker to come back
_OF_NOW: Final = frozenset({"legs", "tcp", "receive_buffer", "compiled"})  # figures that are no counts

log = get_logger(__name__)


class MediaPool:
    """Owns the workers, a spare process, and one task for each worker that replaces it when it has to go.

    Use `open`, then `close`.

    Worker `i` has the UDP port `port + i`. A room's legs live on one worker, the least loaded when its first leg came.
    """

    def __init__(self, arguments: dict[str, Any], ports: Sequence[int], clock: Clock, tuning: Tuning) -> None:
        self.clock = clock
        self._arguments = arguments
        self._ports = list(ports)
        self._tuning = tuning
        self._workers: dict[int, Worker] = {}  # those that are up, by their index
        self._keepers: list[asyncio.Task[None]] = []
        self._replaced: Counter[str] = Counter()
        self._past: Counter[str] = Counter()  # what lost workers had counted
        self._changed = asyncio.Event()
        self._waiting = 0
        self._spare: Worker | None = None

    @classmethod
    async def open(
        cls,
        host: str | Sequence[str],
        port: int,
        *,
        workers: int,
        public_addresses: Sequence[str],
        clock: Clock,
        max_legs: int = 256,
        tcp: bool = True,
        compiled: bool = True,
        tuning: Tuning | None = None,
    ) -> Self:
        """Start the workers on `port` … `port + workers - 1` (0: any), `max_legs` for each; return when all are up.

        Raises ValueError if an address is none, OSError if a port cannot be had or a worker not started.
        """
        addresses = [str(ip_address(address)) for address in public_addresses]
        if not addresses:
            raise ValueError("a media port needs an address that browsers can reach")
        hosts = [host] if isinstance(host, str) else list(host)
        more = {"max_legs": max_legs, "tcp": tcp, "compiled": compiled}
        arguments = {"host": hosts, "public_addresses": addresses} | more
        ports = [port + index if port else 0 for index in range(workers)]
        pool = cls(arguments, ports, clock, tuning or Tuning())
        try:
            async with asyncio.TaskGroup() as group:
                for index in range(workers):
                    group.create_task(pool._start(index), name=f"start worker {index}")
            await pool._lay_in()
        except (OSError, asyncio.CancelledError, BaseExceptionGroup) as fault:
            await pool.close()
            raise _first(fault) from None
        pool._keepers = [pool._kept(index) for index in pool._workers]
        return pool

    @property
    def port(self) -> int:
        """The first worker's UDP port."""
        return self._ports[0]

    @property
    def ports(self) -> tuple[int, ...]:
        """Every worker's, in order."""
        return tuple(self._ports)

    async def open_leg(
        self,
        leg_id: str,
        offer_sdp: str,
        sink: FrameSink | None = None,
        *,
        room: str | None = None,
        publisher: str = "",
        heard: Heard | None = None,
        transports: Sequence[str] | None = None,
    ) -> tuple[RemoteLeg, str]:
        """Answer a browser's offer. Raises OfferRefused, PortFull, MediaAway when no worker is back in time."""
        if any(leg.leg_id == leg_id for worker in self._workers.values() for leg in worker.legs.values()):
            raise ValueError("a leg has an id of its own")
        named: dict[str, Any] = {"room": room, "publisher": publisher}
        if transports is not None:
            named["transports"] = list(transports)
        worker = self._choice(room) or await self._wait_for(room)
        return await worker.open_leg(leg_id, offer_sdp, sink, heard, named)

    def legs(self) -> tuple[RemoteLeg, ...]:
        """The legs open now, for figures."""
        return tuple(leg for worker in self._workers.values() for leg in worker.legs.values() if leg.opened)

    def stats(self) -> dict[str, int]:
        """As `MediaPort.stats`, of all workers, lost ones included in what is counted; `receive_buffer` is the least.

        Also `workers` at work, `workers_missing` and `workers_replaced`. At most a second old, but for `legs`.
        """
        ports = [worker.figures.port for worker in self._workers.values()]
        found = Counter({"packets": 0, "octets": 0, "sent": 0})
        found.update(self._past)
        for port in ports:
            found.update({name: value for name, value in port.items() if name != "receive_buffer"})
        found["receive_buffer"] = min((port["receive_buffer"] for port in ports if "receive_buffer" in port), default=0)
        return dict(found) | {
            "legs": len(self.legs()),
            "workers": len(self._workers),
            "workers_missing": len(self._ports) - len(self._workers),
            "workers_replaced": self._replaced.total(),
        }

    def by_worker(self) -> dict[int, dict[str, int]]:
        """The figures of each worker that is up, with `legs`, `rooms` and `memory` (octets)."""
        return {
            index: worker.figures.port
            | {"legs": len(worker.legs), "rooms": len(worker.rooms), "memory": worker.figures.memory}
            for index, worker in self._workers.items()
        }

    def replaced(self) -> dict[str, int]:
        """How many workers were replaced, by code."""
        return dict(self._replaced)

    def pids(self) -> dict[int, int]:
        """Process ids of the workers that are up, by index."""
        return {index: worker.pid for index, worker in self._workers.items() if worker.pid is not None}

    async def close(self) -> None:
        """End every leg (`port_closed`), then the workers; a second call does nothing."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers.clear()
        workers, self._workers = list(self._workers.values()), {}
        spare, self._spare = self._spare, None
        workers += [spare] if spare is not None else []
        await asyncio.gather(*(worker.end("port_closed") for worker in workers))

    # Which worker.

    def _choice(self, room: str | None) -> Worker | None:
        """Where the room is, else the least loaded worker that is well."""
        alive = [worker for worker in self._workers.values() if worker.alive]
        for worker in alive:
            if room is not None and room in worker.rooms:
                return worker
        well = [worker for worker in alive if not worker.leaking] or alive
        return min(well, key=lambda worker: (len(worker.legs), worker.index), default=None)

    async def _wait_for(self, room: str | None) -> Worker:
        """Raises MediaAway."""
        if self._waiting >= _MOST_WAITING:
            raise MediaAway
        self._waiting += 1
        try:
            async with asyncio.timeout(self._tuning.patience):
                while (worker := self._choice(room)) is None:
                    self._changed.clear()
                    await self._changed.wait()
                return worker
        except TimeoutError:
            raise MediaAway from None
        finally:
            self._waiting -= 1

    # Keeping them alive.

    async def _start(self, index: int) -> None:
        worker, self._spare = self._spare, None
        if worker is not None and not worker.alive:
            await worker.end()
            worker = None
        worker = worker or await Worker.spawned(self.clock, self._tuning)
        await worker.configure(index, self._arguments | {"port": self._ports[index]})
        self._ports[index] = worker.port  # a replacement takes the same
        self._workers[index] = worker
        self._changed.set()

    async def _lay_in(self) -> None:
        """Have one process more, with everything loaded, so that whoever is lost next is back at once."""
        if self._spare is not None or not self._tuning.spare:
            return
        try:
            spare = await Worker.spawned(self.clock, self._tuning)
            if self._spare is None:
                self._spare = spare
            else:
                await spare.end("not_wanted")
        except Exception as error:  # logged; calls do without a spare
            log.warning("media.no_spare_worker", exc_info=error)

    def _kept(self, index: int) -> asyncio.Task[None]:
        keeper = asyncio.create_task(self._keep(index), name=f"media worker {index}")
        keeper.add_done_callback(_keeper_ended)
        return keeper

    async def _keep(self, index: int) -> None:
        """Watch one worker and replace it, each time after a longer pause unless it had lived well."""
        back_off = BackOff(self._tuning)
        while True:
            worker, since = self._workers[index], self.clock.steady()
            code = await worker.watch()
            del self._workers[index]
            self._replaced[code] += 1
            self._past.update({name: count for name, count in worker.figures.port.items() if name not in _OF_NOW})
            count = len(worker.legs)
            ended = await worker.end(LOST)
            log.error("alarm.media_worker_lost", code=code, index=index, count=count, status=_said(ended))
            back_off.lived(self.clock.steady() - since)
            await self._again(index, back_off)

    async def _again(self, index: int, back_off: BackOff) -> None:
        """Start it anew, as often as that takes."""
        while index not in self._workers:
            await asyncio.sleep(back_off.pause())
            try:
                await self._start(index)
            except Exception as error:  # logged, and tried again: nobody else starts it
                log.error("alarm.media_worker_not_started", index=index, exc_info=error)
        await self._lay_in()


def _keeper_ended(keeper: asyncio.Task[None]) -> None:
    """Its worker would not be replaced any more: somebody has to look."""
    if not keeper.cancelled():
        log.critical("alarm.media_keeper_died", exc_info=keeper.exception())


def _said(status: int | None) -> str | int | None:
    """The signal that ended it, as text, or its exit code."""
    if status is None or status >= 0:
        return status
    try:
        return signal.Signals(-status).name
    except ValueError:  # a real-time signal has a number alone
        return str(-status)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
