"""All that destroys, put together: now and due, whole and part, and the certificates of both."""

from collections.abc import Awaitable, Callable

from recordings.catalogue import Catalogue
from recordings.claims import Claims
from recordings.deletion import Deletion
from recordings.deletionstore import DeletionStore
from recordings.erasing import Erasing
from recordings.evidence import Certifier
from recordings.holds import Holds
from recordings.manifest import Manifest
from recordings.maturing import CopiesLeft, Maturing
from recordings.parts import Parts
from recordings.playback import Playback
from recordings.requests import Quorum, Requests
from recordings.rows import RecordingRow
from recordings.rules import Rules
from recordings.sweeper import Sweeper
from recordings.vault.store import Vault
from recordings.views import Views
from telehealth.audit.log import AuditLog
from telehealth.clock import Clock
from telehealth.keys.fields import FieldCipher
from telehealth.keys.keystore import KeyStore


class Destroying:
    """Owns `deletion`, `parts`, the `sweeper` and `erasing`, the face of them all."""

    def __init__(
        self,
        catalogue: Catalogue,
        deletions: DeletionStore,
        keys: KeyStore,
        log: AuditLog,
        vault: Vault,
        playback: Playback,
        rules: Rules,
        holds: Holds,
        fields: FieldCipher,
        certifier: Certifier,
        clock: Clock,
        claims: Claims,
        manifest: Callable[[RecordingRow], Awaitable[Manifest]],
        quorum: Quorum,
        views: Views,
        *,
        two_people: bool,
        copies_left: CopiesLeft,
    ) -> None:
        common = (catalogue, deletions, keys, log, vault, playback, rules)
        self.deletion = Deletion(*common, fields, certifier, clock, claims)
        self.parts = Parts(*common, holds, fields, certifier, clock, claims, manifest)
        self._maturing = Maturing(catalogue, deletions, certifier, log, clock, copies_left)
        self.sweeper = Sweeper(catalogue, self.deletion, holds, self.parts, self._maturing, rules, log)
        requests = Requests(
            *(catalogue, deletions, self.deletion, self.parts, rules, quorum, log, fields, clock), two_people=two_people
        )
        self.erasing = Erasing(catalogue, deletions, requests, log, views)

    async def finish(self) -> int:
        """Go on with what a kill interrupted; how many were completed."""
        done = await self.parts.finish() + await self.deletion.finish()
        await self._maturing.mature()
        return done
