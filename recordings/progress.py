"""The catalogue as capture and sealing see it, with the running counts going into the log as well."""

from recordings.catalogue import Catalogue
from recordings.partners import FinishedFile, KeyedFile
from recordings.tasks import Tasks
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Entry, Outcome
from telehealth.audit.log import AuditLog


class NotedLedger:
    """A `FileLedger`: a capture file cut behind our back is seen by the count of segments in the log."""

    def __init__(self, catalogue: Catalogue, log: AuditLog, tasks: Tasks, recording: str, visit: str) -> None:
        self._catalogue = catalogue
        self._log = log
        self._tasks = tasks
        self._recording = recording
        self._visit = visit

    async def added(self, row: KeyedFile) -> None:
        await self._catalogue.added(row)

    async def progressed(self, file_id: str, segments: int, octets: int) -> None:
        await self._catalogue.progressed(file_id, segments, octets)
        entry = Entry(
            Action.RECORDING_PROGRESS,
            Outcome.DONE,
            SYSTEM,
            visit=self._visit,
            recording=self._recording,
            subject=file_id,
            detail={"segments": segments, "bytes": octets},
        )
        self._tasks.start(self._log.enter_closing(entry), "recording progress entry")  # capture does not wait for it

    async def sealed(self, sealed: FinishedFile) -> None:
        await self._catalogue.sealed(sealed)

    async def gone(self, file_id: str) -> None:
        await self._catalogue.gone(file_id)
