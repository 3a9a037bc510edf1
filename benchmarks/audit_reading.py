"""Reading the log by what entries are about: a filtered page of a log of N entries (1,000,000 in full), and memory."""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.figure import Figure, measured, percentile, said, say, wished
from benchmarks.pipe import ROOT
from telehealth.audit.actions import Action
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.audit.files import Disk
from telehealth.audit.layout import SEGMENT, Layout, leaf_record
from telehealth.audit.leaf import Pseudonyms, Stamped, encode
from telehealth.audit.reading import EntryFilter, Reader
from telehealth.secret import Secret

FULL = 1_000_000
KEY = Secret(b"q" * 32)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
STAFF, OF_ONE_VISIT = 60, 40
ACTIONS = (Action.JOIN, Action.ADMIT, Action.CONSENT_ANSWER, Action.RECORDING_PROGRESS, Action.PLAYBACK_GRANT)
ROUNDS = 20
AIM = 200  # milliseconds


def run(seed: int) -> Iterator[Figure]:
    """Milliseconds of a page by kind of filter, without and with the blocks of whole segments."""
    count = wished(FULL)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        small, large = Path(name) / "small", Path(name) / "large"
        build(small, max(SEGMENT, count // 100))
        build(large, count)
        chance, reader = random.Random(seed), reader_of(large)
        begun = time.perf_counter()
        reader.find(count, -1, 100, True, _by_patient(chance, count))
        yield measured("audit.page_unindexed_ms", _since(begun), "ms", n=1, seed=seed)
        begun = time.perf_counter()
        for _ in range(count // SEGMENT):
            reader.catch_up(count)
        say(f"  blocks made in {_since(begun) / 1000:.1f} s")
        for kind, make in FILTERS.items():
            waits = list[float]()
            for _ in range(ROUNDS):
                only, begun = make(chance, count), time.perf_counter()
                found = reader.find(count, -1, 100, True, only)
                waits.append(_since(begun))
                if not found:
                    raise RuntimeError(f"nothing found by {kind}")
            late = percentile(waits, 0.95)
            yield measured(f"audit.page_by_{kind}_ms", late, "ms", n=ROUNDS, seed=seed, at_most=AIM)
        more = _memory(large, count) - _memory(small, max(SEGMENT, count // 100))
        yield measured("audit.reading_memory_growth", more, "MiB", n=count, seed=seed, at_most=16)


def reader_of(folder: Path) -> Reader:
    return Reader(Layout(folder), Disk(), Pseudonyms(KEY))


def build(folder: Path, count: int) -> None:
    """The leaves of a clinic's log: visits of forty entries each, one after the other."""
    Layout(folder).leaves.mkdir(parents=True)
    begun = time.monotonic()
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(_segment, [(folder, at, min(SEGMENT, count - at)) for at in range(0, count, SEGMENT)]))
    say(f"  {count} entries written in {time.monotonic() - begun:.0f} s")


def _segment(job: tuple[Path, int, int]) -> None:
    folder, first, count = job
    pseudonyms = Pseudonyms(KEY)
    records = [leaf_record(encode(_entry(number), pseudonyms, None)) for number in range(first, first + count)]
    Layout(folder).leaves_of(first // SEGMENT).write_bytes(b"".join(records))


def _entry(number: int) -> Stamped:
    visit = number // OF_ONE_VISIT
    entry = Entry(
        ACTIONS[number % len(ACTIONS)],
        Outcome.FAILED if number % 9973 == 0 else Outcome.DONE,
        Actor("user", f"usr_{visit % STAFF}", "clinician"),
        visit=f"vis_{visit}",
        recording=f"rec_{visit}",
        patient=_patient(visit),
    )
    return Stamped(entry, BEGIN + timedelta(seconds=number), f"{number:032x}")


def _patient(visit: int) -> str:
    return f"pat_{visit * 7919 % 20011}"


def _visit(chance: random.Random, count: int) -> int:
    return chance.randrange(max(1, count // OF_ONE_VISIT))


def _by_patient(chance: random.Random, count: int) -> EntryFilter:
    return EntryFilter(patient=_patient(_visit(chance, count)))


def _by_time(chance: random.Random, count: int) -> EntryFilter:
    since = BEGIN + timedelta(seconds=chance.randrange(max(1, count - 3600)))
    return EntryFilter(since=since, until=since + timedelta(hours=1))


def _by_outcome(_chance: random.Random, _count: int) -> EntryFilter:
    return EntryFilter(outcome=Outcome.FAILED)


def _by_person(chance: random.Random, _count: int) -> EntryFilter:
    return EntryFilter(actor=f"usr_{chance.randrange(STAFF)}", action=Action.PLAYBACK_GRANT)


FILTERS = {
    "patient": _by_patient,
    "visit": lambda chance, count: EntryFilter(visit=f"vis_{_visit(chance, count)}"),
    "recording": lambda chance, count: EntryFilter(recording=f"rec_{_visit(chance, count)}"),
    "time": _by_time,
    "outcome": _by_outcome,
    "person": _by_person,
}


def _since(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000


def _memory(folder: Path, count: int) -> float:
    """MiB that a process of its own needs to find pages."""
    command = [sys.executable, "-m", "benchmarks.audit_reading", str(folder), str(count)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=600, check=True)
    return int(done.stdout) / 1024


def _child(folder: Path, count: int) -> None:
    chance, reader = random.Random(7), reader_of(folder)
    for make in FILTERS.values():
        reader.find(count, -1, 100, True, make(chance, count))
    status = Path("/proc/self/status").read_text()  # of this program alone; ru_maxrss begins with what its parent had
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        _child(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        said(run)
