"""The breach drill, from the first stolen request to the finished report, in throw-away servers."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure, measured, percentile, said, say, wished
from telehealth.drill import rehearse
from telehealth.log import configure

SECONDS = 60.0


def run(seed: int) -> Iterator[Figure]:
    """The slowest of N drills; one that misses something counts as never done."""
    configure(level="CRITICAL")
    seconds: list[float] = []
    for _ in range(wished(3)):
        with tempfile.TemporaryDirectory(prefix="telehealth-drill-") as folder:
            found = asyncio.run(rehearse(Path(folder)))
        if found.problems:
            say(f"missing in the report: {', '.join(found.problems)}")
        seconds.append(float("inf") if found.problems else found.seconds)
    yield measured(
        "audit.breach_drill_seconds", percentile(seconds, 1.0), "s", n=len(seconds), seed=seed, at_most=SECONDS
    )


if __name__ == "__main__":
    said(run)
