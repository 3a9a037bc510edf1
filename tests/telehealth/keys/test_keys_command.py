"""`telehealth keys`, as people run it, with the provider that the configuration names."""

import datetime
import json
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import telehealth.house  # noqa: F401  # slow to import, and commands do it on their event loop
from telehealth.clock import SystemClock
from telehealth.commands.run import main
from telehealth.keys.keyring import QUARTER
from tests.partners.openbao import OpenBao
from tests.partners.softhsm import SoftHsm


def _ask(folder: Path, *words: str, exit_code: int = 0) -> dict[str, Any]:
    told, complained = StringIO(), StringIO()
    with chdir(folder), redirect_stdout(told), redirect_stderr(complained):
        ended = main([*words, "--json"])
    assert ended == exit_code, told.getvalue() + complained.getvalue()
    answer: dict[str, Any] = json.loads(told.getvalue())
    return answer


def _said(folder: Path, *words: str) -> str:
    """What people read."""
    told = StringIO()
    with chdir(folder), redirect_stdout(told):
        assert main(words) == 0
    return told.getvalue()


class QuarterOn(SystemClock):
    def now(self) -> datetime.datetime:
        return super().now() + QUARTER


def _turned_over(folder: Path, name: str) -> None:
    first = _ask(folder, "keys", "status")
    assert (first["provider"], first["healthy"], first["wrapping_key"]) == (name, True, "wrapping-1")
    assert (first["on_old_keys"], first["rotation_due"]) == (0, False)
    turned = _ask(folder, "keys", "rotate")
    assert turned == {
        "wrapping_key": "wrapping-2",
        "rewrapped": 0,
        "unreadable": 0,
        "left": 0,
        "retired": [],
        "waiting": ["wrapping-1"],
    }
    assert _ask(folder, "keys", "rewrap")["waiting"] == ["wrapping-1"]
    again = _ask(folder, "keys", "status")
    assert (again["wrapping_key"], again["wrapping_keys"]) == ("wrapping-2", 2)
    assert again["log_key"] == first["log_key"]


def test_keys_turn_over_in_files(tmp_path: Path) -> None:
    _turned_over(tmp_path, "file")


def test_the_status_says_when_a_rotation_is_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nothing to do." in _said(tmp_path, "keys", "status")
    monkeypatch.setattr("telehealth.commands.run.SystemClock", QuarterOn)
    told = _said(tmp_path, "keys", "status")
    assert "It is due: the server rotates by itself at the next sweep." in told
    assert "Nothing to do." not in told
    assert _ask(tmp_path, "keys", "status")["rotation_due"] is True
    _ask(tmp_path, "keys", "rotate")
    assert "It is due" not in _said(tmp_path, "keys", "status")
    after = _ask(tmp_path, "keys", "status")
    assert (after["rotation_due"], after["wrapping_key"]) == (False, "wrapping-2")


@pytest.mark.xdist_group("vault")
def test_keys_turn_over_in_a_vault(tmp_path: Path, openbao: OpenBao, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEHEALTH_KEYS__PROVIDER", "vault")
    monkeypatch.setenv("TELEHEALTH_KEYS__VAULT_URL", openbao.url)
    monkeypatch.setenv("TELEHEALTH_KEYS__VAULT_TOKEN_FILE", str(openbao.token_file))
    monkeypatch.setenv("TELEHEALTH_KEYS__PREFIX", "command-")
    _turned_over(tmp_path, "vault")
    openbao.seal()
    try:
        assert _ask(tmp_path, "keys", "status", exit_code=1)["error"] == "key_service_unavailable"
    finally:
        openbao.unseal()


@pytest.mark.xdist_group("pkcs11")
def test_keys_turn_over_in_a_token(tmp_path: Path, softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEHEALTH_KEYS__PROVIDER", "pkcs11")
    monkeypatch.setenv("TELEHEALTH_KEYS__PKCS11_MODULE", str(softhsm.module))
    monkeypatch.setenv("TELEHEALTH_KEYS__PKCS11_TOKEN", softhsm.label)
    monkeypatch.setenv("TELEHEALTH_KEYS__PKCS11_PIN_FILE", str(softhsm.pin_file))
    monkeypatch.setenv("TELEHEALTH_KEYS__PREFIX", "command-")
    _turned_over(tmp_path, "pkcs11")
