"""The restore drill: a real server, real media, two backups, a kill, an empty folder, and everything back."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyotp
import pyrage

from benchmarks.crash_checks import Checks, Tally
from benchmarks.crash_media import Filming, Found
from tests.faults.clinic import PASSWORD, Client, Clinic
from tests.faults.server import Server
from tests.faults.wire import raw_call
from tests.stories.house import House

DAYS = "7"


class KeptClinic(Clinic):
    """A clinic whose admin's recovery codes are remembered, for signing in on the restored server."""

    codes: list[str]

    def __init__(self, house: House) -> None:
        self.codes = []
        super().__init__(house)

    def _enrolled(self, token: str, login: str) -> Client:
        client = Client(self.house)
        offer = client.do("POST", "/api/v1/enrolment", {"token": token})
        named = {} if offer["login"] else {"login": login, "name": f"The {login}"}
        body = {"token": token, "password": PASSWORD, "code": pyotp.TOTP(offer["totp_secret"]).now(), **named}
        codes = client.do("POST", "/api/v1/enrolment/finish", body)["recovery_codes"]
        if login == "admin":
            self.codes = list(codes)
        return client

    def sign_in_again(self) -> int:
        """The status of the admin's old session; then a new one, by password and a recovery code."""
        old = self.admin.ask("GET", "/api/v1/session").status
        self.admin = Client(self.house)
        self.admin.do("POST", "/api/v1/session", {"login": "admin", "password": PASSWORD, "code": self.codes.pop()})
        return old


@dataclass
class Drill:
    """One installation in `folder`; `settings` choose database and provider."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        identity = pyrage.x25519.Identity.generate()
        self.identity = self.folder / "identity.txt"
        self.identity.write_text(f"# kept elsewhere\n{identity}\n")
        self.to, self.keys_to = self.folder / "data-elsewhere", self.folder / "keys-elsewhere"
        for place in (self.to, self.keys_to):
            place.mkdir()
        ours = {
            "SESSIONS__STEP_UP_MINUTES": "720",
            "RECORDING__BACKUP_DAYS": DAYS,
            "BACKUP__TO": str(self.to),
            "BACKUP__KEYS_TO": str(self.keys_to),
            "BACKUP__RECIPIENTS": str(identity.to_public()),
            "BACKUP__ONE_FILESYSTEM_IS_MEANT": "true",
        }
        self.house = Server(self.folder / "clinic", {**ours, **self.settings})
        self.restore_seconds = 0.0

    def run(self, *words: str) -> tuple[int, dict[str, Any]]:
        """A command on this installation: exit code and answer."""
        done = subprocess.run(
            [sys.executable, "-m", "telehealth", *words, "--json"],
            cwd=self.house.folder,
            env=self.house.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def back_up(self) -> dict[str, Any]:
        code, told = self.run("backup", "create")
        assert code == 0, told
        return told

    def lose_everything(self, database: str | None = None) -> None:
        """The machine is gone; the root key is put back from its copy. `database`: an empty one in its place."""
        key = self.house.folder / "root" / "root.key"
        root = key.read_bytes() if key.exists() else None
        for path in list(self.house.folder.iterdir()):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name.startswith("telehealth.db"):
                path.unlink()
        if root is not None:
            key.parent.mkdir(mode=0o700)
            key.touch(mode=0o600)
            key.write_bytes(root)
        if database is not None:
            self.house.settings["PLACES__DATABASE"] = database

    def restore(self, *words: str) -> dict[str, Any]:
        began = time.monotonic()
        code, told = self.run("backup", "restore", "--identity", str(self.identity), *words)
        assert code == (1 if told.get("not_in_accord") else 0), told
        self.restore_seconds = time.monotonic() - began
        return told


@asynccontextmanager
async def filmed(clinic: Clinic) -> AsyncIterator[Filming]:
    """A recorded call whose people go on sending until the end of the block."""
    async with raw_call(clinic) as call, AsyncExitStack() as stack:
        film = Filming(call)
        stack.push_async_callback(film.stop)
        await film.record()
        yield film


async def recorded(clinic: Clinic) -> str:
    """A sealed recording of a second or so."""
    before = {one["id"] for one in clinic.recordings()}
    async with filmed(clinic) as film:
        await asyncio.sleep(0.05)  # the cameras send every 20 ms
        await film.call.doctor.does("recording.stop")
        return await asyncio.to_thread(_sealed, clinic, before)


def _sealed(clinic: Clinic, before: set[str]) -> str:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        fresh = [one for one in clinic.recordings() if one["id"] not in before and one["state"] == "sealed"]
        if fresh:
            return str(fresh[0]["id"])
        time.sleep(0.02)
    raise TimeoutError("not sealed")


def plays(clinic: Clinic, recording: str) -> dict[str, Found]:
    """Every track, decrypted and decoded. Raises ValueError with what is wrong."""
    return Checks(clinic, Tally()).play(recording)


def killed(house: Server) -> None:
    house.process.kill()
    house.stop(signal.SIGKILL)
