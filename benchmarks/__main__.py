"""`python -m benchmarks [name …]`: every figure as one JSON line on stdout, progress on stderr. SEED and N as wished.

Ends with 0 when everything was measured, whether or not aims hold; 1 when something could not be measured.
"""

import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.figure import Figure, say

Run = Callable[[int], Iterator[Figure]]
BENCHMARKS = (
    "seal_speed",
    "export_speed",
    "recorded_visit",
    "admit_to_frame",
    "range_read",
    "recordings_read",
    "recordings_memory",
    "audit_append",
    "audit_proofs",
    "audit_reading",
    "audit_outward",
    "keys_rewrap",
    "access_rules",
    "backup_drill",
    "breach_drill",
    "nodes_redis",
    "media_workers",
)


def main(names: list[str], known: tuple[str, ...] | None = None) -> int:
    """Run the named benchmarks, or all that are known; one that breaks is told and the others go on."""
    known = known or BENCHMARKS
    unknown = set(names) - set(known)
    if unknown:
        say(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        return 2
    seed, begun = int(os.environ.get("SEED", "") or 7), time.monotonic()
    say(f"seed {seed}, {os.cpu_count()} cores, load {_load()}")
    broken = [name for name in names or known if not _run(name, seed)]
    say(
        f"{time.monotonic() - begun:.0f} s, load {_load()}" + (f"; not measured: {', '.join(broken)}" if broken else "")
    )
    return 1 if broken else 0


def _run(name: str, seed: int) -> bool:
    """Print a benchmark's figures; False when it broke."""
    say(f"{name} …")
    begun = time.monotonic()
    try:
        for figure in _found(name)(seed):
            print(figure.line(), flush=True)
    except Exception as error:  # noqa: BLE001  # told, counted, and the next benchmark has its turn
        say(f"  {name} broke: {type(error).__name__}: {error}")
        return False
    say(f"  {time.monotonic() - begun:.0f} s")
    return True


def _found(name: str) -> Run:
    """A benchmark's function; its module is imported only now, so that none needs what another does."""
    run: Run = importlib.import_module(f"benchmarks.{name}").run
    return run


def _load() -> str:
    """What else this machine is doing: figures from a busy one are worth less."""
    return Path("/proc/loadavg").read_text().split()[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
