"""The forgers of `make attack`, with few tokens: nothing is let through, nothing breaks."""

import pytest

from benchmarks import attack_tokens
from benchmarks.figure import Figure


def test_no_forged_or_mutated_token_is_let_through_by_any_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("N", "2000")
    figures: list[Figure] = list(attack_tokens.run(seed=11))
    assert len(figures) == 14
    assert [figure.line() for figure in figures if not figure.holds] == []
