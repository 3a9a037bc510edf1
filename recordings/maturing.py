"""The second certificate: once no copy is left to wait for, a final one follows the pending one, and both are kept."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from recordings.catalogue import Catalogue
from recordings.deletionstore import DeletionStore
from recordings.evidence import Case, Certifier, CopiesLeft, case_of, nothing_left
from recordings.parts import part_case
from recordings.rows import PartRow, RecordingRow
from recordings.wishes import issued_entry
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock
from telehealth.errors import Refusal
from telehealth.log import get_logger

_log = get_logger(__name__)
__all__ = ["CopiesLeft", "Maturing", "nothing_left"]


class Maturing:
    """Kept first, entered next, and noted; killed in between, the next run enters it (again)."""

    def __init__(
        self,
        catalogue: Catalogue,
        deletions: DeletionStore,
        certifier: Certifier,
        log: AuditLog,
        clock: Clock,
        copies_left: CopiesLeft,
    ) -> None:
        self._catalogue = catalogue
        self._deletions = deletions
        self._certifier = certifier
        self._log = log
        self._clock = clock
        certifier.copies_left = copies_left  # the first certificate is called final by the same look
        self._turn = asyncio.Lock()  # two sweeps do not sign the same successor

    async def mature(self) -> int:
        """Sign what is due; how many became final. One that cannot be signed now is logged and comes again.

        None is signed while a known backup of keys outlives its promise.
        """
        done = 0
        async with self._turn:
            now = self._clock.now()
            rows, parts = await self._deletions.maturing(now), await self._deletions.maturing_parts(now)
            if (rows or parts) and await self._certifier.copies_left():
                _log.error("certificate.not_final", code="backup_keys_over_age", count=len(rows) + len(parts))
                return 0
            for row in rows:
                done += await self._tried(row.id, partial(self._recording, row))
            for part in parts:
                done += await self._tried(part.recording, partial(self._part, part))
        return done

    async def _tried(self, recording: str, work: Callable[[], Awaitable[bool]]) -> bool:
        try:
            return await work()
        except Exception as fault:  # noqa: BLE001  # logged; the others go on
            is_foreseen = isinstance(fault, Refusal)
            code = fault.code if isinstance(fault, Refusal) else type(fault).__name__
            _log.error("certificate.not_final", recording=recording, code=code, exc_info=None if is_foreseen else fault)
            return False

    async def _recording(self, row: RecordingRow) -> bool:
        """Whether it is final, and entered, now."""
        final = row.final_certificate
        if final is None:
            case = case_of(row)
            issued = self._certifier.final(row.certificate or b"", case, self._log.head(), self._clock.now())
            if issued is None:
                later = self._certifier.effective_after(case.destroyed_at, row.effective_after)
                await self._catalogue.note(row.id, effective_after=later)
                return False
            final = issued.blob
            await self._deletions.finalised(row.id, final, issued.issued_at, issued.effective_after)
        index = await self._log.enter(issued_entry(row, final))
        await self._catalogue.note(row.id, final_entry=index)
        return True

    async def _part(self, part: PartRow) -> bool:
        final, row = part.final_certificate, await self._catalogue.recording(part.recording)
        if final is None:
            case: Case = part_case(part, row)
            issued = self._certifier.final(part.certificate or b"", case, self._log.head(), self._clock.now())
            if issued is None:
                later = self._certifier.effective_after(case.destroyed_at, part.effective_after)
                await self._deletions.note_part(part.id, effective_after=later)
                return False
            final = issued.blob
            await self._deletions.note_part(part.id, final_certificate=final, effective_after=issued.effective_after)
        entry = replace(issued_entry(row, final), subject=part.participant)
        await self._deletions.note_part(part.id, final_entry=await self._log.enter(entry))
        return True
