"""The marker of a vault's folder: a disk that is not mounted, or another one, is noticed before anything trusts it.

One random id lies in the folder (`vault.id`), the same beside the keys. A folder without it looks empty, and an empty
folder would be taken for recordings that stored nothing.
"""

import os
from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

from recordings.vault.store import VaultFailed
from telehealth.durable import private_folder, write_whole
from telehealth.ids import Entropy
from telehealth.log import get_logger

MARKER = "vault.id"
_OCTETS = 16
_log = get_logger(__name__)


class VaultAway(VaultFailed):
    """The vault's folder is not the one that was written to: not mounted, or another disk."""

    code: ClassVar[str] = "vault_away"
    message = "The folder of recordings is not the one this server writes to. Its disk may not be mounted."


class Home:
    """The marker in `folder` and its counterpart `kept` elsewhere. Everything blocks and raises OSError."""

    def __init__(self, folder: Path, kept: Path) -> None:
        self._marker = folder / MARKER
        self._kept = kept

    def is_kept(self) -> bool:
        """Whether an id is kept, so that the folder is known by its marker alone."""
        return _read(self._kept) is not None

    def check(self) -> None:
        """Raises VaultAway."""
        kept = _read(self._kept)
        if kept is None or _read(self._marker) != kept:
            raise VaultAway

    def settle(self, known: Collection[str], entropy: Entropy = os.urandom) -> bool:
        """At a start: take the folder where no id is kept yet; whether it is ours.

        Without a kept id (a first start, or keys from a copy without it) it is ours if there is nothing it should
        hold (`known` names), or some of that is there. The marker comes first: killed in between, this repeats.
        """
        if not self.is_kept() and self._holds(known):
            private_folder(self._marker.parent)
            found = _read(self._marker) or entropy(_OCTETS).hex()
            write_whole(self._marker, found.encode())
            write_whole(self._kept, found.encode())
        try:
            self.check()
        except VaultAway as away:
            _log.error("alarm.vault_away", code=away.code)
            return False
        return True

    def move_in(self) -> None:
        """The folder takes the place of the one that was, after a restore; nothing without a kept id."""
        if kept := _read(self._kept):
            write_whole(self._marker, kept.encode())

    def _holds(self, known: Collection[str]) -> bool:
        folder = self._marker.parent
        return not known or (folder.is_dir() and not set(known).isdisjoint(os.listdir(folder)))


def _read(path: Path) -> str | None:
    """The id in a file, None where there is none."""
    try:
        return path.read_text("ascii").strip() or None
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        return ""
