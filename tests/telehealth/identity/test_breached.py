"""Passwords known from breaches are found in a sorted list, wherever they stand, and nothing else is."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telehealth.config import ConfigRefused
from telehealth.identity.breached import PasswordRules
from telehealth.identity.faults import PasswordWeak
from telehealth.identity.passwords import normal

GOOD = "nine green kettles hum"


def digest(password: str) -> str:
    return hashlib.sha1(normal(password).encode()).hexdigest().upper()


def listed(path: Path, passwords: set[str], counted: bool = True) -> Path:
    lines = sorted(digest(one) for one in passwords)
    path.write_text("".join(f"{line}:{n % 7_000}\n" if counted else f"{line}\n" for n, line in enumerate(lines)))
    return path


@pytest.mark.parametrize("counted", [True, False])
async def test_each_of_a_list_is_refused_and_none_beside_it(tmp_path: Path, counted: bool) -> None:
    known = {f"correct horse battery {n}" for n in range(300)}
    rules = PasswordRules(listed(tmp_path / "list", known, counted))
    for password in known:
        with pytest.raises(PasswordWeak):
            await rules.check(password, "dana")
    for n in range(300):
        await rules.check(f"correct horse stapler {n}", "dana")


@given(st.sets(st.integers(0, 10_000), min_size=1, max_size=40), st.integers(0, 10_000), st.booleans())
def test_it_finds_what_a_set_would_find(
    tmp_path_factory: pytest.TempPathFactory, known: set[int], asked: int, ends: bool
) -> None:
    path = listed(tmp_path_factory.mktemp("breached") / "list", {f"p{n}" for n in known})
    if not ends:
        path.write_text(path.read_text().rstrip("\n"))  # the last line without its end
    assert PasswordRules(path)._known(f"p{asked}") is (asked in known)


async def test_every_form_of_one_password_is_the_same(tmp_path: Path) -> None:
    rules = PasswordRules(listed(tmp_path / "list", {"ﬁve ﬁne ﬁshes swim"}))
    with pytest.raises(PasswordWeak):
        await rules.check("five fine fishes swim", "dana")


async def test_without_a_list_the_rules_alone_decide() -> None:
    rules = PasswordRules()
    await rules.check(GOOD, "dana")
    with pytest.raises(PasswordWeak):
        await rules.check("password", "dana")


def test_a_list_that_is_none_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigRefused, match="cannot be read"):
        PasswordRules(tmp_path / "none")
    (tmp_path / "words").write_text("password\n" * 100)
    with pytest.raises(ConfigRefused, match="not a sorted list"):
        PasswordRules(tmp_path / "words")
