"""Writes tests/vectors/*.json of recordings and key buckets from fixed keys; run by hand when a format changes."""

import asyncio
import base64
import hashlib
import itertools
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recordings import framelog
from recordings.certificate import Certificate, DestroyedFile, DestroyedKey, ReadBack, ResidualCopy, issue
from recordings.envelope import SEALED_SEGMENT, SegmentWriter
from recordings.manifest import ClockEvidence, ConsentSpan, Gap, Manifest, Person, Source, Track
from telehealth.ids import Entropy
from telehealth.keys.file import FileProvider
from telehealth.keys.keyring import Keyring
from telehealth.keys.keystore import KeyStore
from telehealth.secret import Secret

RECORDING, FILE = "rec_" + "a2" * 13, "fil_" + "b7" * 13
VISIT, PATIENT, CLINICIAN = "vis_" + "c3" * 13, "par_" + "d4" * 13, "par_" + "e5" * 13
FOLDER = Path(__file__).parent.parent / "vectors"
CASES: dict[str, tuple[list[str], bool]] = {
    "one short segment": (["68656c6c6f"], True),
    "three segments": (["00" * 40, "ff" * 17, "61"], True),
    "an empty file": ([""], True),
    "an empty last segment": (["0102", ""], True),
    "interrupted after two": (["aa" * 5, "bb" * 6], False),
}
MANIFEST = Manifest(
    version=1,
    tool="telehealth 0.1.0",
    recording_id=RECORDING,
    visit_id=VISIT,
    started_at="2026-11-22T09:00:00.120Z",
    ended_at="2026-11-22T09:25:00.120Z",
    duration_ms=1_500_000,
    reason="consent withdrawn — نعم",
    interrupted=False,
    participants=(Person(PATIENT, "patient"), Person(CLINICIAN, "clinician")),
    consents=(
        ConsentSpan(PATIENT, "2026-11-22T08:59:58.000Z", "2026-11-22T09:25:00.100Z", "ab" * 32, "3"),
        ConsentSpan(CLINICIAN, "2026-11-22T08:59:59.000Z", None, "ab" * 32, "3"),
    ),
    tracks=(
        Track(
            file_id=FILE, participant_id=PATIENT, role="patient", sha256="cd" * 32, size=45_014_356,
            plain_size=45_000_480, segments=687, duration_ms=1_499_880, start_ms=120, codecs=("opus", "vp8"),
            width=640, height=480, audio_frames=74_994, video_frames=44_990, lost_audio=3, lost_video=1,
        ),
    ),
    gaps=(Gap(PATIENT, 60_000, 95_500, "paused"),),
    clocks=(ClockEvidence(PATIENT, 0, "sender_reports", 2990, 8_120),),
    sources=(
        Source("fil_" + "f6" * 13, PATIENT, 0, 5_900, 5_900, 0, True),
        Source("fil_" + "g7" * 13, CLINICIAN, 0, 0, None, 136, False),
    ),
)  # fmt: skip
CERTIFICATE = Certificate(
    version=2,
    certificate_id="crt_" + "h2" * 13,
    recording_id=RECORDING,
    scope="part",
    participant_id=PATIENT,
    visit_id=VISIT,
    subject_ids=(PATIENT,),
    files=(DestroyedFile(FILE, "track", "cd" * 32, 45_014_356),),
    keys=(DestroyedKey("bkt_" + "i3" * 13, "epoch-7", "epoch-8", (FILE,)),),
    method="cryptographic-erase, then ciphertext removed",
    assurance="software-keystore",
    tool="telehealth 0.1.0",
    asked_by="usr_" + "j4" * 13,
    asked_at="2026-11-22T09:40:00.000Z",
    approved_by="usr_" + "k5" * 13,
    executed_by="server",
    reason="patient_request",
    rule="visit: 2557 days, at least 0",
    hold_checked_at="2026-11-22T10:00:00.000Z",
    destroyed_at="2026-11-22T10:00:01.000Z",
    effective_after="2026-12-22T10:00:01.000Z",
    status="pending",
    previous_sha256=None,
    read_back=(ReadBack(FILE, "key_destroyed"),),
    residual=(
        ResidualCopy("backups of the key store", "keys", "2026-12-22T10:00:01.000Z"),
        ResidualCopy("backups and remnants of the recordings' disk", "ciphertext", None),
    ),
    audit_index=17,
    audit_size=18,
    audit_root="ef" * 32,
)


def made(name: str, segments: list[bytes], ended: bool) -> dict[str, Any]:
    """One envelope under a key and salt that follow from its name."""
    dek, salt = (hashlib.sha256(f"{what} {name}".encode()).digest() for what in ("dek", "salt"))
    writer = SegmentWriter(Secret(dek), RECORDING, FILE, lambda _n: salt)
    sealed = [writer.seal(plain, ended and index == len(segments) - 1) for index, plain in enumerate(segments)]
    file = base64.b64encode(writer.header + b"".join(sealed)).decode()
    return {
        "name": name, "recording_id": RECORDING, "file_id": FILE, "dek": dek.hex(), "salt": salt.hex(), "file": file,
    }  # fmt: skip


def envelopes() -> list[dict[str, Any]]:
    return [
        made(name, [bytes.fromhex(segment) for segment in segments], ended) | {"segments": segments, "ended": ended}
        for name, (segments, ended) in CASES.items()
    ]


