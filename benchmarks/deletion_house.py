"""Clinics whose recordings are destroyed: the real room over real partners, without a server around it."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from recordings.certificate import Certificate, CertificateRefused, verify
from recordings.retention import Rule
from recordings.settings import Settings
from tests.recordings.service.recordings_house import CERTIFICATE_KEY, House

SECONDS = 0.06  # of sound in each recording: three frames a person
__all__ = ["CERTIFICATE_KEY", "SECONDS", "House", "certified", "clinic", "forked", "plays"]


@dataclass
class Died:
    """How a child process ended: by its own kill, or with an exit code."""

    killed: bool
    code: int


def clinic(folder: Path, **more: object) -> House:
    """A house on an empty or used folder; the term is thirty days, backups age out at once unless told."""
    house = House(folder, **more)  # type: ignore[arg-type]
    house.settings = replace(house.settings, rule=Rule(30, 0), least_free_bytes=0)
    house.fresh = not (folder / "audit").exists()
    folder.mkdir(parents=True, exist_ok=True)
    return house


def again(house: House) -> House:
    """The same clinic after everything in memory is lost."""
    fresh = House(
        house.folder,
        settings=house.settings,
        clock=house.clock,
        clinician=house.clinician,
        visit=house.visit,
        patient=house.patient,
        doctor=house.doctor,
        alone=house.alone,
        fresh=False,
    )
    fresh.limits = house.limits
    return fresh


async def plays(house: House, recording: str) -> bool:
    """Whether it is sealed and every octet of every file of it is authentic under its key."""
    row = await house.service.catalogue.recording(recording)
    if row.state != "sealed":
        return False
    return not (await house.service.verify(house.admin, recording)).damaged


async def certified(house: House, recording: str) -> Certificate | None:
    """Its genuine certificate, if it has one."""
    row = await house.service.catalogue.recording(recording)
    try:
        return verify(row.certificate or b"", house.service.certificate_public_key)
    except CertificateRefused:
        return None


def forked(work: Callable[[], Awaitable[None]]) -> Died:
    """Run this in a child process until it ends or is killed. Blocks. No threads may run here."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            asyncio.run(_whole(work))
            code = 0
        except BaseException as fault:  # noqa: BLE001  # told by the exit code; nothing of the parent runs on
            print(f"child: {type(fault).__name__}: {fault}", file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return Died(killed, os.waitstatus_to_exitcode(status))


async def _whole(work: Callable[[], Awaitable[None]]) -> None:
    await work()


def default_settings() -> Settings:
    return Settings(rule=Rule(30, 0), least_free_bytes=0, flush_seconds=0.005)
