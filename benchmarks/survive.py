"""`python -m benchmarks.survive`: kills, power cuts and faults of disk and database, one after the other, as figures.

N kills (10), with N=300 also 500 power cuts and 150 faults, in proportion; SEED as wished. To replay what broke, run
the program that said so: benchmarks.crash, benchmarks.powercut, benchmarks.faults. Ends with 1 when anything broke.
"""

import os
import sys

from benchmarks import crash, faults, powercut
from benchmarks.figure import wished


def main() -> int:
    """Print every figure; 1 when one does not hold."""
    seed, kills = int(os.environ.get("SEED", "") or 7), wished(10)
    holds = True
    runs = [crash.run(seed), powercut.run(seed, max(25, kills * 5 // 3)), faults.run(seed, max(10, kills // 2))]
    for run in runs:
        for figure in run:
            print(figure.line(), flush=True)
            holds = holds and figure.holds
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
