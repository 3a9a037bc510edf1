"""Identifying detail, sealed beside the log under a key per person that can be destroyed."""

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from telehealth.audit.faults import DetailBroken
from telehealth.audit.leaf import Pseudonyms, Stamped, Stored, canonical, key_subject
from telehealth.durable import private_folder, sync_folder
from telehealth.ids import Entropy
from telehealth.secret import Secret

_MAGIC = b"TADK1\n"
_KEY_AAD = b"telehealth audit detail key v1\n"
_TEXT_AAD = b"telehealth audit detail v1\n"
Blobs = Callable[[Iterable[int]], Iterator[tuple[int, bytes]]]


class DetailKeys(Protocol):
    """One 256-bit key for every person; `subject` names whose. All calls block, and raise OSError when out of reach."""

    def key(self, subject: str) -> Secret[bytes]:
        """The key, made if there is none. Raises DetailBroken if it was tampered with."""
        ...

    def find(self, subject: str) -> Secret[bytes] | None:
        """The key, or None if there is none or no more. Raises DetailBroken."""
        ...

    def destroy(self, subject: str) -> bool:
        """Make everything sealed for this person unreadable; whether there was a key."""
        ...


class FileDetailKeys:
    """Keys as small files under hashed names, each wrapped by one 32-byte key (AES-256-GCM)."""

    def __init__(self, folder: Path, wrapping_key: Secret[bytes]) -> None:
        self._folder = folder
        self._wrap = AESGCM(wrapping_key.reveal())

    def _path(self, subject: str) -> Path:
        name = hashlib.sha256(subject.encode()).hexdigest()
        return self._folder / f"{name[:2]}/{name}.key"

    def find(self, subject: str) -> Secret[bytes] | None:
        path = self._path(subject)
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return None
        if not any(raw):  # a destruction that broke off between overwriting and unlinking
            path.unlink(missing_ok=True)
            return None
        try:
            if not raw.startswith(_MAGIC):
                raise DetailBroken("not a detail key")
            nonce, wrapped = raw[len(_MAGIC) : len(_MAGIC) + 12], raw[len(_MAGIC) + 12 :]
            return Secret(self._wrap.decrypt(nonce, wrapped, _KEY_AAD + subject.encode()))
        except (InvalidTag, ValueError) as error:
            raise DetailBroken("a detail key that was changed") from error

    def key(self, subject: str) -> Secret[bytes]:
        while True:
            found = self.find(subject)
            if found is not None:
                return found
            self._make(subject)

    def _make(self, subject: str) -> None:
        """Whoever links the name first wins; the other's key is never used."""
        path = self._path(subject)
        if not path.parent.exists():
            private_folder(path.parent)
            sync_folder(self._folder)
        nonce = os.urandom(12)
        content = _MAGIC + nonce + self._wrap.encrypt(nonce, secrets.token_bytes(32), _KEY_AAD + subject.encode())
        temporary = path.with_name(f".{secrets.token_hex(8)}.new")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            os.write(handle, content)
            os.fsync(handle)
            path.hardlink_to(temporary)
        except FileExistsError:
            return
        finally:
            os.close(handle)
            temporary.unlink()
        sync_folder(path.parent)

    def destroy(self, subject: str) -> bool:
        """Overwrite, sync, unlink: what a file system or its backups still keep, only the wrapping key protects."""
        path = self._path(subject)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            os.pwrite(handle, bytes(os.fstat(handle).st_size), 0)
            os.fsync(handle)
        finally:
            os.close(handle)
        path.unlink(missing_ok=True)
        sync_folder(path.parent)
        return True


class Sealer:
    """Seals and opens private text: key id 8 ‖ nonce 12 ‖ AES-256-GCM; AAD = whose it is, and the leaf's nonce."""

    def __init__(self, keys: DetailKeys, pseudonyms: Pseudonyms, entropy: Entropy) -> None:
        self._keys = keys
        self._pseudonyms = pseudonyms
        self._entropy = entropy

    def seal(self, stamped: Stamped) -> bytes | None:
        """The blob, or None if there is nothing private. Raises OSError, DetailBroken."""
        entry = stamped.entry
        text = entry.private_text()
        if not text:
            return None
        patient = self._pseudonyms.patient(entry.patient) if entry.patient else None
        subject = key_subject(patient, entry.actor.kind, self._pseudonyms.actor(entry.actor))
        key = self._keys.key(subject).reveal()
        nonce = self._entropy(12)
        return _key_id(key) + nonce + AESGCM(key).encrypt(nonce, canonical(text), _aad(subject, stamped.nonce))

    def open(self, stored: Stored, blob: bytes) -> dict[str, str] | None:
        """The private text, or None once its key was destroyed. Raises DetailBroken if the blob is not the leaf's."""
        if hashlib.sha256(blob).hexdigest() != stored.sealed:
            raise DetailBroken("not what the leaf says")
        found = self._keys.find(stored.key_subject)
        if found is None or _key_id(found.reveal()) != blob[:8]:
            return None
        try:
            text = AESGCM(found.reveal()).decrypt(blob[8:20], blob[20:], _aad(stored.key_subject, stored.nonce))
        except InvalidTag as error:
            raise DetailBroken("sealed text that does not open") from error
        opened: dict[str, str] = json.loads(text)
        return opened

    def open_all(self, some: Sequence[Stored], blobs: Blobs) -> dict[int, dict[str, str]]:
        """The private texts by index, without those whose key was destroyed. Raises DetailBroken."""
        sealed = {stored.index: stored for stored in some if stored.sealed is not None}
        found = {index: self.open(sealed[index], blob) for index, blob in blobs(sealed)}
        if len(found) < len(sealed):
            raise DetailBroken("sealed detail is missing")
        return {index: text for index, text in found.items() if text is not None}

    def forget(self, patient: str) -> bool:
        """Destroy the patient's detail key; leaves and proofs stay valid."""
        return self._keys.destroy(key_subject(self._pseudonyms.patient(patient), "", ""))


def _aad(subject: str, nonce: str) -> bytes:
    return _TEXT_AAD + subject.encode() + b"\n" + nonce.encode()


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"telehealth audit detail key id\n" + key).digest()[:8]
