"""Proofs, verification and memory on a bulk-built log. N: its entries (10,000,000 in full)."""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.figure import Figure, measured, percentile, said, say, wished
from benchmarks.pipe import ROOT
from telehealth.audit.files import Disk
from telehealth.audit.layout import LEVEL, SEGMENT, Layout
from telehealth.audit.ledger import Ledger
from telehealth.audit.note import Signer
from telehealth.audit.proofs import inclusion_at
from telehealth.audit.tiles import HEIGHT, WIDTH, TileName
from telehealth.audit.tree import CompactRange, leaf_hash, rows_above, verify_inclusion
from telehealth.audit.verify import verify_folder
from telehealth.secret import Secret

ORIGIN = "bench.example/audit"
SEED = Secret(b"s" * 32)
FULL = 10_000_000
PROOFS = 200
_LEAF = (
    b'{"action":"playback.grant","actor":{"id":"usr_a","kind":"user","role":"admin"},"n":"%032x","sealed":null,"v":1}'
)


def run(seed: int) -> Iterator[Figure]:
    """Inclusion proofs, verification, and how much memory a hundredfold log takes."""
    count = wished(FULL)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        small, large = Path(name) / "small", Path(name) / "large"
        build(small, max(1, count // 100))
        begun = time.monotonic()
        build(large, count)
        say(f"  built {count} entries in {time.monotonic() - begun:.0f} s")
        waits = _proofs(large, count, random.Random(seed))
        late = percentile(waits, 0.99) * 1000
        yield measured("audit.inclusion_ms", late, "ms", n=len(waits), seed=seed, at_most=20)
        yield measured("audit.inclusion_p50", percentile(waits, 0.5) * 1000, "ms", n=len(waits), seed=seed)
        begun = time.perf_counter()
        verdict = verify_folder(large, Signer(ORIGIN, SEED).public_key, ORIGIN)
        rate = count / (time.perf_counter() - begun)
        if not verdict.ok or verdict.size != count:
            raise RuntimeError(f"the log does not verify: {verdict.problems[:3]}")
        yield measured("audit.verify_per_second", rate, "1/s", n=count, seed=seed, at_least=200_000)
        more = _memory(large, count) - _memory(small, max(1, count // 100))
        yield measured("audit.memory_growth", more, "MiB", n=count, seed=seed, at_most=16)


def build(folder: Path, count: int) -> None:
    """Write a log of `count` entries as a running server would have left it, only faster."""
    layout = Layout(folder)
    layout.leaves.mkdir(parents=True)
    tree, subtrees, heads = CompactRange(), bytearray(), list[bytes]()
    jobs = [
        (layout.leaves_of(at), at * SEGMENT, min(SEGMENT, count - at * SEGMENT)) for at in range(-(-count >> LEVEL))
    ]
    with ProcessPoolExecutor(2) as pool:
        for hashes, over in pool.map(_segment, jobs, chunksize=32):
            heads += over
            if len(hashes) == 1 and tree.size % SEGMENT == 0 and count - tree.size >= SEGMENT:
                tree.append(hashes[0], LEVEL)
                subtrees += hashes[0]
            else:
                for hash_ in hashes:
                    tree.append(hash_)
    for at in range(0, len(heads) - len(heads) % WIDTH, WIDTH):
        _write(layout.tiles, TileName(1, at // WIDTH, WIDTH), b"".join(heads[at : at + WIDTH]))
    layout.subtrees.write_bytes(subtrees)
    layout.head.write_bytes(Signer(ORIGIN, SEED).checkpoint(tree.size, tree.root()))


def _segment(job: tuple[Path, int, int]) -> tuple[list[bytes], list[bytes]]:
    """Write a file of leaves and its whole tiles; the hash of a full one or those of its leaves; those of its tiles."""
    path, first, count = job
    leaves = [_LEAF % number for number in range(first, first + count)]
    length = len(leaves[0]).to_bytes(2, "big")
    path.write_bytes(length + length.join(leaves))
    hashes = list(map(leaf_hash, leaves))
    tiles = Layout(path.parent.parent).tiles
    for at in range(0, count - count % WIDTH, WIDTH):
        _write(tiles, TileName(0, (first + at) // WIDTH, WIDTH), b"".join(hashes[at : at + WIDTH]))
        bundle = length + length.join(leaves[at : at + WIDTH])
        _write(tiles, TileName(None, (first + at) // WIDTH, WIDTH), bundle)
    if count < SEGMENT:
        return hashes, []
    rows = rows_above(hashes)
    return rows[LEVEL], rows[HEIGHT]


def _write(tiles: Path, name: TileName, content: bytes) -> None:
    path = tiles / name.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _proofs(folder: Path, count: int, chance: random.Random) -> list[float]:
    layout, disk, waits = Layout(folder), Disk(), list[float]()
    for _ in range(min(PROOFS, count)):
        index, begun = chance.randrange(count), time.perf_counter()
        found = inclusion_at(layout, disk, index, count)
        waits.append(time.perf_counter() - begun)
        if not verify_inclusion(leaf_hash(found.leaf), index, count, found.proof, found.root):
            raise RuntimeError("a proof that does not hold")
    return waits


def _memory(folder: Path, count: int) -> float:
    """MiB that a process of its own needs to open the log, append and prove."""
    command = [sys.executable, "-m", "benchmarks.audit_proofs", str(folder), str(count)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=600, check=True)
    return int(done.stdout) / 1024


def _child(folder: Path, count: int) -> None:
    ledger = Ledger(Layout(folder), Disk(), Signer(ORIGIN, SEED))
    ledger.load()
    for number in range(8):
        ledger.append([(_LEAF % (count + number), None)])
        inclusion_at(ledger.layout, ledger.files, number * count // 8, ledger.head.size)
    status = Path("/proc/self/status").read_text()  # of this program alone; ru_maxrss begins with what its parent had
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        _child(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        said(run)
