"""What becomes of workers that die, hang, talk nonsense, grow or lose their server, and of the legs they had."""

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from worker_parts import HOST, Browsers, OpenPool, calling, flows, until, until_replaced

from signaling.rtc import LegState
from signaling.workers import MediaAway, MediaPool, RemoteLeg, words
from signaling.workers.tuning import Tuning
from signaling.workers.wire import Kind
from signaling.workers.worker import Worker
from telehealth.clock import SystemClock
from tests.signaling.rtc.media_parts import KeepingSink, field, opus

ROOT = Path(__file__).resolve().parents[3]


def processes(pool: MediaPool) -> set[int]:
    """Every process the pool has started and not waited for, the spare included."""
    return {worker.pid for worker in (*pool._workers.values(), pool._spare) if worker is not None and worker.pid}


def there(pid: int) -> bool:
    """Whether a process runs, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_a_killed_workers_legs_end_and_the_same_port_takes_new_ones(
    open_pool: OpenPool, browsers: Browsers, logged: io.StringIO
) -> None:
    pool, sink = await open_pool(spare=True), KeepingSink()
    leg, before = await calling(pool, browsers, sink)
    port, pid = pool.port, pool.pids()[0]
    with socket.create_connection((HOST, port)):  # ICE-TCP is there too, and does not keep the port
        os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(20):
        assert await leg.wait_closed() == "worker_lost"
    assert (sink.closings, leg.state) == (["worker_lost"], LegState.CLOSED)
    after = KeepingSink()
    _, browser = await calling(pool, browsers, after, "leg_b")  # waits for the replacement
    await flows(browser, after, 1)
    certificates = [field(one.answer, "fingerprint") for one in (before, browser)]
    assert certificates[0] != certificates[1]  # each start has one of its own
    assert (pool.port, pool.replaced()) == (port, {"worker_died": 1})
    assert not there(pid)
    lost = next(line for line in map(json.loads, logged.getvalue().splitlines()) if "worker_lost" in line["event"])
    assert (lost["status"], lost["index"], lost["count"]) == ("SIGKILL", 0, 1)


async def test_a_lost_worker_costs_the_others_nothing(open_pool: OpenPool, browsers: Browsers) -> None:
    pool, lost, sink = await open_pool(workers=2), KeepingSink(), KeepingSink()
    leg, _ = await pool.open_leg("leg_a", browsers(pool.ports[0]).offer, lost)
    assert leg in pool._workers[0].legs.values()
    browser = browsers(pool.ports[1])
    other, answer = await pool.open_leg("leg_b", browser.offer, sink)
    await browser.connect(answer)
    await flows(browser, sink, 1)
    os.kill(pool.pids()[0], signal.SIGKILL)
    for number in range(2, 40):
        browser.send_rtp(opus(number, 960 * number))
        await asyncio.sleep(0.01)
    await sink.until(lambda s: len(s.of("audio")) == 39)
    assert (lost.closings, leg.close_reason, other.close_reason) == (["worker_lost"], "worker_lost", None)
    await until_replaced(pool)


async def test_a_worker_that_stands_still_is_noticed_and_replaced(open_pool: OpenPool, browsers: Browsers) -> None:
    pool, sink = await open_pool(silence=0.75), KeepingSink()
    leg, _ = await calling(pool, browsers, sink)
    pid = pool.pids()[0]
    os.kill(pid, signal.SIGSTOP)
    async with asyncio.timeout(20):
        assert await leg.wait_closed() == "worker_lost"
    await until_replaced(pool)
    assert pool.replaced() == {"worker_stuck": 1}
    assert not there(pid)


async def test_whatever_signal_ended_a_worker_it_is_replaced(
    open_pool: OpenPool, browsers: Browsers, logged: io.StringIO
) -> None:
    pool, sink = await open_pool(), KeepingSink()
    os.kill(pool.pids()[0], signal.SIGRTMIN + 6)
    await until_replaced(pool)
    lost = next(line for line in map(json.loads, logged.getvalue().splitlines()) if "worker_lost" in line["event"])
    assert lost["status"] == str(signal.SIGRTMIN + 6)
    _, browser = await calling(pool, browsers, sink)
    await flows(browser, sink, 1)


async def test_a_fault_nobody_thought_of_delays_a_replacement_and_prevents_none(
    open_pool: OpenPool, monkeypatch: pytest.MonkeyPatch, logged: io.StringIO
) -> None:
    pool, spawned, faults = await open_pool(spare=True), Worker.spawned, [RuntimeError("once"), RuntimeError("twice")]

    async def faulty(*given: Any) -> Worker:
        if faults:
            raise faults.pop()
        return await spawned(*given)

    monkeypatch.setattr(Worker, "spawned", faulty)
    for times in (1, 2):
        os.kill(pool.pids()[0], signal.SIGKILL)
        await until_replaced(pool, times)
    await until(lambda: pool._spare is not None)
    said = logged.getvalue()
    assert ("media.no_spare_worker" in said, "alarm.media_worker_not_started" in said, faults) == (True, True, [])
    assert "alarm.media_keeper_died" not in said


async def test_a_spare_too_many_that_ends_badly_is_logged_and_ends_no_keeper(
    open_pool: OpenPool, monkeypatch: pytest.MonkeyPatch, logged: io.StringIO
) -> None:
    pool, end = await open_pool(spare=True), Worker.end
    spare, pool._spare = pool._spare, None
    assert spare is not None
    await spare.end()

    async def badly(worker: Worker, reason: str) -> None:
        await end(worker, reason)
        raise RuntimeError(reason)

    with monkeypatch.context() as patched:
        patched.setattr(Worker, "end", badly)
        await asyncio.gather(pool._lay_in(), pool._lay_in())  # as two keepers do
    assert pool._spare is not None
    assert "media.no_spare_worker" in logged.getvalue()


async def test_who_asks_a_worker_that_dies_meanwhile_is_refused(open_pool: OpenPool, browsers: Browsers) -> None:
    pool, sink = await open_pool(), KeepingSink()
    os.kill(pool.pids()[0], signal.SIGSTOP)
    opening = asyncio.ensure_future(pool.open_leg("leg_a", browsers(pool.port).offer, sink))
    await asyncio.sleep(0)
    os.kill(pool.pids()[0], signal.SIGKILL)
    with pytest.raises(MediaAway):
        await opening
    assert (sink.closings, pool.legs()) == ([], ())


async def test_a_loop_that_was_blocked_is_no_reason_to_end_workers(open_pool: OpenPool) -> None:
    pool = await open_pool(silence=0.75)
    waited = subprocess.run(["sleep", "1.2"], check=True)  # our own loop stands still; the workers do not
    assert waited.returncode == 0
    for _ in range(4):
        await asyncio.sleep(0.05)
    assert pool.stats()["workers_replaced"] == 0


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\xff" * 64,  # longer than any message
        b"\x00\x00\x00\x00\xfa\x00\x00\x00\x00",  # of no kind
        b"\x00\x00\x00\x00" + bytes([Kind.OPEN]) + bytes(4),  # the server's to say
        b"\x00\x00\x00\x02" + bytes([Kind.STATS]) + bytes(4) + b"[]",
        b"\x00\x00\x00\x02" + bytes([Kind.READY]) + bytes(4) + b"{}",
        b"\x00\x00\x00\x03" + bytes([Kind.FRAME]) + b"\x00\x00\x00\x01abc",
        b"\x00\x00\x00\x03" + bytes([Kind.REPORT]) + b"\x00\x00\x00\x01abc",
        b"\x00\x00\x00\x03" + bytes([Kind.CLOSED]) + b"\x00\x00\x00\x01{\xff}",
    ],
    ids=["length", "kind", "side", "figures", "ready", "frame", "report", "text"],
)
async def test_nonsense_is_known_as_such(nonsense: bytes) -> None:
    worker = Worker(SystemClock(), Tuning())
    worker.legs[1] = RemoteLeg(1, "leg_a", {}, worker, None)
    worker._line.data_received(nonsense)
    assert worker._line.garbled


async def test_nonsense_from_a_worker_ends_that_worker_alone(open_pool: OpenPool, browsers: Browsers) -> None:
    pool = await open_pool(workers=2)
    sinks = KeepingSink(), KeepingSink()
    legs = [(await pool.open_leg(f"leg_{number}", browsers(pool.port).offer, sinks[number]))[0] for number in (0, 1)]
    pool._workers[0]._line.data_received(b"\xff" * 64)  # as if its socket had brought it
    async with asyncio.timeout(20):
        assert await legs[0].wait_closed() == "worker_lost"
    await until_replaced(pool)
    assert pool.replaced() == {"worker_garbled": 1}
    assert legs[1].close_reason is None


async def test_nonsense_from_the_server_ends_the_worker(open_pool: OpenPool) -> None:
    pool = await open_pool()
    pool._workers[0]._line._transport.write(b"\xff" * 64)
    await until_replaced(pool)
    assert pool.replaced() == {"worker_died": 1}


async def test_a_sink_attached_to_a_leg_that_has_just_ended_costs_the_worker_nothing(
    open_pool: OpenPool, browsers: Browsers
) -> None:
    pool, sink = await open_pool(), KeepingSink()
    leg, _ = await pool.open_leg("leg_a", browsers(pool.port).offer)
    pool._workers[0].say(Kind.FINISH, leg.number, words.told(words.Reasoned("closed_by_peer")))  # not known here yet
    leg.attach(sink)
    async with asyncio.timeout(20):
        assert await leg.wait_closed() == "closed_by_peer"
    other, _ = await pool.open_leg("leg_b", browsers(pool.port).offer)
    assert (sink.closings, other.close_reason, pool.replaced()) == (["closed_by_peer"], None, {})


async def test_a_port_in_use_is_said_at_start_and_leaves_no_process(open_pool: OpenPool) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HOST, 0))
        with pytest.raises(OSError) as said:
            await open_pool(port=taken.getsockname()[1])
    assert said.value.errno == 98


async def test_closing_leaves_no_process(open_pool: OpenPool) -> None:
    pool = await open_pool(spare=True)
    pids = processes(pool)
    assert len(pids) == 2
    await pool.close()
    assert not [pid for pid in pids if there(pid)]


SERVER = f"""
import asyncio, sys
sys.path.insert(0, {str(ROOT)!r})
from telehealth import log
from signaling.workers import MediaPool
from telehealth.clock import SystemClock

