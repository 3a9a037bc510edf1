"""People of one name told apart: whose report, whose recordings. The log knows each by a keyed hash of who it is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import or_, select

from telehealth.audit.log import AuditLog
from telehealth.audit.reading import EntryFilter
from telehealth.keys.fields import FieldCipher
from telehealth.store.engine import Store
from telehealth.store.tables import visits
from telehealth.visits.rows import Patient

MOST = 200  # people of one name that are listed


@dataclass(frozen=True, slots=True)
class Namesake:
    """One person as visits know them. `key`: keyed hash, 64 hex digits; `last`: of their latest visit."""

    key: str
    birth_date: str | None
    record: str | None
    visits: int = 0


class Namesakes:
    """Looks people up; whoever asks has entered it first."""

    def __init__(self, store: Store, cipher: FieldCipher, log: AuditLog) -> None:
        self._store = store
        self._cipher = cipher
        self._log = log

    def asked(self, name: str | None, birth_date: str | None = None, record: str | None = None) -> Namesake:
        """Who would be meant by just this, whether or not a visit knows them."""
        patient = Patient(name or "", None, birth_date, record)
        key = self._cipher.lookup("patient", patient.identity).hex()
        return Namesake(key, None if record else birth_date, record)

    async def find(
        self, name: str | None, birth_date: str | None = None, record: str | None = None
    ) -> tuple[Namesake, ...]:
        """All who fit, most visits first, one at least.

        Whoever was asked for is among them with 0 visits if the log alone knows them: it outlives visits.
        """
        meant = self.asked(name, birth_date, record)
        fit = {
            key: one
            for key, one in (await self._known(name, meant.key)).items()
            if birth_date in (None, one.birth_date) and record in (None, one.record)
        }
        if not fit or (meant.key not in fit and await self._is_logged(meant.key)):
            fit[meant.key] = meant
        return tuple(sorted(fit.values(), key=lambda one: (-one.visits, one.key)))

    async def _known(self, name: str | None, key: str) -> Mapping[str, Namesake]:
        """By key; what is told of each is from the latest visit that says it."""
        columns = visits.c
        meant = columns.patient_lookup == bytes.fromhex(key)
        if name is not None:
            meant = or_(meant, columns.name_lookup == self._cipher.lookup("patient", name))
        wanted = (columns.id, columns.patient_lookup, columns.scheduled_at)
        query = select(*wanted, columns.patient_birth_sealed, columns.patient_record_sealed).where(meant)
        found: dict[str, Namesake] = {}
        async with self._store.read() as connection:
            for row in await connection.execute(query.order_by(columns.scheduled_at.desc())):
                known = found.get(row.patient_lookup.hex())
                if known is None and len(found) == MOST:
                    continue
                known = known or Namesake(row.patient_lookup.hex(), None, self._text("patient_record_sealed", row))
                born = known.birth_date or self._text("patient_birth_sealed", row)
                found[known.key] = replace(known, birth_date=born, visits=known.visits + 1)
        return found

    async def _is_logged(self, key: str) -> bool:
        return bool(await self._log.entries(limit=1, only=EntryFilter(patient=key)))

    def _text(self, column: str, row: Any) -> str | None:
        sealed = getattr(row, column)
        return None if sealed is None else self._cipher.open(sealed, table="visits", column=column, row=row.id)
