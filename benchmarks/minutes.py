"""`python -m benchmarks.minutes BEGUN`: how long `make test` took on what is set up already. `BEGUN`: Unix seconds."""

import sys
import time

from benchmarks.figure import measured

MOST = 12  # minutes, on two cores

if __name__ == "__main__":
    took = time.time() - float(sys.argv[1])
    print(measured("tests.minutes", took / 60, "min", n=1, seed=7, at_most=MOST).line())