async def main():
    log.configure()
    pool = await MediaPool.open("{HOST}", 0, workers=1, public_addresses=["{HOST}"], clock=SystemClock())
    print(*pool.pids().values(), pool._spare.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_no_worker_outlives_its_server() -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen([sys.executable, "-c", SERVER], text=True, **pipes)
    try:
        assert server.stdout is not None
        pids = [int(word) for word in (await asyncio.to_thread(server.stdout.readline)).split()]
        assert all(there(pid) for pid in pids)
        assert len(pids) == 2
        os.kill(pids[0], signal.SIGSTOP)  # not even one that hangs
        server.kill()
        await asyncio.to_thread(server.wait, 30)
        await until(lambda: not any(there(pid) for pid in pids))
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def held() -> tuple[int, int]:
    """Descriptors and tasks of this process."""
    return len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())


async def restarts(pool: MediaPool, browsers: Browsers, times: int) -> None:
    """So many workers are killed, each with a leg on it; nothing of ours is left behind."""
    await calling(pool, browsers, KeepingSink(), "leg_first")
    os.kill(pool.pids()[0], signal.SIGKILL)
    await until_replaced(pool, 1)
    before = held()
    for number in range(1, times):
        browser = browsers(pool.port)
        leg, _ = await pool.open_leg(f"leg_{number}", browser.offer, KeepingSink())
        os.kill(pool.pids()[0], signal.SIGKILL)
        assert await leg.wait_closed() == "worker_lost"
        browser.close()
        await until_replaced(pool, number + 1)
    await until(lambda: all(now <= then for now, then in zip(held(), before, strict=True)))  # less: others' are over


async def test_restarts_leave_no_descriptor_and_no_task_behind(open_pool: OpenPool, browsers: Browsers) -> None:
    await restarts(await open_pool(longest_pause=0.01), browsers, 3)


@pytest.mark.slow
async def test_fifty_restarts_leave_no_descriptor_and_no_task_behind(open_pool: OpenPool, browsers: Browsers) -> None:
    await restarts(await open_pool(longest_pause=0.01), browsers, 50)
