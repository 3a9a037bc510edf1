"""Proofs are right at every size, bad questions get coded answers, and evidence is checked by one file elsewhere."""

import asyncio
import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from audit_samples import ORIGIN, PUBLIC, SEED, OpenLog, an_entry
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from telehealth.audit import offline_verifier
from telehealth.audit.actions import Action
from telehealth.audit.anchors import Anchors
from telehealth.audit.bundle import SignedConsent, evidence, written
from telehealth.audit.faults import (
    CheckpointForged,
    CheckpointStale,
    EntryTooLarge,
    IndexOutOfRange,
    LogMismatch,
    SizeFromFuture,
    SizesReversed,
    TileBroken,
    TileUnknown,
    WrongOrigin,
)
from telehealth.audit.layout import leaf_records
from telehealth.audit.log import AuditLog
from telehealth.audit.logkeys import open_keys
from telehealth.audit.note import Checkpoint, NoteInvalid, Signer, open_checkpoint, verifier_key
from telehealth.audit.proofs import Proofs
from telehealth.audit.tree import CompactRange, leaf_hash, verify_consistency, verify_inclusion
from telehealth.audit.verify import verify_folder
from telehealth.clock import SystemClock
from telehealth.secret import Secret

KEY = verifier_key(ORIGIN, PUBLIC)
SECOND, THIRD = Secret(b"2" * 32), Secret(b"3" * 32)


async def filled(open_log: OpenLog, count: int = 9) -> AuditLog:
    log = await open_log()
    for number in range(count):
        await log.enter(an_entry(number))
    return log


async def test_proofs_hold_at_every_size(open_log: OpenLog) -> None:
    log = await filled(open_log)
    proofs = Proofs(log)
    for size in range(1, 10):
        for index in range(size):
            found = await proofs.inclusion(index, size)
            assert verify_inclusion(leaf_hash(found.leaf), index, size, found.proof, found.root)
        for old in range(size + 1):
            both = await proofs.consistency(old, size)
            assert verify_consistency(old, size, both.proof, both.old_root, both.new_root)
    assert open_checkpoint(proofs.checkpoint(), ORIGIN, PUBLIC) == log.head()
    assert (await proofs.inclusion(8)).root == log.head().root


async def test_bad_questions_get_coded_answers_and_write_nothing(open_log: OpenLog) -> None:
    log = await filled(open_log)
    proofs, before = Proofs(log), log.head()
    for index, size in ((9, 9), (-1, 9), (0, 0), (5, 5)):
        with pytest.raises(IndexOutOfRange):
            await proofs.inclusion(index, size)
    for size in (10, 2**63 - 1, -1):
        with pytest.raises(SizeFromFuture):
            await proofs.inclusion(0, size)
        with pytest.raises(SizeFromFuture):
            await proofs.consistency(0, size)
    with pytest.raises(SizesReversed):
        await proofs.consistency(5, 4)
    for path in ("tile/0/000", "tile/0/000.p/10", "tile/1/000.p/1", "tile/6/000", "tile/0/0", "../checkpoint", ""):
        with pytest.raises(TileUnknown):
            proofs.tile_name(path)
    with pytest.raises(EntryTooLarge):
        an_entry(private={f"field_{number}": "\U0001f600" * 512 for number in range(8)})
    assert log.head() == before


async def test_tiles_and_bundles_are_served_before_and_after_they_are_published(open_log: OpenLog) -> None:
    log = await filled(open_log)
    proofs = Proofs(log)
    before = [await proofs.tile(proofs.tile_name(f"tile/{level}/000.p/9")) for level in ("0", "entries")]
    await Anchors(log, [], SystemClock(), lambda _: None).tick()
    assert before == [await proofs.tile(proofs.tile_name(f"tile/{level}/000.p/9")) for level in ("0", "entries")]
    leaves, _ = leaf_records(before[1])
    assert before[0] == b"".join(leaf_hash(leaf) for leaf in leaves)


async def test_broken_files_give_a_coded_answer_and_no_proof(open_log: OpenLog, tmp_path: Path) -> None:
    log = await filled(open_log)
    path = tmp_path / "audit" / "leaves" / f"{0:012}.leaves"
    path.write_bytes(path.read_bytes()[:200])
    for question in (Proofs(log).inclusion(3), Proofs(log).consistency(3)):
        with pytest.raises(TileBroken):
            await question
    name = Proofs(log).tile_name("tile/entries/000.p/9")
    with pytest.raises(TileBroken):
        await Proofs(log).tile(name)


