"""Every fuzz target, a little: what once broke it, its first inputs, and some hundred changed ones of one seed."""

from pathlib import Path

import pytest

from tests.fuzz import run
from tests.fuzz.targets import TARGETS, Target

SEED = 20261122


@pytest.mark.parametrize(
    ("name", "count"),
    [("stun", 4000), ("rtp", 150), ("rtcp", 150), ("sdp", 500), ("vp8", 2000), ("webm", 1000), ("batch", 60)],
)
def test_changed_inputs_break_no_promise(name: str, count: int) -> None:
    assert run.run(name, SEED, count=count) >= count


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_the_first_inputs_of_a_target_reach_what_it_is_about(name: str) -> None:
    assert TARGETS[name].seeds
    for octets in TARGETS[name].seeds:
        TARGETS[name].one(octets)


def test_the_same_seed_gives_the_same_inputs() -> None:
    def some(seed: int) -> list[bytes]:
        return [octets for _, octets in zip(range(50), run.inputs(TARGETS["vp8"], seed), strict=False)]

    assert some(1) == some(1)
    assert some(1) != some(2)


def test_an_input_that_breaks_is_kept_and_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def one(octets: bytes) -> None:
        assert b"\xff" not in octets

    monkeypatch.setattr(run, "FOUND", tmp_path)
    monkeypatch.setitem(TARGETS, "broken", Target((bytes(20),), one))
    with pytest.raises(AssertionError):
        run.run("broken", SEED, count=1000)
    (kept,) = run.known("broken")
    with pytest.raises(AssertionError):
        run.run("broken", SEED)
    assert b"\xff" in kept.read_bytes()
