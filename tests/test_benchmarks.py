"""The benchmarks' frame: how a figure is printed, held against its aim, and how partners are asked."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import benchmarks.__main__ as runner
from benchmarks.figure import Figure, measured, percentile, wished
from benchmarks.pipe import PartnerDied, partner

ROOT = Path(__file__).resolve().parents[1]


def test_a_figure_is_one_line_of_json_with_its_aim_and_whether_it_holds() -> None:
    line = measured("visit.cpu_ratio_media_recorder", 23.3712, "×", n=3, seed=7, at_least=20).line()
    assert "\n" not in line
    assert json.loads(line) == {
        "figure": "visit.cpu_ratio_media_recorder",
        "value": 23.37,
        "unit": "×",
        "aim": 20,
        "holds": True,
        "n": 3,
        "seed": 7,
    }


@pytest.mark.parametrize(
    ("value", "aims", "holds"),
    [
        (20.0, {"at_least": 20}, True),
        (19.99, {"at_least": 20}, False),
        (50.0, {"at_most": 50}, True),
        (50.01, {"at_most": 50}, False),
        (1.0, {}, True),
    ],
)
def test_an_aim_holds_from_its_own_value_on(value: float, aims: dict[str, float], holds: bool) -> None:
    assert measured("audit.example", value, "1/s", n=1, seed=0, **aims).holds is holds


def test_a_figure_has_one_aim() -> None:
    with pytest.raises(ValueError):
        measured("audit.example", 1.0, "ms", n=1, seed=0, at_least=1, at_most=2)


def test_a_percentile_is_one_of_the_samples() -> None:
    samples = [float(number) for number in range(1, 11)]
    assert [percentile(samples, share) for share in (0.0, 0.5, 0.9, 0.95, 1.0)] == [1, 5, 9, 10, 10]
    assert percentile([3.0], 0.95) == 3.0
    with pytest.raises(ValueError):
        percentile([], 0.5)


def test_n_of_the_environment_says_how_many_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("N", raising=False)
    assert wished(10) == 10
    monkeypatch.setenv("N", "3")
    assert wished(10) == 3


def test_one_that_breaks_is_named_and_the_others_are_still_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def sound(seed: int) -> Iterator[Figure]:
        yield measured("audit.example", 1.0, "ms", n=1, seed=seed)

    def broken(seed: int) -> Iterator[Figure]:
        yield measured("audit.half", 1.0, "ms", n=1, seed=seed)
        raise RuntimeError("out of order")

    for name, run in (("broken", broken), ("sound", sound)):
        monkeypatch.setitem(sys.modules, f"benchmarks.{name}", SimpleNamespace(run=run))
    monkeypatch.setattr(runner, "BENCHMARKS", ("broken", "sound"))
    monkeypatch.setenv("SEED", "11")
    assert runner.main([]) == 1
    said = capsys.readouterr()
    figures = [Figure(**json.loads(line)) for line in said.out.splitlines()]
    assert [(figure.figure, figure.seed) for figure in figures] == [("audit.half", 11), ("audit.example", 11)]
    assert "out of order" in said.err
    assert said.err.rstrip().endswith("not measured: broken")


@pytest.mark.slow
def test_a_real_run_prints_figures_alone_on_stdout() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "seal_speed"],
        cwd=ROOT,
        env=os.environ | {"SEED": "11", "SEAL_SECONDS": "2", "N": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    figures = [Figure(**json.loads(line)) for line in done.stdout.splitlines()]
    assert [(figure.figure, figure.seed) for figure in figures] == [("recordings.seal_speed", 11)]
    assert "seal_speed" in done.stderr


def test_an_unknown_benchmark_is_named_and_nothing_runs() -> None:
    command = [sys.executable, "-m", "benchmarks", "nonsense"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "nonsense" in done.stderr


async def test_a_partner_that_dies_is_told_from_one_that_is_silent() -> None:
    async with partner("benchmarks.nothing_there") as gone:
        with pytest.raises(PartnerDied):
            await gone.ask("anything")
