"""A small round of what `benchmarks/attack_audit.py` does in full."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_every_attack_is_found_or_comes_to_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.attack_audit"],
        cwd=ROOT,
        env={**os.environ, "N": "100", "SEED": "11", "BENCH_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(figures) == 8
    assert all(figure["holds"] for figure in figures), figures
