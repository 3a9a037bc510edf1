"""A dry run: what the rules would have said of the past days. Reads, and raises nothing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from telehealth.alerts.following import PAGE, MakesMemory, Reader, first_since
from telehealth.alerts.judging import Finding
from telehealth.alerts.memory import Memory
from telehealth.audit.leaf import Stored
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock

MOST_TRIED = 1_000_000  # entries
SAMPLES = 5  # of each rule


@dataclass(frozen=True, slots=True)
class Tried:
    """How often each rule would have fired, and its newest findings; `cut`: there were more entries than are read."""

    entries: int
    cut: bool
    fired: Mapping[str, int]
    samples: Mapping[str, Sequence[Finding]]


class Trying:
    """Habits are learned from the tried days alone, so a first country or device in them is not told."""

    def __init__(self, audit: AuditLog, clock: Clock, reader: Reader, memory: MakesMemory) -> None:
        self._audit = audit
        self._clock = clock
        self._reader = reader
        self._new_memory = memory

    async def run(self, days: int, only: str | None = None) -> Tried:
        """Memory stays bounded, whatever the number of entries. Raises OSError, ValueError for damaged files."""
        memory, size = self._new_memory(), self._audit.head().size
        at = await first_since(self._reader, self._clock.now() - timedelta(days=days), 0, size)
        first, cut = max(at, size - MOST_TRIED), size - at > MOST_TRIED
        fired, samples, at = Counter[str](), dict[str, list[Finding]](), first
        while at < size:
            page = await self._reader.page(at, min(PAGE, size - at))
            if not page:
                break
            await self._judge(memory, page, only, fired, samples)
            at = page[-1].index + 1
        return Tried(at - first, cut, dict(fired), samples)

    async def _judge(
        self,
        memory: Memory,
        page: Sequence[Stored],
        only: str | None,
        fired: Counter[str],
        samples: dict[str, list[Finding]],
    ) -> None:
        for fact in await self._reader.facts(page, memory):
            for found in memory.judge(fact):
                if only in (None, found.rule.name):
                    fired[found.rule.name] += 1
                    samples.setdefault(found.rule.name, []).append(found)
                    del samples[found.rule.name][:-SAMPLES]
        memory.taken()
