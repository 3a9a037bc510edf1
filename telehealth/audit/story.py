"""Entries as acts: what was meant and how it ended in one line, each act once. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from telehealth.audit.actions import Action
from telehealth.audit.entry import Outcome
from telehealth.audit.leaf import Stored

# Both rooms write these: who pressed, and what the recorder did.
_TWICE = {Action.RECORDING_PAUSE.value, Action.RECORDING_RESUME.value, Action.RECORDING_STOP.value}
_NEAR = timedelta(seconds=10)
# Kept for proofs and machines; a reader of a story would only be held up.
UNTOLD = frozenset({Action.RECORDING_PROGRESS.value, Action.MEDIA_LEG_OPEN.value, Action.MEDIA_LEG_CLOSE.value})


@dataclass(frozen=True, slots=True)
class Line:
    """One act. `indexes`: all its entries; `stored`: the one that says most."""

    stored: Stored
    indexes: tuple[int, ...]


def told(entries: Sequence[Stored]) -> list[Line]:
    """Acts in the order in which they began: intents with their outcomes, one line for what two rooms wrote."""
    return _once(_with_outcomes(sorted(entries, key=lambda stored: stored.index)))


def _with_outcomes(entries: Sequence[Stored]) -> list[Line]:
    lines: dict[int, Line] = {}
    for stored in entries:
        intent = stored.detail.get("intent")
        if stored.outcome != Outcome.INTENT and isinstance(intent, int) and intent in lines:
            begun = lines[intent]
            lines[intent] = Line(replace(stored, at=begun.stored.at), (*begun.indexes, stored.index))
        else:
            lines[stored.index] = Line(stored, (stored.index,))
    return list(lines.values())


def _once(lines: Sequence[Line]) -> list[Line]:
    """A person's press and the recorder's own entry about it become the person's line."""
    found: list[Line] = []
    for line in lines:
        twin = next((at for at in range(len(found)) if _twins(found[at].stored, line.stored)), None)
        if twin is None:
            found.append(line)
            continue
        persons = line if found[twin].stored.actor_kind == "system" else found[twin]
        found[twin] = Line(persons.stored, tuple(sorted({*found[twin].indexes, *line.indexes})))
    return found


def _twins(one: Stored, other: Stored) -> bool:
    return (
        one.action == other.action
        and one.action in _TWICE
        and one.recording == other.recording
        and (one.actor_kind == "system") != (other.actor_kind == "system")
        and abs(one.at - other.at) <= _NEAR
    )
