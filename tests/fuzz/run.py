"""`python -m tests.fuzz.run TARGET SECONDS [FILE …]`: fuzz one target, or replay inputs.

With atheris (`pip install atheris`) it fuzzes by coverage, through the same entry point. Without, it changes the
target's first inputs by a seed (SEED of the environment, or 7), which finds less. What breaks a promise is written to
`tests/fuzz/found/TARGET/` and its path is told; everything in there is replayed first, here and in `make test`.
"""

import hashlib
import importlib.util
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz import mutations
from tests.fuzz.targets import TARGETS, Target

FOUND = Path(__file__).with_name("found")
_KEPT = 200  # inputs that are changed further


def inputs(target: Target, seed: int) -> Iterator[bytes]:
    """The target's first inputs, then changed ones without end; the same for the same seed."""
    dice, kept = random.Random(seed), list(target.seeds)
    yield from kept
    while True:
        chosen = dice.choice(kept)
        if target.text and dice.random() < 0.7:
            made = mutations.lines(chosen.decode("latin-1"), dice).encode("latin-1")
        else:
            made = mutations.octets(chosen, dice, 70_000)
        if dice.random() < 0.05:
            kept.append(made)
            if len(kept) > _KEPT:
                del kept[dice.randrange(len(target.seeds), len(kept))]
        yield made


def replay(name: str, octets: bytes) -> None:
    """One input. What breaks is kept before it is raised again."""
    try:
        TARGETS[name].one(octets)
    except Exception:
        folder = FOUND / name
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / hashlib.sha256(octets).hexdigest()[:16]
        place.write_bytes(octets)
        _say(f"kept as {place}")
        raise


def known(name: str) -> list[Path]:
    """Inputs that broke the target once."""
    return sorted(path for path in (FOUND / name).glob("*") if path.is_file())


def run(name: str, seed: int, *, seconds: float = 0.0, count: int = 0) -> int:
    """Known inputs, then `count` made ones or as many as fit into `seconds`; how many there were."""
    for path in known(name):
        replay(name, path.read_bytes())
    until = time.monotonic() + seconds
    for done, octets in enumerate(inputs(TARGETS[name], seed)):
        if done >= count and time.monotonic() >= until:
            return done
        replay(name, octets)
    raise AssertionError("inputs have no end")


def by_coverage(name: str, seconds: float, seed: int) -> None:
    """Let atheris choose the inputs; never returns."""
    import atheris  # not everywhere, and slow to import

    folder = FOUND.with_name("corpus") / name  # not kept in the repository
    folder.mkdir(parents=True, exist_ok=True)
    for number, octets in enumerate(TARGETS[name].seeds):
        (folder / f"seed{number}").write_bytes(octets)
    atheris.instrument_all()
    words = [sys.argv[0], str(folder), f"-max_total_time={int(seconds)}", f"-seed={seed}", "-max_len=70000"]
    atheris.Setup(words, lambda octets: replay(name, octets))
    atheris.Fuzz()


def _say(words: str) -> None:
    sys.stderr.write(words + "\n")


def main(words: list[str]) -> int:
    """The command line."""
    if len(words) < 2 or words[0] not in TARGETS:
        _say(f"{__doc__}\nTargets: {', '.join(TARGETS)}")
        return 2
    name, seconds, files = words[0], float(words[1]), words[2:]
    seed = int(os.environ.get("SEED", "") or 7)
    if files:
        for file in files:
            replay(name, Path(file).read_bytes())
        return 0
    if importlib.util.find_spec("atheris") is not None:
        by_coverage(name, seconds, seed)
    done = run(name, seed, seconds=seconds)
    _say(f"{name}: {done} inputs of seed {seed}, nothing broke; without atheris")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
