"""`telehealth keys`, as people run it, with the provider that the configuration names."""

import json
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import telehealth.house  # noqa: F401  # slow to import, and commands do it on their event loop
from telehealth.commands.run import main
from tests.partners.openbao import OpenBao
from tests.partners.softhsm import SoftHsm


def _ask(folder: Path, *words: str, exit_code: int = 0) -> dict[str, Any]:
    told, complained = StringIO(), StringIO()
    with chdir(folder), redirect_stdout(told), redirect_stderr(complained):
        ended = main([*words, "--json"])
    assert ended == exit_code, told.getvalue() + complained.getvalue()
    answer: dict[str, Any] = json.loads(told.getvalue())
    return answer


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
