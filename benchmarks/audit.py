"""The audit log's own benchmark, as a process whose lines become figures."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.figure import Figure, said
from benchmarks.pipe import ROOT


def run(seed: int) -> Iterator[Figure]:
    """Durable appends, and how fast a folder verifies. Raises CalledProcessError when it ended badly."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.audit_append"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "N"},  # there, N counts something else
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    )
    for line in done.stdout.splitlines():
        yield Figure(**{**json.loads(line), "seed": seed})


if __name__ == "__main__":
    said(run)
