"""`telehealth audit`: evidence, a new signing key, stories and reports, as people type them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from test_commands import PATIENT, Shell

from telehealth.audit import offline_verifier


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shell, str]]:
    """A shell beside a running server, and a visit."""
    shell = Shell(tmp_path_factory.mktemp("audited"))
    with shell.serving():
        beside = replace(shell, inside=True)
        beside.ask("user", "add", "ada", "--name", "Ada Example", "--role", "clinician")
        made = beside.ask("visit", "create", "--clinician", "ada", "--patient", PATIENT)
        yield beside, made["id"]


def verified(bundle: object, key: str, tmp_path: Path) -> int:
    """How the offline verifier ends over a bundle."""
    file = tmp_path / "evidence.json"
    file.write_text(json.dumps(bundle))
    words = [sys.executable, offline_verifier.__file__, str(file), "--key", key]
    return subprocess.run(words, capture_output=True, check=False).returncode


def test_evidence_is_believed_elsewhere_also_after_a_new_key(clinic: tuple[Shell, str], tmp_path: Path) -> None:
    shell, visit = clinic
    key = shell.ask("audit", "verify")["key"]
    before = shell.ask("audit", "prove", "--visit", visit)
    assert len(before["entries"]) >= 2
    size = int(before["checkpoint"].splitlines()[1])
    assert verified(before, key, tmp_path) == 0
    assert len(shell.ask("audit", "rotate-key")["keys"]) >= 2
    after = shell.ask("audit", "prove", "0", "1", "--since", str(size))
    assert [entry["index"] for entry in after["entries"]] == [0, 1]
    assert verified(after, key, tmp_path) == 0
    assert shell.ask("audit", "verify")["ok"] is True
    after["entries"][0]["leaf"] = after["entries"][1]["leaf"]
    assert verified(after, key, tmp_path) != 0


def test_evidence_of_nothing_is_refused(clinic: tuple[Shell, str]) -> None:
    shell, _ = clinic
    assert shell.ask("audit", "prove", exit_code=2)["error"] == "usage"
    assert shell.ask("audit", "prove", "999999", exit_code=1)["error"] == "index_out_of_range"
    assert shell.ask("audit", "prove", "0", "--since", "999999", exit_code=1)["error"] == "size_from_future"


def test_a_visits_story_is_told(clinic: tuple[Shell, str]) -> None:
    shell, visit = clinic
    told = shell.ask("audit", "story", visit)["items"]
    assert [one["action"] for one in told][:2] == ["visit.create", "link.issue"]
    assert "visit.create" in shell.run("audit", "story", visit).stdout
    assert shell.ask("audit", "story", "somewhere", exit_code=2)["error"] == "usage"


def test_a_patients_report_is_made_and_proven(clinic: tuple[Shell, str], tmp_path: Path) -> None:
    shell, visit = clinic
    shell.ask("visit", "list")
    report = shell.ask("audit", "report", "--patient", PATIENT)["items"]
    assert {one["visit"] for one in report if one["visit"]} == {visit}
    assert report[-1]["action"] == "audit.read"
    bundle = shell.ask("audit", "report", "--patient", PATIENT, "--bundle")
    assert verified(bundle, shell.ask("audit", "verify")["key"], tmp_path) == 0
    given = shell.ask("audit", "disclosures", "--patient", PATIENT)["items"]
    assert [one["action"] for one in given] == ["audit.export"]
    assert PATIENT not in shell.run("audit", "tail", "-n", "1000").stdout


def test_what_is_filtered_is_exported_in_parts(clinic: tuple[Shell, str]) -> None:
    shell, visit = clinic
    found = shell.ask("audit", "export", "--visit", visit, "--action", "visit.create")
    assert [one["outcome"] for one in found["items"]] == ["intent", "done"]
    lines = shell.run("audit", "export", "--visit", visit).stdout.splitlines()
    assert json.loads(lines[0])["action"] == "visit.create"
    assert shell.run("audit", "export", "--since", "yesterday").returncode == 2
