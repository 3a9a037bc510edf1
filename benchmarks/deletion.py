"""`python -m benchmarks.deletion`: what deletion promises, tried in full: copies, kills, holds that race, forgeries.

N recordings (40), SEED (7); ONLY=copies|mixed|races|kills|certificates keeps to one. Ends with 1 when a promise broke.
"""

import asyncio
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.deletion_copies import KINDS, copies
from benchmarks.deletion_house import SECONDS, clinic
from benchmarks.deletion_kills import kills
from benchmarks.deletion_mixed import mixed
from benchmarks.deletion_races import races
from benchmarks.figure import Figure, measured, say, wished
from recordings.certificate import CertificateRefused, verify
from telehealth import log

IN_FULL = 1000  # from so many on, every value of every octet of a certificate is tried
SHARE_OF_KILLS = 5  # one kill in the destroy path for so many recordings


def _copies(folder: Path, count: int, seed: int) -> Iterator[Figure]:
    for kind in KINDS:
        told = copies(kind, count, on_postgres=kind == "vault")
        say(f"  {told}")
        common = {"n": told.destroyed, "seed": seed}
        name = f"deletion.copies.{kind}"
        yield measured(f"{name}.attack_works_before", told.before / count, "of all", at_least=1, **common)
        yield measured(f"{name}.decryptable", told.from_copies, "recordings", at_most=0, **common)
        yield measured(f"{name}.living_lost", told.living_lost, "recordings", at_most=0, **common)
        yield measured(f"{name}.decryptable_with_the_provider_copied", told.with_provider, "recordings", **common)
        since = told.with_provider_since
        yield measured(f"{name}.decryptable_with_the_provider_copied_since", since, "recordings", at_most=0, **common)
        silent = told.certificates_silent
        yield measured(f"{name}.certificates_that_hide_it", silent, "certificates", at_most=0, **common)


def _mixed(folder: Path, count: int, seed: int) -> Iterator[Figure]:
    told = mixed(folder, count, seed)
    for fault in told.faults:
        say(f"BROKEN SEED={seed} {fault}")
    say(f"  {told.acts} acts, {told.kills} kills, {told.gone} gone, {told.parted} parts gone, {told.held} held")
    yield measured("deletion.mixed.broken", len(told.faults), "recordings", n=told.acts, seed=seed, at_most=0)
    yield measured("deletion.mixed.kills", told.kills, "kills", n=told.acts, seed=seed, at_least=1)


def _races(folder: Path, count: int, seed: int) -> Iterator[Figure]:
    broken, won = asyncio.run(races(folder, count, seed))
    say(f"  {won}")
    yield measured("deletion.races.held_destroyed", broken, "recordings", n=count, seed=seed, at_most=0)
    yield measured("deletion.races.won_by_hold", won["hold"] / count, "of all", n=count, seed=seed)


def _kills(folder: Path, count: int, seed: int) -> Iterator[Figure]:
    wanted = max(4, count // SHARE_OF_KILLS)
    told = kills(folder, wanted, seed)
    for fault in told.faults:
        say(f"BROKEN {fault}")
    say(f"  {told.kills} kills, {told.whole} left whole, {told.gone} finished")
    yield measured("deletion.kills.broken_promises", len(told.faults), "of all", n=told.kills, seed=seed, at_most=0)
    # A kill that was aimed behind the end of a destruction does not count.
    yield measured("deletion.kills.met", told.kills, "kills", n=wanted, seed=seed, at_least=wanted)


def _certificates(folder: Path, count: int, seed: int) -> Iterator[Figure]:
    documents, key = asyncio.run(_issued(folder, max(2, count // 50)))
    passed = tried = 0
    for place, document in enumerate(documents):
        others = 255 if place == 0 and count >= IN_FULL else 4
        for changed in _changed(document, random.Random(seed + place), others):
            tried += 1
            passed += _verifies(changed, key)
    genuine = sum(_verifies(document, key) for document in documents)
    common = {"n": tried, "seed": seed}
    yield measured("deletion.certificates.genuine_refused", len(documents) - genuine, "of all", at_most=0, **common)
    yield measured("deletion.certificates.changed_accepted", passed, "changes", at_most=0, **common)


async def _issued(folder: Path, count: int) -> tuple[list[bytes], bytes]:
    """Pending and final ones, of wholes and parts; and the key they verify under."""
    house = clinic(folder)
    house.settings = replace(house.settings, backup_days=1)
    await house.open()
    erasing, admin, found = house.service.erasing, house.admin, list[bytes]()
    wholes = [await house.recorded(SECONDS) for _ in range(count)]
    parted = await house.recorded(SECONDS)
    for recording in wholes:
        await house.service.delete(admin, recording, "error")
    person = house.patient.participant
    await erasing.destroy_part(admin, parted, person, "withdrawal")
    house.clock.move(days=2)
    await house.service.sweep()
    for first in (True, False):
        found += [await erasing.certificate(admin, recording, first=first) for recording in wholes]
        found.append(await erasing.part_certificate(admin, parted, person, first=first))
    await house.close()
    return found, house.service.certificate_public_key


def _changed(document: bytes, chance: random.Random, values: int) -> Iterator[bytes]:
    """At every place one octet replaced by so many other values; dropped; doubled."""
    for place in range(len(document)):
        others = [value for value in range(256) if value != document[place]]
        for value in chance.sample(others, values):
            yield document[:place] + bytes([value]) + document[place + 1 :]
        yield document[:place] + document[place + 1 :]
        yield document[: place + 1] + document[place : place + 1] + document[place + 1 :]


def _verifies(document: bytes, key: bytes) -> bool:
    try:
        verify(document, key)
    except CertificateRefused:
        return False
    return True


PROOFS = {"certificates": _certificates, "kills": _kills, "mixed": _mixed, "races": _races, "copies": _copies}


def run(seed: int) -> Iterator[Figure]:
    """Every proof on a clinic of its own."""
    log.configure(sys.stderr, "CRITICAL")  # refused sweeps and children that were shot are no news here
    count, only = wished(40), os.environ.get("ONLY", "")
    for name, proof in PROOFS.items():
        if only not in ("", name):
            continue
        say(f"{name} …")
        with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
            yield from proof(Path(folder) / "clinic", count, seed)


def main() -> int:
    """Print the figures; 1 when one does not hold."""
    holds = True
    for figure in run(int(os.environ.get("SEED", "") or 7)):
        print(figure.line(), flush=True)
        holds = holds and figure.holds
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
