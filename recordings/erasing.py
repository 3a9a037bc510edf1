"""Everything that is asked about destroying: now or by request, the whole or a part, and its certificates."""

from recordings.catalogue import Catalogue
from recordings.deletionstore import DeletionStore
from recordings.requests import Requests, Wanted
from recordings.rows import PartRow, RecordingRow
from recordings.views import RequestView, Views
from telehealth.access import Action as Act
from telehealth.access import Caller, require
from telehealth.audit.actions import Action
from telehealth.audit.entry import Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.errors import NotFound


class Erasing:
    """The recordings room's face for destroying."""

    def __init__(
        self, catalogue: Catalogue, deletions: DeletionStore, requests: Requests, log: AuditLog, views: Views
    ) -> None:
        self._catalogue = catalogue
        self._deletions = deletions
        self._requests = requests
        self._log = log
        self._views = views

    async def delete(self, caller: Caller, recording: str, reason: str, note: str | None = None) -> bool:
        """Whether it is gone; if not, a request waits. Raises as `Requests.destroy`."""
        return await self._requests.destroy(caller, Wanted(recording, reason, note)) is None

    async def destroy_part(
        self, caller: Caller, recording: str, participant: str, reason: str, note: str | None = None
    ) -> bool:
        """Whether the part is gone; if not, a request waits. Raises as `Requests.destroy`."""
        return await self._requests.destroy(caller, Wanted(recording, reason, note, participant)) is None

    async def waiting(self, caller: Caller) -> list[RequestView]:
        """Every request that nobody decided, oldest first. Raises Forbidden."""
        return await self._views.requests(await self._requests.waiting(caller))

    async def approve(self, caller: Caller, request: str) -> str:
        """The recording it was about. Raises as `Requests.approve`."""
        return (await self._requests.approve(caller, request)).recording

    async def refuse(self, caller: Caller, request: str) -> None:
        """Raises as `Requests.refuse`."""
        await self._requests.refuse(caller, request)

    async def certificate(self, caller: Caller, recording: str, *, first: bool = False) -> bytes:
        """The newest signed certificate, or the `first` one, canonical JSON.

        Raises NotFound until destroyed, Forbidden, LogUnavailable.
        """
        require(caller, Act.RECORDINGS_MANAGE)
        row = await self._catalogue.recording(recording)
        return await self._handed_out(caller, row, row, None, first)

    async def part_certificate(self, caller: Caller, recording: str, participant: str, *, first: bool = False) -> bytes:
        """The same of a part. Raises NotFound until destroyed, Forbidden, LogUnavailable."""
        require(caller, Act.RECORDINGS_MANAGE)
        row = await self._catalogue.recording(recording)
        for part in await self._deletions.parts(recording):
            if part.participant == participant:
                return await self._handed_out(caller, row, part, participant, first)
        raise NotFound

    async def _handed_out(
        self, caller: Caller, row: RecordingRow, of: RecordingRow | PartRow, participant: str | None, first: bool
    ) -> bytes:
        found = of.certificate if first else of.final_certificate or of.certificate
        if found is None:
            raise NotFound
        patient = row.patient_lookup.hex()
        await self._log.enter(
            Entry(
                Action.CERTIFICATE_READ,
                Outcome.DONE,
                caller.actor(),
                visit=row.visit,
                recording=row.id,
                patient=patient,
                subject=participant,
            )
        )
        return found