def captures() -> list[dict[str, Any]]:
    """A leg's first part with every kind of record."""
    part: framelog.NoteContent = {
        "note": "part", "version": 1, "leg": 0, "part": 0, "wall": "2026-11-22T09:00:00.000Z",
    }  # fmt: skip
    gap: framelog.NoteContent = {"note": "gap", "from": 1_000_060_000, "to": 1_003_000_000, "reason": "paused"}
    first = [
        framelog.note(part, 1000.0),
        framelog.frame("audio", b"\xfc\x01\x02", 960, True, 1000.02),
        framelog.frame("video", bytes.fromhex("3000009d012a40014000f000"), -9000, True, 1000.03),
        framelog.report("audio", 960, (3_900_000_000 << 32) | 1, 1000.04),
    ]
    second = [
        framelog.report("video", -9000, 3_900_000_000 << 32, 1000.05),
        framelog.loss("audio", 2, 1000.05),
        framelog.loss("video", 1, 1000.06),
        framelog.note(gap, 1003.0),
        framelog.frame("video", b"\x11\x22", 2**40, False, 1003.0),
    ]
    case = made("a capture file", [b"".join(first), b"".join(second), b""], True)
    records = [
        {"what": 7, "flags": 0, "timestamp": 0, "arrived": 1_000_000_000, "payload": part},
        {"what": 1, "flags": 1, "timestamp": 960, "arrived": 1_000_020_000, "payload": "fc0102"},
        {"what": 2, "flags": 1, "timestamp": -9000, "arrived": 1_000_030_000, "payload": "3000009d012a40014000f000"},
        {"what": 3, "flags": 0, "timestamp": 960, "arrived": 1_000_040_000, "payload": (3_900_000_000 << 32) | 1},
        {"what": 4, "flags": 0, "timestamp": -9000, "arrived": 1_000_050_000, "payload": 3_900_000_000 << 32},
        {"what": 5, "flags": 0, "timestamp": 0, "arrived": 1_000_050_000, "payload": 2},
        {"what": 6, "flags": 0, "timestamp": 0, "arrived": 1_000_060_000, "payload": 1},
        {"what": 7, "flags": 0, "timestamp": 0, "arrived": 1_003_000_000, "payload": gap},
        {"what": 2, "flags": 0, "timestamp": 2**40, "arrived": 1_003_000_000, "payload": "1122"},
    ]
    return [case | {"records": records}]


def manifests() -> list[dict[str, Any]]:
    data = MANIFEST.encode()
    cuts = [data[at : at + SEALED_SEGMENT] for at in range(0, len(data), SEALED_SEGMENT)]
    return [made("a manifest", cuts, True) | {"manifest": json.loads(json.dumps(asdict(MANIFEST)))}]


def certificates() -> list[dict[str, Any]]:
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"certificate").digest())
    return [
        {
            "name": "a certificate",
            "public_key": key.public_key().public_bytes_raw().hex(),
            "document": issue(CERTIFICATE, key).decode(),
            "certificate": json.loads(json.dumps(asdict(CERTIFICATE))),
        }
    ]


class StillClock:
    """Always the same moment."""

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 9, tzinfo=UTC)

    def steady(self) -> float:
        return 0.0


def drawn(name: str) -> Entropy:
    """Bytes that follow from a name and from how often it was asked."""
    asked = itertools.count()
    return lambda size: hashlib.shake_256(f"{name} {next(asked)}".encode()).digest(size)


def key_house(folder: Path) -> tuple[FileProvider, Keyring, KeyStore]:
    """Provider, keyring and key store over this folder, not started; what they draw is always the same."""
    root = Secret(hashlib.sha256(b"root").digest())
    provider = FileProvider(folder / "provider", root, drawn("provider"))
    keyring = Keyring(folder / "keyring", provider, StillClock(), entropy=drawn("keyring"))
    store = KeyStore(folder / "store", provider, keyring, StillClock(), entropy=drawn("store"))
    return provider, keyring, store


async def _keys_made(folder: Path) -> list[dict[str, Any]]:
    """Keys of three files in one bucket."""
    provider, keyring, store = key_house(folder)
    for part in (provider, keyring, store):
        await part.start()
    keys = []
    for file_id in (FILE, "fil_" + "p2" * 13, "fil_" + "d3" * 13):
        key = await store.create(file_id, day=date(2026, 11, 22), retention_class="adult")
        wrapped = base64.b64encode(key.wrapped_share).decode()
        keys.append(
            {
                "file_id": file_id,
                "wrapping_key": key.wrapping_key,
                "wrapped_share": wrapped,
                "dek": key.dek.reveal().hex(),
            }
        )
    await store.close()
    return keys


def buckets() -> list[dict[str, Any]]:
    """A bucket on its third revision, and all that lies around it on disk with the provider `file`."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        keys = asyncio.run(_keys_made(folder))
        paths = sorted(path for path in folder.rglob("*.*") if path.is_file())
        files = {str(path.relative_to(folder)): base64.b64encode(path.read_bytes()).decode() for path in paths}
    root = hashlib.sha256(b"root").hexdigest()
    return [{"name": "a bucket of three shares", "root": root, "files": files, "keys": keys}]


VECTORS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "envelope": envelopes,
    "capture": captures,
    "manifest": manifests,
    "certificate": certificates,
    "bucket": buckets,
}


def kept(name: str) -> list[dict[str, Any]]:
    """The vectors as they lie on disk."""
    found: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return found


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, build in VECTORS.items():
        text = json.dumps(build(), indent=1, ensure_ascii=False) + "\n"
        (FOLDER / f"{name}.json").write_text(text, "utf-8")
