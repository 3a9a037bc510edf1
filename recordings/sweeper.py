"""The regular round: what is due goes, what began is finished, what does not fit together is reported."""

from dataclasses import dataclass, field
from datetime import datetime

from recordings import retention
from recordings.catalogue import Catalogue
from recordings.deletion import MOST_AT_ONCE, Deletion, Wish
from recordings.holds import Holds
from recordings.retention import Rule
from recordings.rows import RecordingRow
from recordings.rules import Rules, subject
from recordings.states import State
from recordings.vault.store import Vault
from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Code, Entry, Outcome
from telehealth.audit.log import AuditLog
from telehealth.errors import Refusal
from telehealth.keys.keystore import KeyStore
from telehealth.log import get_logger

_log = get_logger(__name__)
_LIVING = tuple(state for state in State if state not in (State.DELETING, State.DELETED))


@dataclass(frozen=True, slots=True)
class Discord:
    """What store, catalogue and keys disagree about, by file id; nothing of it is deleted by itself."""

    files_without_row: frozenset[str] = frozenset()
    rows_without_file: frozenset[str] = frozenset()
    shares_without_row: frozenset[str] = frozenset()
    rows_without_share: frozenset[str] = frozenset()

    def __and__(self, other: "Discord") -> "Discord":
        """What both looks found."""
        return Discord(
            self.files_without_row & other.files_without_row,
            self.rows_without_file & other.rows_without_file,
            self.shares_without_row & other.shares_without_row,
            self.rows_without_share & other.rows_without_share,
        )

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind there are, kinds without any left out."""
        found = {name: len(getattr(self, name)) for name in self.__slots__}
        return {name: count for name, count in found.items() if count}


@dataclass(slots=True)
class Report:
    """What one sweep did. `deleted` recordings, `held_back` by a hold, `left` for the next round after a refusal."""

    deleted: int = 0
    held_back: int = 0
    left: int = 0
    discord: Discord = field(default_factory=Discord)


class Sweeper:
    """One sweep at a time; its owner calls it."""

    def __init__(
        self,
        catalogue: Catalogue,
        deletion: Deletion,
        holds: Holds,
        rules: Rules,
        keys: KeyStore,
        vault: Vault,
        log: AuditLog,
    ) -> None:
        self._catalogue = catalogue
        self._deletion = deletion
        self._holds = holds
        self._rules = rules
        self._keys = keys
        self._vault = vault
        self._log = log

    async def sweep(self, now: datetime) -> Report:
        """Destroy what is due at `now`, in every state; held ones stay. Raises what the database refuses with."""
        report = Report()
        await self._holds.follow_all()
        report.deleted += await self._deletion.finish()
        rule_of = await self._rules.in_force()
        begun: list[str] = []
        after = ""
        while page := await self._catalogue.in_states(_LIVING, after):
            after = page[-1].id
            for row in page:
                if await self._begun(row, rule_of(row), now, report):
                    begun.append(row.id)
                if len(begun) == MOST_AT_ONCE:
                    report.deleted += await self._deletion.finish()
                    begun.clear()
        if begun:
            report.deleted += await self._deletion.finish()
        report.discord = await self._discord()
        await self._enter(report)
        return report

    async def _begun(self, row: RecordingRow, rule: Rule, now: datetime, report: Report) -> bool:
        match retention.verdict(subject(row), rule, now):
            case retention.Due():
                pass
            case retention.HeldBack():
                report.held_back += 1
                return False
            case _:
                return False
        try:
            await self._deletion.begin(row, Wish(SYSTEM, "retention"))
        except Refusal as refusal:
            report.left += 1
            _log.warning("sweep.left", recording=row.id, code=refusal.code)
            return False
        return True

    async def _discord(self) -> Discord:
        """Two looks, so that a file on its way in or out is not taken for an orphan."""
        first = await self._look()
        return first & await self._look() if first.counts else first

    async def _look(self) -> Discord:
        on_disk = {name.partition(".")[0] for name in await self._vault.list()}
        shares = await self._keys.file_ids()
        rows = await self._catalogue.inventory()
        known = {row.id for row in rows}
        kept = {row.id: row for row in rows if row.recording_state != State.DELETING}
        return Discord(
            files_without_row=frozenset(on_disk - known),
            rows_without_file=frozenset(id_ for id_, row in kept.items() if row.state == "sealed") - on_disk,
            shares_without_row=shares - known,
            rows_without_share=frozenset(kept.keys() - shares),
        )

    async def _enter(self, report: Report) -> None:
        counts: dict[str, Code] = {"deleted": report.deleted, "held_back": report.held_back, "left": report.left}
        discord = report.discord.counts
        if not any(counts.values()) and not discord:
            return
        for kind, count in discord.items():
            _log.error("recordings.discord", kind=kind, count=count)
        outcome = Outcome.FAILED if discord or report.left else Outcome.DONE
        await self._log.enter_closing(Entry(Action.RETENTION_SWEEP, outcome, SYSTEM, detail={**counts, **discord}))
