"""A certificate says what was destroyed, and no changed one passes."""

import base64
import dataclasses
import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from recordings.certificate import (
    Certificate,
    CertificateRefused,
    DestroyedFile,
    DestroyedKey,
    ReadBack,
    ResidualCopy,
    issue,
    verify,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
CERTIFICATE = Certificate(
    version=2,
    certificate_id="crt_" + "a" * 26,
    recording_id="rec_" + "b" * 26,
    scope="recording",
    participant_id=None,
    visit_id="vis_" + "c" * 26,
    subject_ids=("par_" + "d" * 26,),
    files=(DestroyedFile("fil_" + "e" * 26, "track", "ab" * 32, 12_345),),
    keys=(DestroyedKey("bkt_" + "f" * 26, "epoch-7", None, ("fil_" + "e" * 26,)),),
    method="cryptographic-erase-then-unlink",
    assurance="software-keystore",
    tool="telehealth 0.1.0",
    asked_by="usr_" + "a" * 26,
    asked_at="2026-11-22T08:00:00.000Z",
    approved_by=None,
    executed_by="system",
    reason="patient_request",
    rule="standard 2557 0",
    hold_checked_at="2026-11-22T09:00:00.000Z",
    destroyed_at="2026-11-22T09:00:01.000Z",
    effective_after="2026-12-22T09:00:01.000Z",
    status="pending",
    previous_sha256=None,
    read_back=(ReadBack("fil_" + "e" * 26, "key_destroyed"),),
    residual=(ResidualCopy("database-backup", "ciphertext", None),),
    audit_index=17,
    audit_size=18,
    audit_root="cd" * 32,
)


def test_a_certificate_comes_back_as_it_was_issued() -> None:
    assert verify(issue(CERTIFICATE, KEY), PUBLIC) == CERTIFICATE


def test_every_flipped_bit_is_refused() -> None:
    data = issue(CERTIFICATE, KEY)
    for position in range(len(data) * 8):
        changed = bytearray(data)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(CertificateRefused):
            verify(bytes(changed), PUBLIC)


def test_other_spelling_of_the_same_content_is_refused() -> None:
    data = issue(CERTIFICATE, KEY)
    for other in (data + b"\n", json.dumps(json.loads(data)).encode(), data[:-1], b"", b"[]", b"[" * 5000):
        with pytest.raises(CertificateRefused):
            verify(other, PUBLIC)


def test_another_key_and_another_status_are_refused() -> None:
    data = issue(CERTIFICATE, KEY)
    with pytest.raises(CertificateRefused):
        verify(data, Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    final = dataclasses.replace(CERTIFICATE, status="final")
    assert verify(issue(final, KEY), PUBLIC).status == "final"
    with pytest.raises(CertificateRefused):
        verify(data.replace(b'"pending"', b'"final"'), PUBLIC)
    with pytest.raises(ValueError):
        issue(dataclasses.replace(CERTIFICATE, status="perhaps"), KEY)


def test_the_signature_means_a_certificate_and_nothing_else() -> None:
    document = json.loads(issue(CERTIFICATE, KEY))
    body = json.dumps(document["certificate"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    signature = base64.b64decode(document["signature"])
    public = Ed25519PublicKey.from_public_bytes(PUBLIC)
    public.verify(signature, b"telehealth deletion certificate v2\n" + body)
    with pytest.raises(InvalidSignature):
        public.verify(signature, body)
