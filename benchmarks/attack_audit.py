"""Attacks on the audit log: tampering with and without the signing key, forks before a witness, kills under load.

N scales all of it: N tamperings (10,000 in full), N/10 with the key, N/10 forks, N/50 kills. One JSON line per figure.
"""

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.figure import Figure, measured, said, say, wished
from benchmarks.pipe import ROOT
from telehealth.audit.actions import Action
from telehealth.audit.details import FileDetailKeys
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.audit.files import Disk
from telehealth.audit.layout import Layout, leaf_record, leaf_records
from telehealth.audit.ledger import Ledger
from telehealth.audit.log import AuditLog
from telehealth.audit.note import Signer
from telehealth.audit.tree import CompactRange, consistency_proof, leaf_hash, rows_above
from telehealth.audit.verify import verify_folder
from telehealth.clock import SystemClock
from telehealth.secret import Secret

sys.path.insert(0, str(ROOT / "tests" / "telehealth" / "audit"))
from witness_partner import SmallWitness  # the tests' own witness

ORIGIN = "attack.example/audit"
SEED = Secret(b"s" * 32)
PUBLIC = Signer(ORIGIN, SEED).public_key
ENTRIES = 600
WRITERS = 16
Tampering = Callable[[Layout, random.Random, list[bytes]], None]


