"""The command line, as people run it: beside a running server, alone, and when things are wrong."""

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from urllib.request import Request, urlopen

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from telehealth.commands.parser import build
from telehealth.commands.run import main

PATIENT = "Zora Canary"


@contextmanager
def patched(names: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(names)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@dataclass(frozen=True)
class Shell:
    """Runs `telehealth` in a folder of its own, ports chosen by the system."""

    folder: Path
    inside: bool = False  # commands run in this process: quicker, and a server does the work

    @property
    def environment(self) -> dict[str, str]:
        ours = {"TELEHEALTH_SERVER__PORT": "0", "TELEHEALTH_MEDIA__PORT": "0"}
        return {**{name: value for name, value in os.environ.items() if not name.startswith("TELEHEALTH_")}, **ours}

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        if self.inside:
            return self._run_inside(words, environment)
        return subprocess.run(
            [sys.executable, "-m", "telehealth", *words],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _run_inside(self, words: tuple[str, ...], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        out, err, handlers = StringIO(), StringIO(), logging.root.handlers[:]
        names = {**self.environment, **environment}
        with chdir(self.folder), patched(names), redirect_stdout(out), redirect_stderr(err):
            try:
                exit_code = main(words)
            except SystemExit as ended:
                exit_code = int(ended.code or 0)
        logging.root.handlers[:] = handlers
        structlog.reset_defaults()
        return subprocess.CompletedProcess(words, exit_code, out.getvalue(), err.getvalue())

    def ask(self, *words: str, exit_code: int = 0) -> dict[str, Any]:
        done = self.run(*words, "--json")
        assert done.returncode == exit_code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    @contextmanager
    def serving(self, *words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
        with subprocess.Popen(
            [sys.executable, "-m", "telehealth", "serve", "--json", *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as server:
            assert server.stdout is not None
            try:
                greeting = server.stdout.readline()
                assert greeting, server.stderr.read() if server.stderr else ""
                yield server, json.loads(greeting)
            finally:
                if server.poll() is None:
                    server.send_signal(signal.SIGTERM)
                _, log = server.communicate(timeout=30)
                assert "Traceback" not in log
                assert '"level": "error"' not in log


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell whose server runs."""
    shell = Shell(tmp_path_factory.mktemp("beside"))
    with shell.serving() as (_, greeting):
        assert greeting["setup_url"].startswith(f"{greeting['url']}/setup#")
        yield replace(shell, inside=True)


def test_users_are_added_listed_disabled_and_reset(beside: Shell) -> None:
    added = beside.ask("user", "add", "eve", "--name", "Eve Example", "--role", "auditor")
    assert "/setup#" in added["enrolment_url"]
    beside.ask("user", "add", "eve", "--name", "Eve Again", "--role", "admin", exit_code=1)
    found = next(item for item in beside.ask("user", "list")["items"] if item["login"] == "eve")
    assert (found["id"], found["enrolled"], found["disabled"]) == (added["id"], False, False)
    assert beside.ask("user", "disable", "eve") == {"id": added["id"], "disabled": True}
    assert beside.ask("user", "enable", added["id"])["disabled"] is False
    assert beside.ask("user", "reset", "eve")["enrolment_url"] != added["enrolment_url"]
    assert beside.ask("user", "reset", "nobody", exit_code=1)["error"] == "unknown_user"


def test_tokens_are_printed_once_listed_and_revoked(beside: Shell) -> None:
    beside.ask("user", "add", "robot", "--name", "Robot", "--role", "admin")
    made = beside.ask("token", "create", "scraper", "--user", "robot", "--scope", "metrics", "--scope", "audit:read")
    listed = beside.run("token", "list", "--json").stdout
    assert made["token"] not in listed
    assert next(item for item in json.loads(listed)["items"] if item["id"] == made["id"])["revoked_at"] is None
    assert beside.ask("token", "revoke", made["id"])["revoked"] is True
    assert beside.ask("token", "revoke", made["id"], exit_code=1)["error"] == "not_found"
    assert beside.run("token", "create", "x", "--user", "robot", "--scope", "everything").returncode == 2


def test_visits_are_booked_and_listed(beside: Shell) -> None:
    beside.ask("user", "add", "ada", "--name", "Ada Example", "--role", "clinician")
    made = beside.ask("visit", "create", "--clinician", "ada", "--patient", PATIENT, "--at", "2030-01-31T09:30:00Z")
    assert "/join#" in made["link"]["url"]
    assert len(made["link"]["passcode"]) >= 8
    said = beside.run("visit", "create", "--clinician", "ada", "--patient", PATIENT)
    assert "passcode" in said.stdout
    assert "never beside the link" in said.stdout
    naive = beside.ask("visit", "create", "--clinician", "ada", "--patient", "x", "--at", "2030-01-31", exit_code=1)
    assert naive["error"] == "usage"


def test_recordings_are_listed_and_unknown_ones_said_to_be(beside: Shell) -> None:
    assert beside.ask("recording", "list") == {"items": [], "next": None}
    assert beside.run("recording", "list").stdout == "No recordings.\n"
    for words in (("show", "rec_x"), ("show", f"rec_{'a' * 26}"), ("verify", f"rec_{'a' * 26}")):
        assert beside.ask("recording", *words, exit_code=1)["error"] == "not_found"


def test_reconciling_says_what_differs_and_the_exit_code_tells(beside: Shell) -> None:
    assert beside.ask("recording", "reconcile")["ok"]
    assert beside.run("recording", "reconcile").stdout == "In accord: 0 sealed files, 0 of them read whole.\n"


def holding(folder: Path, text: bytes) -> Path:
    """The one file of leaves that holds this text."""
    (found,) = [path for path in folder.rglob("*.leaves") if text in path.read_bytes()]
    return found


def test_the_log_of_a_running_server_verifies_and_names_nobody(beside: Shell) -> None:
    tail = beside.run("audit", "tail", "-n", "1000")
    assert "server.start" in tail.stdout
    assert PATIENT not in tail.stdout
    verdict = beside.ask("audit", "verify")
    assert verdict["ok"]
    copy = beside.folder / "copy"
    shutil.copytree(beside.folder / "data" / "audit", copy, ignore=shutil.ignore_patterns("*.sock"))
    assert beside.ask("audit", "verify", "--folder", str(copy), "--key", verdict["key"])["ok"]
    leaf = holding(copy, b"server.start")
    leaf.write_bytes(leaf.read_bytes().replace(b"server.start", b"server.spark"))
    changed = beside.ask("audit", "verify", "--folder", str(copy), "--key", verdict["key"], exit_code=1)
    assert not changed["ok"]
    assert changed["problems"]


def test_keys_status_tells_the_keys_to_check_with(beside: Shell) -> None:
    status = beside.ask("keys", "status")
    assert (status["provider"], status["assurance"], status["healthy"]) == ("file", "software-keystore", True)
    assert status["log_key"] == beside.ask("audit", "verify")["key"]


def test_doctor_knows_a_running_server(beside: Shell) -> None:
    found = {item["what"]: item for item in beside.ask("doctor")["findings"]}
    assert found["server"]["state"] == "well"


def test_a_second_server_on_the_same_folder_is_refused(beside: Shell) -> None:
    done = replace(beside, inside=False).run("serve")
    assert done.returncode == 1
    assert "already_running" in done.stderr
    assert "Traceback" not in done.stderr


def test_alone_the_commands_work_on_the_folder_and_a_killed_server_leaves_nothing_to_clear(shell: Shell) -> None:
    with shell.serving() as (server, _):
        shell.ask("user", "add", "ada", "--name", "Ada Example", "--role", "clinician")
        server.kill()
        server.wait(10)
    assert [item["login"] for item in shell.ask("user", "list")["items"]] == ["ada"]
    assert shell.ask("audit", "verify")["ok"]
    with shell.serving() as (_, greeting), urlopen(f"{greeting['url']}/readyz") as answer:
        assert json.load(answer) == {"failing": []}
    actions = [item["action"] for item in shell.ask("audit", "tail")["items"]]
    assert actions.count("server.start") == 2
    assert actions.count("server.stop") == 1


def test_a_changed_log_is_found_though_the_server_refuses_to_open_it(shell: Shell) -> None:
    shell.ask("user", "add", "ada", "--name", "Ada Example", "--role", "clinician")
    leaf = holding(shell.folder / "data" / "audit", b"user.create")
    leaf.write_bytes(leaf.read_bytes().replace(b"user.create", b"user.delete"))
    assert not shell.ask("audit", "verify", exit_code=1)["ok"]


def test_a_certificate_is_checked_offline_by_its_key(shell: Shell) -> None:
    from recordings.certificate import VERSION, Certificate, issue

    times = "2026-01-31T09:30:00.000Z"
    texts = dict.fromkeys(("certificate_id", "recording_id", "visit_id", "method", "assurance", "tool"), "x")
    certificate = Certificate(
        version=VERSION,
        subject_ids=(),
        files=(),
        keys=(),
        scope="recording",
        participant_id=None,
        previous_sha256=None,
        asked_by="usr_x",
        asked_at=times,
        approved_by=None,
        executed_by="server",
        reason="policy",
        rule="visit",
        hold_checked_at=times,
        destroyed_at=times,
        effective_after=times,
        status="final",
        read_back=(),
        residual=(),
        audit_index=1,
        audit_size=2,
        audit_root="00",
        **texts,
    )
    key = Ed25519PrivateKey.generate()
    document = issue(certificate, key)
    file = shell.folder / "certificate.json"
    file.write_bytes(document)
    public = json.loads(document)["public_key"]
    assert shell.ask("recording", "verify-certificate", str(file), "--key", public)["ok"]
    file.write_bytes(document.replace(b"policy", b"errors"))
    refused = shell.ask("recording", "verify-certificate", str(file), "--key", public, exit_code=1)
    assert refused["error"] == "certificate_refused"
    assert shell.ask("recording", "verify-certificate", "none.json", "--key", public, exit_code=2)["error"]
    assert shell.ask("recording", "verify-certificate", str(file), exit_code=2)["error"] == "no_key"


def test_a_demo_gives_ready_links_and_leaves_nothing(shell: Shell) -> None:
    before = set(Path(gettempdir()).glob("telehealth-demo-*"))
    with shell.serving("--demo") as (_, greeting):
        token = greeting["clinician_url"].partition("#")[2]
        headers = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
        door = Request(f"{greeting['url']}/api/v1/demo", json.dumps({"token": token}).encode(), headers)
        with urlopen(door) as answer:
            assert json.load(answer)["demo"] is True
            assert "HttpOnly" in answer.headers["Set-Cookie"]
        joining = Request(
            f"{greeting['url']}/api/v1/join",
            json.dumps({"token": greeting["patient_url"].partition("#")[2]}).encode(),
            headers,
        )
        with urlopen(joining) as answer:
            assert json.load(answer)["step"] == "code"
    assert not (shell.folder / "data").exists()
    assert set(Path(gettempdir()).glob("telehealth-demo-*")) <= before


def test_a_wrong_configuration_names_its_faults(shell: Shell) -> None:
    (shell.folder / "config.toml").write_text("[server]\nport = 'high'\ncolour = 'red'\n")
    for words in (("serve",), ("user", "list"), ("doctor",)):
        done = shell.run(*words)
        assert done.returncode == (1 if words == ("doctor",) else 2)
        said = done.stdout + done.stderr
        assert "server.colour: unknown key" in said
        assert "Traceback" not in said


def test_doctor_says_how_to_mend(shell: Shell) -> None:
    keys = shell.folder / "data" / "keys"
    keys.mkdir(parents=True)
    (keys / "root.key").write_text("00" * 32)
    (keys / "root.key").chmod(0o644)
    keys.chmod(0o755)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = shell.run("doctor", TELEHEALTH_SERVER__PORT=str(taken.getsockname()[1]))
    assert done.returncode == 1
    for words in ("chmod 600 data/keys/root.key", "chmod 700 data/keys", "Stop what uses it"):
        assert words in done.stderr


def test_exposed_or_broken_keys_stop_every_command(shell: Shell) -> None:
    shell.ask("user", "list")
    (shell.folder / "data" / "keys" / "root.key").chmod(0o644)
    done = shell.run("user", "list")
    assert done.returncode == 1
    assert "chmod 600" in done.stderr
    (shell.folder / "data" / "keys" / "root.key").chmod(0o600)
    (shell.folder / "data" / "keys" / "root.key").write_text("no key")
    done = shell.run("user", "list")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "is no key" in done.stderr


def test_every_command_takes_json_and_config_on_either_side() -> None:
    parser = build()
    for words in (["--json", "user", "list"], ["user", "list", "--json"]):
        assert parser.parse_args(words).json is True
    for words in (["--config", "x", "doctor"], ["doctor", "--config", "x"]):
        assert str(parser.parse_args(words).config) == "x"
    assert parser.parse_args(["doctor"]).json is False


def test_what_a_running_server_answers_waits_for_no_database_library() -> None:
    """A command that another process does the work for is there in half the time."""
    words = "import sys, telehealth.__main__; print({'sqlalchemy', 'av', 'redis'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"
