"""What the key store hands out: new keys, evidence of destruction, how it stands."""

import datetime
from dataclasses import dataclass
from typing import NamedTuple

from telehealth.secret import Secret


@dataclass(frozen=True, slots=True)
class NewKey:
    """A file's key, and what the database keeps to find it again."""

    dek: Secret[bytes]
    wrapped_share: bytes
    wrapping_key: str
    bucket: str


class EpochChange(NamedTuple):
    """One bucket's part in a destruction. `new_epoch_key` is None when nothing was left to keep."""

    bucket: str
    old_epoch_key: str
    new_epoch_key: str | None


@dataclass(frozen=True, slots=True)
class Destruction:
    """Evidence for a certificate, the same again when asked again.

    `destroyed_at`: no share of `file_ids` opened from this moment on. `read_back`: how an attempt to open the old
    buckets ended. `unknown`: asked for, but neither here nor recorded as destroyed here; certify nothing about these.
    """

    file_ids: tuple[str, ...]
    buckets: tuple[EpochChange, ...]
    destroyed_at: datetime.datetime
    read_back: str
    provider: str
    assurance: str
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyStoreStatus:
    """`lost_buckets`: their epoch key is gone without a deletion; `stray_epoch_keys`: keys no bucket hangs on."""

    buckets: int
    shares: int
    held: int
    places: int
    epoch_keys: int
    lost_buckets: tuple[str, ...]
    stray_epoch_keys: tuple[str, ...]
    wrapping_key: str
    rotation_due: bool
    provider: str
    assurance: str
