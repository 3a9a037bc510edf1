"""What a recording's row keeps for its manifest, so that a recovery knows as much as an orderly end."""

from collections.abc import Mapping, Sequence
from typing import Any

from recordings.manifest import ConsentSpan, Person
from recordings.ports import ConsentFact, Party
from recordings.rows import RecordingRow
from recordings.seal import SealOrder
from telehealth.clock import rfc3339


def begun(parties: Sequence[Party], purpose: str, consents: Sequence[ConsentFact]) -> dict[str, Any]:
    """The column `facts` of a new recording: ids, roles, times and hashes, never a name."""
    return {
        "purpose": purpose,
        "parties": [{"participant": party.participant, "role": party.role} for party in parties],
        "consents": [
            {
                "participant": fact.participant,
                "at": rfc3339(fact.at),
                "text_sha256": fact.text_sha256,
                "version": fact.version,
            }
            for fact in consents
        ],
        "cut": None,
        "until": None,
    }


def ended(facts: Mapping[str, Any], cut: float | None, until: str) -> dict[str, Any]:
    """The same after the end. `cut`: steady seconds of a withdrawal; `until`: when consent ended with it."""
    return {**facts, "cut": cut, "until": until if cut is not None else None}


def order(row: RecordingRow) -> SealOrder:
    """What sealing needs to know beyond the files."""
    facts = row.facts
    return SealOrder(
        recording_id=row.id,
        visit_id=row.visit,
        retention_class=row.retention_class,
        day=row.started_at.date(),
        participants=tuple(Person(party["participant"], party["role"]) for party in facts["parties"]),
        consents=tuple(
            ConsentSpan(fact["participant"], fact["at"], facts["until"], fact["text_sha256"], fact["version"])
            for fact in facts["consents"]
        ),
        captures=(),
        reason=row.stop_reason or "interrupted",
        interrupted=row.interrupted,
        started_at=row.started_at,
        ended_at=row.stopped_at,
        cut=facts["cut"],
    )