async def test_checkpoints_from_outside_are_judged(open_log: OpenLog) -> None:
    log = await filled(open_log)
    proofs, note = Proofs(log), log.signed().note
    old = log.head()
    assert await proofs.check(note, old) == old
    await log.enter(an_entry(9))
    assert await proofs.check(note) == old
    with pytest.raises(CheckpointStale):
        await proofs.check(note, log.head())
    with pytest.raises(WrongOrigin):
        await proofs.check(Signer("other.example", SEED).checkpoint(3, bytes(32)))
    for forged in (
        b"not a note",
        Signer(ORIGIN, Secret(b"x" * 32)).checkpoint(3, bytes(32)),
        Signer(ORIGIN, SEED).checkpoint(3, bytes(32)),
    ):
        with pytest.raises(CheckpointForged):
            await proofs.check(forged)
    with pytest.raises(SizeFromFuture):
        await proofs.check(Signer(ORIGIN, SEED).checkpoint(99, bytes(32)))


async def test_a_new_signing_key_leaves_old_checkpoints_verifiable(open_log: OpenLog, tmp_path: Path) -> None:
    log = await filled(open_log, 3)
    first = log.signed()
    await log.rotate(SECOND)
    await log.enter(an_entry(3))
    await log.rotate(THIRD)
    await log.enter(an_entry(4))
    for note in (first.note, log.signed().note):
        assert (await Proofs(log).check(note)).size in (3, 5)
    await log.close()
    with pytest.raises(LogMismatch, match="key_retired"):
        await open_log()
    again = await open_log(signing_key=THIRD)
    await again.enter(an_entry(5))
    await again.close()
    for key in (SEED, SECOND, THIRD):
        public = Signer(ORIGIN, key).public_key
        verdict = await asyncio.to_thread(verify_folder, tmp_path / "audit", public, ORIGIN, kept=[first.note])
        assert (verdict.ok, verdict.size) == (True, 6)
    with pytest.raises(NoteInvalid):
        open_keys((tmp_path / "audit" / "keys").read_bytes(), ORIGIN, bytes(32))


async def test_a_retired_key_signs_no_newer_head(open_log: OpenLog, tmp_path: Path) -> None:
    log = await filled(open_log, 3)
    await log.rotate(SECOND)
    await log.enter(an_entry(3))
    await log.close()
    head = log.head()
    folder = tmp_path / "audit"
    (folder / "checkpoint").write_bytes(Signer(ORIGIN, SEED).checkpoint(head.size, head.root))
    verdict = await asyncio.to_thread(verify_folder, folder, PUBLIC, ORIGIN)
    assert [problem.code for problem in verdict.problems] == ["head_not_ours"]


async def test_a_key_list_with_a_strangers_key_is_refused(open_log: OpenLog, tmp_path: Path) -> None:
    log = await filled(open_log, 3)
    stranger = Signer(ORIGIN, Secret(b"x" * 32))
    forged = log.keys.followed_by(Signer(ORIGIN, SEED), stranger, 3)
    text = forged.note(stranger).decode()
    endorsement = forged.keys[1].endorsement
    other = base64.b64encode(stranger.sign_raw(b"anything")).decode()
    body = text.replace(endorsement, other).rpartition("\n\n")[0] + "\n"
    with pytest.raises(NoteInvalid):
        open_keys(stranger.sign(body), ORIGIN, PUBLIC)
    assert open_keys(text.encode(), ORIGIN, PUBLIC).newest == stranger.public_key  # with the old key, it may be done


def signed_consent(visit: str, key: ec.EllipticCurvePrivateKey) -> tuple[SignedConsent, str]:
    numbers = key.public_key().public_numbers()
    jwk = {"crv": "P-256", "kty": "EC"} | {
        name: base64.urlsafe_b64encode(value.to_bytes(32)).rstrip(b"=").decode()
        for name, value in (("x", numbers.x), ("y", numbers.y))
    }
    digest = sha256(json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()).digest()
    receipt = {"answer": "yes", "visit": visit, "sha256": "ab" * 32, "version": "1", "language": "en"}
    text = json.dumps(receipt, sort_keys=True, separators=(",", ":"))
    r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(SHA256())))
    raw = r.to_bytes(32) + s.to_bytes(32)
    return SignedConsent(text, raw, jwk), base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def a_certificate(signer: Ed25519PrivateKey, recording: str, index: int, head: Checkpoint) -> Mapping[str, Any]:
    body = {
        "version": 2,
        "recording_id": recording,
        "destroyed_at": "2031-05-06T07:08:09.000Z",
        "status": "final",
        "assurance": "software-keystore",
        "audit_index": index,
        "audit_size": head.size,
        "audit_root": head.root.hex(),
    }
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    signature = signer.sign(b"telehealth deletion certificate v2\n" + canonical)
    return {"certificate": body, "signature": base64.b64encode(signature).decode()}


