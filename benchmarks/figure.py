"""A figure: what was measured, what it should be, and whether it is."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. `aim` None: nothing is promised, and `holds` is true. `n`: how many samples are behind it."""

    figure: str
    value: float
    unit: str
    aim: float | None
    holds: bool
    n: int
    seed: int

    def line(self) -> str:
        """The figure as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


def measured(
    name: str,
    value: float,
    unit: str,
    *,
    n: int,
    seed: int,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Figure:
    """A figure, rounded to four significant digits and held against at most one aim. Raises ValueError for two."""
    if at_least is not None and at_most is not None:
        raise ValueError("a figure has one aim")
    rounded = float(f"{value:.4g}")
    holds = (at_least is None or rounded >= at_least) and (at_most is None or rounded <= at_most)
    return Figure(name, rounded, unit, at_most if at_least is None else at_least, holds, n, seed)


def percentile(samples: list[float], share: float) -> float:
    """The smallest sample that at least `share` (0–1) of all do not exceed. Raises ValueError without samples."""
    if not samples:
        raise ValueError("no samples, no percentile")
    ordered = sorted(samples)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def wished(default: int) -> int:
    """How many samples to take: N of the environment, or `default`."""
    return int(os.environ.get("N", "") or default)


def say(words: str) -> None:
    """Progress and remarks, on stderr."""
    print(words, file=sys.stderr, flush=True)


def said(run: Callable[[int], Iterator[Figure]]) -> None:
    """Print a benchmark's figures as they come; SEED of the environment, or 7."""
    for figure in run(int(os.environ.get("SEED", "") or 7)):
        print(figure.line(), flush=True)