def run(seed: int) -> Iterator[Figure]:
    """All four attacks; every figure counts what got through, and must be 0."""
    count, chance = wished(10_000), random.Random(seed)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        yield from _tamper(Path(name) / "tamper", count, chance, seed)
        yield from _with_key(Path(name) / "key", max(1, count // 10), chance, seed)
        yield from _forks(Path(name) / "forks", max(1, count // 10), chance, seed)
        yield from _kills(Path(name) / "kills", max(1, count // 50), chance, seed)


def _leaves(count: int, salt: int = 0) -> list[tuple[bytes, bytes | None]]:
    return [(f'{{"n":"{salt:08x}{at:024x}","sealed":null,"v":1}}'.encode(), None) for at in range(count)]


def _grown(folder: Path) -> tuple[Layout, list[bytes]]:
    """A log that grew in steps, and the signed heads of every step; the last but one is anchored."""
    layout = Layout(folder)
    ledger, heads = Ledger(layout, Disk(), Signer(ORIGIN, SEED)), list[bytes]()
    ledger.load()
    for at in range(0, ENTRIES, 50):
        ledger.append(_leaves(ENTRIES)[at : at + 50])
        heads.append(ledger.signed.note)
    ledger.settle()
    layout.journal.unlink()
    return layout, heads


def _records(layout: Layout) -> list[bytes]:
    return leaf_records(layout.leaves_of(0).read_bytes())[0]


def _put(layout: Layout, leaves: list[bytes]) -> None:
    layout.leaves_of(0).write_bytes(b"".join(map(leaf_record, leaves)))


def _edit(layout: Layout, chance: random.Random, _heads: list[bytes]) -> None:
    path = chance.choice([layout.leaves_of(0), layout.head])
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= chance.randrange(1, 256)
    path.write_bytes(content)


def _delete(layout: Layout, chance: random.Random, _heads: list[bytes]) -> None:
    leaves = _records(layout)
    del leaves[chance.randrange(len(leaves))]
    _put(layout, leaves)


def _insert(layout: Layout, chance: random.Random, _heads: list[bytes]) -> None:
    leaves = _records(layout)
    leaves.insert(chance.randrange(len(leaves)), chance.choice([b"{}", leaves[0]]))
    _put(layout, leaves)


def _swap(layout: Layout, chance: random.Random, _heads: list[bytes]) -> None:
    leaves = _records(layout)
    one, other = chance.sample(range(len(leaves)), 2)
    leaves[one], leaves[other] = leaves[other], leaves[one]
    _put(layout, leaves)


def _cut(layout: Layout, chance: random.Random, heads: list[bytes]) -> None:
    """Cut the tail and put back the signed head of that time, as whoever kept copies can."""
    at = chance.randrange(len(heads) - 2)
    _put(layout, _records(layout)[: 50 * (at + 1)])
    layout.head.write_bytes(heads[at])


TAMPERINGS: tuple[Tampering, ...] = (_edit, _delete, _insert, _swap, _cut)


def _tamper(folder: Path, count: int, chance: random.Random, seed: int) -> Iterator[Figure]:
    layout, heads = _grown(folder)
    whole = {path: path.read_bytes() for path in (layout.leaves_of(0), layout.head)}
    missed, longest = 0, 0.0
    for at in range(count):
        TAMPERINGS[at % len(TAMPERINGS)](layout, chance, heads)
        begun = time.perf_counter()
        found = not verify_folder(folder, PUBLIC, ORIGIN, kept=[heads[-2]], pause=lambda _: None).ok
        longest = max(longest, time.perf_counter() - begun)
        changed = any(path.read_bytes() != content for path, content in whole.items())
        missed += changed and not found
        for path, content in whole.items():
            path.write_bytes(content)
    if not verify_folder(folder, PUBLIC, ORIGIN, kept=heads).ok:
        raise RuntimeError("the untouched log does not verify")
    yield measured("audit.tamperings_missed", missed, "", n=count, seed=seed, at_most=0)
    yield measured("audit.tampering_found_s", longest, "s", n=count, seed=seed, at_most=60)


def _with_key(folder: Path, count: int, chance: random.Random, seed: int) -> Iterator[Figure]:
    """Change something before the last anchor and sign everything anew."""
    layout, heads = _grown(folder)
    missed, signer = 0, Signer(ORIGIN, SEED)
    original = _records(layout)
    for _ in range(count):
        leaves = list(original)
        at = chance.randrange(ENTRIES - 51)
        match chance.randrange(4):
            case 0:
                leaves[at] = leaves[at].replace(b'"v":1', b'"v":%d' % chance.randrange(2, 10**6))
            case 1:
                del leaves[at]
            case 2:
                leaves.insert(at, b'{"n":"%032x","sealed":null}' % chance.getrandbits(128))
            case _:
                leaves = leaves[: at + 1]
        tree = CompactRange()
        for leaf in leaves:
            tree.append(leaf_hash(leaf))
        _put(layout, leaves)
        layout.head.write_bytes(signer.checkpoint(tree.size, tree.root()))
        missed += verify_folder(folder, PUBLIC, ORIGIN, kept=[heads[-2]], pause=lambda _: None).ok
    yield measured("audit.key_holder_missed", missed, "", n=count, seed=seed, at_most=0)


def _forks(folder: Path, count: int, chance: random.Random, seed: int) -> Iterator[Figure]:
    """Offer a witness other histories, signed with the log's own key."""
    folder.mkdir()
    witness = SmallWitness(folder / "state", "witness.example", b"w" * 32, ORIGIN, PUBLIC)
    honest = [leaf_hash(leaf) for leaf, _ in _leaves(200)]
    if witness.answer(_offer(honest, 0, 120))[0] != 200 or witness.answer(_offer(honest, 120, 150))[0] != 200:
        raise RuntimeError("the witness does not sign an honest log")
    before, refused = witness.signed, 0
    for at in range(count):
        forked = [leaf_hash(leaf) for leaf, _ in _leaves(300, salt=at + 1)]
        kept = chance.randrange(150)
        hashes = honest[:kept] + forked[kept:]
        body = _offer(hashes, chance.choice([150, 150, 0, 120, kept]), chance.randrange(151, 300))
        if chance.random() < 0.3:
            body = _offer(hashes, 150, 150)
        refused += witness.answer(body)[0] != 200
    if witness.answer(_offer(honest, 150, 200))[0] != 200:
        raise RuntimeError("the witness no longer signs the honest log")
    yield measured("audit.forks_cosigned", witness.signed - before - 1, "", n=count, seed=seed, at_most=0)
    yield measured("audit.forks_refused", refused, "", n=count, seed=seed, at_least=count)


def _offer(hashes: list[bytes], old: int, new: int) -> bytes:
    import base64

    rows = rows_above(hashes[:new])
    tree = CompactRange()
    for hash_ in hashes[:new]:
        tree.append(hash_)
    proof = consistency_proof(old, new, lambda level, index: rows[level][index]) if old <= new else []
    lines = "".join(f"{base64.b64encode(step).decode()}\n" for step in proof)
    return f"old {old}\n{lines}\n".encode() + Signer(ORIGIN, SEED).checkpoint(new, tree.root())


def _kills(folder: Path, count: int, chance: random.Random, seed: int) -> Iterator[Figure]:
    """SIGKILL a writing process again and again; every acknowledged entry is there, once."""
    acknowledged: set[int] = set()
    for at in range(count):
        acknowledged |= _one_life(folder, at * 1_000_000, 0.02 + chance.random() * 0.1)
        if at % 50 == 49:
            say(f"  {at + 1} kills, {len(acknowledged)} entries")
    numbers = asyncio.run(_all_numbers(folder))
    verdict = verify_folder(folder / "audit", PUBLIC, ORIGIN)
    lost, doubled = len(acknowledged - set(numbers)), len(numbers) - len(set(numbers))
    if not verdict.ok or not acknowledged:
        raise RuntimeError(f"the log does not verify: {verdict.problems[:3]}")
    yield measured("audit.kill_lost", lost, "", n=count, seed=seed, at_most=0)
    yield measured("audit.kill_doubled", doubled, "", n=count, seed=seed, at_most=0)
    yield measured("audit.kill_acknowledged", len(acknowledged), "", n=count, seed=seed)


def _one_life(folder: Path, first: int, seconds: float) -> set[int]:
    """Fork a writer, let it live so long after its first answer, kill it; what it said it had entered."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            asyncio.run(_write_on(folder, first, writing))
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        said_first = told.read(8)
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        content = said_first + told.read()
    os.waitpid(child, 0)
    return {int.from_bytes(content[at : at + 8], "big") for at in range(0, len(content) - 7, 8)}


async def _opened(folder: Path) -> AuditLog:
    return await AuditLog.open(
        folder / "audit",
        signing_key=SEED,
        pseudonym_key=Secret(b"p" * 32),
        detail_keys=FileDetailKeys(folder / "keys", Secret(b"w" * 32)),
        clock=SystemClock(),
        origin=ORIGIN,
        on_alarm=lambda _: None,
    )


async def _write_on(folder: Path, first: int, told: int) -> None:
    log = await _opened(folder)
    actor = Actor("user", id="usr_a", role="admin", address="192.0.2.1")

    async def write(number: int) -> None:
        while True:
            entry = Entry(Action.PLAYBACK_GRANT, Outcome.INTENT, actor, patient="pat_1", detail={"number": number})
            await log.enter(entry)
            os.write(told, number.to_bytes(8, "big"))
            number += WRITERS

    await asyncio.gather(*(write(first + writer) for writer in range(WRITERS)))


async def _all_numbers(folder: Path) -> list[int]:
    log, found, after = await _opened(folder), list[int](), -1
    while page := await log.entries(after=after, limit=1000):
        found += [int(stored.detail["number"]) for stored in page if "number" in stored.detail]
        after = page[-1].index
    await log.close()
    return found


if __name__ == "__main__":
    said(run)
