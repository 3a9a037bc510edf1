"""A recorded call on a server whose disk or database fails at one place: what people see, and what is kept."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.crash_checks import Checks, Tally
from benchmarks.crash_house import happens
from benchmarks.crash_media import Filming
from tests.faults.clinic import Clinic
from tests.faults.disk import Fault, WatchedServer
from tests.faults.wire import RawCall, raw_call
from tests.recordings.recording_clips import tone

MODES = ("starting", "recording", "sealing")
TOLD_WITHIN = 5.0  # seconds from the fault to the clinician's view
LOST_AT_MOST = 1.0  # seconds of media before the fault
_LONG = 1.2  # seconds that people are recorded
_SEALED_WITHIN = 20.0  # seconds after the fault is mended: the sealer tries after 1 s, after 5 s
# What shows a picture or a sound as it was sent; of sound a piece of each packet, of torn ones too.
SENT = (b"#pic", *(packet[4:28] for packet in tone(440, 50) if len(packet) > 40))


@dataclass(slots=True)
class Trial:
    """What came of one. `seen`: changes that could have failed; `told`: seconds until the view said so, if it did."""

    fault: Fault
    mode: str
    seen: int = 0
    fired: bool = False
    recorded: bool = False
    told: float | None = None
    owed_until: float = 0.0  # what was sent till then is to be kept
    lost: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        what = f"told in {self.told:.2f} s" if self.told is not None else "went on" if self.recorded else "refused"
        return f"{self.mode}, {self.fault}: {what if self.fired else 'never came to that'}"


class Stand:
    """One server and clinic for many trials."""

    def __init__(self, server: WatchedServer, clinic: Clinic) -> None:
        self.server = server
        self.clinic = clinic

    async def trial(self, fault: Fault, mode: str) -> Trial:
        """One call with one fault. Whatever it does to the recording, the call goes on."""
        trial, control = Trial(fault, mode), self.server.control
        async with raw_call(self.clinic) as call, AsyncExitStack() as stack:
            stack.callback(control.disarm)
            film = Filming(call)
            stack.push_async_callback(film.stop)
            await self._recorded(trial, film)
            trial.fired, trial.seen = bool(control.fired), control.seen
            fired_at = control.fired_at if trial.fired else time.monotonic()
            if trial.fired and trial.recorded and mode == "recording":
                await self._told(trial, call, fired_at)
            await self._call_goes_on(trial, call)
            control.disarm()
            if trial.told is not None:
                trial.owed_until = fired_at
            elif trial.mode != "sealing":
                trial.owed_until = time.monotonic()
                await call.doctor.send("recording.stop")
            if not await happens(self._well, _SEALED_WITHIN):
                trial.said.append("mended, and the server is not well again")
            await self._kept(trial, film, trial.owed_until)
        return trial

    async def _recorded(self, trial: Trial, film: Filming) -> None:
        """Ask, agree, send, with the fault armed where the trial wants it."""
        control, call = self.server.control, film.call
        await self._one_yes(call)
        if trial.mode == "starting":
            control.arm(trial.fault)
        asked = await call.patient.hears("consent.asked")
        yes = call.patient.key.receipt(asked, call.visit.id, call.patient.participant, "yes")
        if (await call.patient.send("consent.answer", yes))["ok"]:
            trial.recorded = await self._is_recording(film)
            if not trial.recorded and trial.mode == "starting" and control.fired:
                self._says_why(trial, call, control.fired_at)
        if not trial.recorded:
            if trial.mode != "starting":
                trial.said.append("no recording, and nothing had failed yet")
            return
        if trial.mode == "recording":
            control.arm(trial.fault)
        await happens(lambda: bool(control.fired), _LONG)
        await asyncio.sleep(0 if control.fired else 0.1)
        if trial.mode == "sealing":
            control.arm(trial.fault)
            trial.owed_until = time.monotonic()
            await call.doctor.send("recording.stop")
            await happens(lambda: bool(control.fired), _LONG)
            await asyncio.sleep(0.3)

    async def _one_yes(self, call: RawCall) -> None:
        await call.doctor.does("recording.ask", {"purpose": "treatment_record"})
        await call.doctor.agrees()

    async def _is_recording(self, film: Filming) -> bool:
        """Whether it comes to be shown as recording; if not, the view says why in time.

        Legs are made beside: one that nobody wants any more answers no more, and its patience is not the view's.
        """
        call = film.call
        over: Callable[[], bool] = lambda: _state(call) == "none"  # noqa: E731
        if not await happens(lambda: over() or _relayed(call), TOLD_WITHIN) or over():
            return False
        legs = asyncio.create_task(self._legs(film), name="legs of a trial")
        try:
            return await happens(lambda: over() or _state(call) == "recording", 15) and not over()
        finally:
            legs.cancel()
            with suppress(asyncio.CancelledError):
                await legs

    async def _legs(self, film: Filming) -> None:
        for wire, role in ((film.call.doctor, "clinician"), (film.call.patient, "patient")):
            try:
                await film.leg(wire, role)
            except (AssertionError, TimeoutError):
                continue  # a leg refused: it is asked for again, or the recording ends

    async def _told(self, trial: Trial, call: RawCall, fired_at: float) -> None:
        """The clinician's view says in time that nothing is recorded and why; or nothing of it was lost."""
        over = await happens(lambda: _state(call) == "none", 1.5)
        if not over and not self._has_ended(call):
            return
        await happens(lambda: over or _state(call) == "none", TOLD_WITHIN)
        self._says_why(trial, call, fired_at)

    def _says_why(self, trial: Trial, call: RawCall, fired_at: float) -> None:
        trial.told = time.monotonic() - fired_at
        reason = call.doctor.view["recording"]["reason"]
        if _state(call) != "none" or not reason or trial.told > TOLD_WITHIN:
            trial.said.append(f"not recorded, and the view says {_state(call)}, {reason} after {trial.told:.1f} s")

    async def _call_goes_on(self, trial: Trial, call: RawCall) -> None:
        for wire in (call.doctor, call.patient):
            if not wire.socket.connected or wire.view["self"]["state"] != "admitted":
                trial.said.append("the call was cut off")
                return
            if not (await wire.send("ping"))["ok"]:
                trial.said.append("the call does not answer")

    async def _kept(self, trial: Trial, film: Filming, until: float) -> None:
        """What was shown as recorded is sealed in the end and plays; nothing lies in clear."""
        call = film.call
        if not await happens(lambda: _is_sealed(self._rows(call)), _SEALED_WITHIN):
            trial.said.append(f"not sealed: {[(row['state'], row['stop_reason']) for row in self._rows(call)]}")
            return
        if trial.recorded:
            await asyncio.to_thread(self._plays, trial, film, until)
        leaks = await asyncio.to_thread(in_clear, self.server.folder)
        if leaks:
            trial.said.append(f"in clear: {leaks}")

    def _plays(self, trial: Trial, film: Filming, until: float) -> None:
        tally = Tally()
        checks = Checks(self.clinic, tally)
        row = self._rows(film.call)[-1]
        try:
            found = checks.play(row["id"])
        except ValueError as fault:
            trial.said.append(f"unreadable: {fault}")
            return
        for role in ("clinician", "patient"):
            lost = film.lost(role, found[role], until) if role in found else until
            trial.lost.append(lost)
            if lost > LOST_AT_MOST:
                trial.said.append(f"{lost:.2f} s of the {role} lost")
        if trial.told is not None and not row["interrupted"]:
            trial.said.append("it broke off, and does not say so")

    def _well(self) -> bool:
        return self.clinic.admin.ask("GET", "/readyz").status == 200

    def _rows(self, call: RawCall) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.clinic.admin.get(f"/api/v1/recordings?visit={call.visit.id}")["items"]
        return rows

    def _has_ended(self, call: RawCall) -> bool:
        """Whether the server says that the recording ended. A database that goes on failing leaves that unanswered;
        what is lost then shows in what plays in the end.
        """
        answer = self.clinic.admin.ask("GET", f"/api/v1/recordings?visit={call.visit.id}")
        return answer.status == 200 and _is_ended(answer.json["items"])


def in_clear(folder: Path) -> list[str]:
    """Files that hold a picture or a sound as it was sent. Looked through anew when one went between listing and
    reading, as a log's partial tile does: what took its place is to be seen as well.
    """
    while True:
        with suppress(FileNotFoundError):
            files = [path for path in folder.rglob("*") if path.is_file()]
            return [path.name for path in files if _holds(path.read_bytes())]


def _holds(content: bytes) -> bool:
    return any(sent in content for sent in SENT)


def _relayed(call: RawCall) -> bool:
    return bool(call.doctor.view["media"]["topology"] == "relay")


def _state(call: RawCall) -> str:
    return str(call.doctor.view["recording"]["state"])


def _is_ended(rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and rows[-1]["state"] not in ("capturing", "paused")


def _is_sealed(rows: list[dict[str, Any]]) -> bool:
    return all(row["state"] == "sealed" for row in rows)