@pytest.fixture
async def whole(open_log: OpenLog) -> tuple[dict[str, Any], str, bytes]:
    """A bundle with entries, a consent, a certificate; its certificate key; an older checkpoint."""
    log, browser, issuer = (
        await filled(open_log, 3),
        ec.generate_private_key(ec.SECP256R1()),
        Ed25519PrivateKey.generate(),
    )
    kept = log.signed()
    consent, thumbprint = signed_consent("vis_x", browser)
    await log.enter(an_entry(action=Action.JOIN, visit="vis_x", detail={"key": thumbprint}))
    await log.enter(an_entry(action=Action.CONSENT_ANSWER, visit="vis_x", detail={"text": "ab" * 32, "answer": "yes"}))
    deleted = await log.enter(an_entry(action=Action.RECORDING_DELETE, recording="rec_x"))
    certificate = a_certificate(issuer, "rec_x", deleted, log.head())
    await log.enter(an_entry(7))
    bundle = await evidence(log, [0, 3, 4, deleted], since=[3], consents=[consent], certificate=certificate)
    return bundle, base64.b64encode(issuer.public_key().public_bytes_raw()).decode(), kept.note


def judged(bundle: Mapping[str, Any], certificate_key: str, *kept: bytes) -> list[str]:
    checked = offline_verifier.Bundle(bundle, KEY, base64.b64decode(certificate_key) or None)
    return [line for good, line in checked.findings([note.decode() for note in kept]) if not good]


async def test_the_offline_verifier_runs_alone_from_a_copied_file(
    whole: tuple[dict[str, Any], str, bytes], tmp_path: Path
) -> None:
    bundle, certificate_key, kept = whole
    alone = tmp_path / "elsewhere"
    alone.mkdir()
    shutil.copy(offline_verifier.__file__, alone / "verifier.py")
    (alone / "bundle.json").write_text(written(bundle))
    (alone / "kept").write_bytes(kept)
    words = ["verifier.py", "bundle.json", "--key", KEY, "--certificate-key", certificate_key, "--checkpoint", "kept"]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-I", *words], cwd=alone, capture_output=True, text=True, check=False)

    done = await asyncio.to_thread(run, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok   ") == 8
    (alone / "bundle.json").write_text(written(bundle).replace("consent.answer", "consent.refuse"))
    done = await asyncio.to_thread(run, *words)
    assert done.returncode == 1
    assert "BAD" in done.stdout
    (alone / "bundle.json").write_text("{")
    assert (await asyncio.to_thread(run, *words)).returncode == 1


async def test_every_changed_part_of_the_evidence_is_named(whole: tuple[dict[str, Any], str, bytes]) -> None:
    bundle, certificate_key, kept = whole
    assert judged(bundle, certificate_key, kept) == []
    changed = json.loads(json.dumps(bundle))
    changed["entries"][0]["leaf"] = changed["entries"][0]["leaf"].replace("playback", "plaiback")
    assert [line.split(":")[0] for line in judged(changed, certificate_key)] == ["entry 0"]
    changed = json.loads(json.dumps(bundle))
    changed["consents"][0]["receipt"] = changed["consents"][0]["receipt"].replace("yes", "noo")
    assert [line.split(":")[0] for line in judged(changed, certificate_key)] == ["consent"]
    changed = json.loads(json.dumps(bundle))
    changed["certificate"]["certificate"]["status"] = "pending"
    assert [line.split(":")[0] for line in judged(changed, certificate_key)] == ["certificate"]
    changed = json.loads(json.dumps(bundle))
    del changed["entries"][1]
    assert judged(changed, certificate_key) == ["consent: no entry of a join holds the key that signed"]
    tree = CompactRange()
    for number in range(3):
        tree.append(leaf_hash(b"%d" % number))
    other = Signer(ORIGIN, SEED).checkpoint(3, tree.root())
    assert judged(bundle, certificate_key, other) == ["kept checkpoint: another history"]
    with pytest.raises(offline_verifier.Unsound):
        judged({**bundle, "checkpoint": Signer(ORIGIN, Secret(b"x" * 32)).checkpoint(7, bytes(32)).decode()}, "")


async def test_evidence_survives_a_new_signing_key(open_log: OpenLog) -> None:
    log = await filled(open_log, 3)
    kept = log.signed().note
    await log.rotate(SECOND)
    await log.enter(an_entry(3))
    bundle = await evidence(log, [0, 3], since=[3])
    assert judged(bundle, "", kept) == []
    with pytest.raises(IndexOutOfRange):
        await evidence(log, [4])
    with pytest.raises(SizeFromFuture):
        await evidence(log, [0], since=[5])
