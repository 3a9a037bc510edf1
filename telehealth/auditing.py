"""The audit log as the configuration wants it: its keys, its anchors, and the hand-over to a new signing key."""

import asyncio
import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from telehealth.audit.actions import Action
from telehealth.audit.anchor_bucket import LockedBucket
from telehealth.audit.anchoring import LockedPlace, PathPlace, Place, SyslogPlace
from telehealth.audit.anchors import Anchors
from telehealth.audit.details import FileDetailKeys
from telehealth.audit.entry import Actor, Entry, Outcome
from telehealth.audit.files import Disk
from telehealth.audit.layout import Layout
from telehealth.audit.log import AuditLog, log_alarm
from telehealth.audit.logkeys import LogKeys
from telehealth.audit.note import Checkpoint, NoteInvalid, verifier_key
from telehealth.audit.verify import folder_keys
from telehealth.audit.witness import Witness
from telehealth.audit.writer import Alarm
from telehealth.clock import Clock
from telehealth.config import Config, read_secret
from telehealth.durable import private_folder
from telehealth.keys.keyring import Keyring
from telehealth.log import get_logger
from telehealth.nodes.folder import log_name
from telehealth.secret import Secret
from telehealth.syslog import Address

log = get_logger(__name__)
_LETTERS = "abcdefghij"


def _purpose(node: str) -> str:
    """Every server among several has a log, and signing keys, of its own."""
    return f"node-{node}-audit-signing" if node else "audit-signing"


async def log_verifier(keyring: Keyring, node: str = "") -> tuple[str, bytes, str]:
    """The log's name, its first public key, and both in the line that C2SP tools read; later keys follow from it.

    `node`: of the server among several whose log it is (`log_name`).
    """
    seed = await keyring.secret(_purpose(node))
    public = Ed25519PrivateKey.from_private_bytes(seed.reveal()).public_key().public_bytes_raw()
    name = f"telehealth-{hashlib.sha256(public).hexdigest()[:16]}"
    return name, public, verifier_key(name, public)


async def open_log(config: Config, keyring: Keyring, clock: Clock, alarm: Alarm = log_alarm) -> AuditLog:
    """Raises LogMismatch, also when a checkpoint kept in a folder elsewhere is not the log's; OSError."""
    node = await asyncio.to_thread(log_name, config.places.audit)
    name, public, _ = await log_verifier(keyring, node)
    folder = await asyncio.to_thread(private_folder, config.places.keys / "details")
    details = FileDetailKeys(folder, await keyring.secret("audit-details"))
    generation = await asyncio.to_thread(_generation, config.places.audit)
    return await AuditLog.open(
        config.places.audit,
        signing_key=await _signing_key(keyring, node, generation),
        pseudonym_key=await keyring.secret("audit-pseudonyms"),
        detail_keys=details,
        clock=clock,
        origin=name,
        at_least=await asyncio.to_thread(_anchored, config, name, public, clock, alarm),
        on_alarm=alarm,
    )


async def rotate_signing_key(config: Config, keyring: Keyring, audit: AuditLog, actor: Actor) -> LogKeys:
    """Sign with a new key from now on. Raises LogUnavailable, LogMismatch, OSError."""
    generation = await asyncio.to_thread(_generation, config.places.audit) + 1
    node = await asyncio.to_thread(log_name, config.places.audit)
    new_key = await _signing_key(keyring, node, generation)
    async with audit.act(
        Entry(Action.KEYS_ROTATE, Outcome.INTENT, actor, detail={"key": "audit-signing", "generation": generation})
    ):
        return await audit.rotate(new_key)


def anchors_of(config: Config, audit: AuditLog, clock: Clock, alarm: Alarm = log_alarm) -> Anchors:
    """All configured places; recordings rest on them. Reads secret files. Raises ConfigRefused."""
    section = config.audit
    places: list[Place] = [PathPlace(path, clock) for path in section.anchor_paths]
    if section.anchor_syslog:
        places.append(SyslogPlace(Address(section.anchor_syslog, section.anchor_syslog_ca_file), clock))
    if section.anchor_bucket:
        store = LockedBucket(
            section.anchor_bucket,
            section.anchor_region,
            section.anchor_endpoint,
            _secret(section.anchor_access_key_file),
            _secret(section.anchor_secret_key_file),
        )
        places.append(LockedPlace(store, section.anchor_prefix, section.anchor_lock_days, clock))
    if section.witness_url:
        places.append(Witness(audit, section.witness_url, section.witness, config.places.audit / "checkpoint.cosigned"))
    anchors = Anchors(
        audit,
        places,
        clock,
        alarm,
        every=section.publish_seconds,
        closed_after=section.closed_after_seconds,
    )
    audit.rest_on(anchors.fresh)
    return anchors


def _secret(path: Path | None) -> Secret[str] | None:
    return read_secret(path) if path is not None else None


def _generation(folder: Path) -> int:
    """How many signing keys the log has had; only tells which one to bring, the log checks it."""
    try:
        return max(1, (folder / "keys").read_text("utf-8").partition("\n\n")[0].count("\n") - 1)
    except (FileNotFoundError, UnicodeDecodeError):
        return 1


async def _signing_key(keyring: Keyring, node: str, generation: int) -> Secret[bytes]:
    if generation == 1:
        return await keyring.secret(_purpose(node))
    tens, ones = divmod(generation, 10)
    return await keyring.secret(f"{_purpose(node)}-{_LETTERS[tens]}{_LETTERS[ones]}")


def _anchored(config: Config, name: str, public: bytes, clock: Clock, alarm: Alarm) -> Checkpoint | None:
    """The newest checkpoint in the folders elsewhere, as far as they can be reached."""
    found: list[Checkpoint] = []
    for path in config.audit.anchor_paths:
        try:
            note = PathPlace(path, clock).newest()
            if note is not None:
                found.append(folder_keys(Layout(config.places.audit), Disk(), public, name).open(note))
        except (OSError, NoteInvalid) as error:
            log.error("audit.anchor_unreadable", code=type(error).__name__)
            alarm("audit.anchor_unreadable")
    return max(found, key=lambda head: head.size, default=None)
