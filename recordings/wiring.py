"""The recordings room put together: which part knows which. What it does with them is in `service`."""

import asyncio

from recordings.capture import Rhythm
from recordings.catalogue import Catalogue
from recordings.claims import Claims
from recordings.deletionstore import DeletionStore
from recordings.destroying import Destroying
from recordings.evidence import Certifier, CopyAges
from recordings.export.exports import Exports
from recordings.holds import Holds
from recordings.maturing import CopiesLeft, nothing_left
from recordings.playback import Playback
from recordings.recorder import Recorder
from recordings.requests import Alone, Quorum
from recordings.rounds import Rounds
from recordings.rules import Rules
from recordings.scrub import Scrub
from recordings.sealer import Sealer
from recordings.settings import Settings
from recordings.tasks import Tasks
from recordings.tenurestore import TenureStore
from recordings.vault.store import Vault
from recordings.views import NamesOf, Views
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock
from telehealth.keys.fields import FieldCipher
from telehealth.keys.keystore import KeyStore
from telehealth.secret import Secret
from telehealth.store.engine import Store


class Wired:
    """Makes and holds the parts; does nothing with them."""

    def __init__(
        self,
        *,
        store: Store,
        keys: KeyStore,
        log: AuditLog,
        vault: Vault,
        fields: FieldCipher,
        certificate_key: Secret[bytes],
        clock: Clock,
        settings: Settings,
        names_of: NamesOf,
        quorum: Quorum | None = None,
        copies_left: CopiesLeft = nothing_left,
    ) -> None:
        self._settings = settings
        self._log = log
        self._clock = clock
        self._vault = vault
        self._keys = keys
        claims = Claims()
        self._tenure = tenure = TenureStore(store)
        self._tasks = Tasks()
        self._rounds = Rounds()
        self._ticker: asyncio.Task[None] | None = None
        self._finishing: asyncio.Task[int] | None = None
        self.catalogue = Catalogue(store)
        self._certifier = Certifier(certificate_key, CopyAges(settings.backup_days, settings.provider_days))
        self._rules = Rules(self.catalogue, log, clock, settings.rule)
        self._holds = Holds(self.catalogue, keys, log, fields, clock)
        deletions = DeletionStore(store, lambda: tenure.node)
        self._views = Views(self.catalogue, deletions, self._rules, self._holds, names_of, fields, clock)
        self._playback = Playback(self.catalogue, keys, log, vault, clock, settings.grant_seconds)
        self._sealer = Sealer(self.catalogue, keys, log, vault, self._holds, claims, tenure, self._tasks, clock)
        rhythm = Rhythm(flush=settings.flush_seconds, least_free=settings.least_free_bytes)
        sealer = self._sealer
        self._recorder = Recorder(self.catalogue, keys, log, vault, sealer, claims, tenure, self._tasks, clock, rhythm)
        self._destroying = Destroying(
            *(self.catalogue, deletions, keys, log, vault, self._playback, self._rules, self._holds, fields),
            *(self._certifier, clock, claims, self._sealer.manifest, quorum or Alone(), self._views),
            two_people=settings.two_people,
            copies_left=copies_left,
        )
        self.erasing = self._destroying.erasing
        self.exports = Exports(
            catalogue=self.catalogue,
            sealer=self._sealer,
            keys=keys,
            log=log,
            vault=vault,
            fields=fields,
            clock=clock,
            store=store,
            settings=settings.export,
        )
        self._playback.also_end(self.exports.end_all)
        self.scrub = Scrub(self.catalogue, keys, log, vault, clock, self._rounds, settings.scrub_days)
