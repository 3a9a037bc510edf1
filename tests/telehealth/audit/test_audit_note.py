"""Signed notes and checkpoints: C2SP signed-note, tlog-checkpoint."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telehealth.audit.note import (
    Checkpoint,
    NoteInvalid,
    Signer,
    open_checkpoint,
    open_note,
    parse_checkpoint,
    parse_verifier_key,
    verifier_key,
)
from telehealth.secret import Secret

KNOWN_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
KNOWN_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
KNOWN_SIGNATURE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
SIGNER = Signer("log.example/audit", Secret(bytes(range(32))))
NOTE = SIGNER.checkpoint(7, b"r" * 32)


def opened(note: bytes) -> Checkpoint:
    return open_checkpoint(note, SIGNER.name, SIGNER.public_key)


def test_a_note_signed_by_other_software_opens() -> None:
    name, public_key = parse_verifier_key(KNOWN_KEY)
    assert open_note(f"{KNOWN_TEXT}\n{KNOWN_SIGNATURE}".encode(), name, public_key) == KNOWN_TEXT
    assert verifier_key(name, public_key) == KNOWN_KEY


def test_a_checkpoint_is_three_lines_and_a_signature() -> None:
    text, _, signature = NOTE.decode().partition("\n\n")
    assert text.split("\n") == ["log.example/audit", "7", base64.b64encode(b"r" * 32).decode()]
    assert signature.startswith("— log.example/audit ")
    assert opened(NOTE) == Checkpoint("log.example/audit", 7, b"r" * 32)


def test_a_cosigned_checkpoint_opens_for_both_keys() -> None:
    witness = Signer("witness.example", Secret(b"w" * 32))
    cosigned = (
        NOTE + witness.sign(SIGNER.checkpoint(7, b"r" * 32).decode().partition("\n\n")[0] + "\n").split(b"\n\n")[1]
    )
    assert opened(cosigned).size == 7
    assert parse_checkpoint(open_note(cosigned, witness.name, witness.public_key)).size == 7


@given(st.integers(0, len(NOTE) - 1), st.integers(1, 255))
def test_a_changed_checkpoint_does_not_open(at: int, flip: int) -> None:
    changed = bytearray(NOTE)
    changed[at] ^= flip
    with pytest.raises(NoteInvalid):
        opened(bytes(changed))


@given(st.binary(max_size=200))
def test_noise_is_refused_with_one_error(noise: bytes) -> None:
    with pytest.raises(NoteInvalid):
        opened(noise)


@pytest.mark.parametrize(
    "text",
    [
        "a\n1\n",
        "a\n-1\nAAAA\n",
        "a\n01\n" + "A" * 43 + "=\n",
        "a\n1\nAAAA\n",
        "a\n1\n" + "A" * 43 + "=\n\nx\n",
        "\n1\nx\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteInvalid):
        parse_checkpoint(text)


def test_another_logs_checkpoint_is_refused() -> None:
    other = SIGNER.sign(Checkpoint("other.example", 7, b"r" * 32).text())
    with pytest.raises(NoteInvalid):
        opened(other)
    with pytest.raises(NoteInvalid):
        open_checkpoint(NOTE, SIGNER.name, Signer("x", Secret(b"x" * 32)).public_key)


@pytest.mark.parametrize(
    "text", ["", "a", "a+b", "a+00000000+AQ==", KNOWN_KEY.replace("c74f", "c74e"), KNOWN_KEY + "A"]
)
def test_a_broken_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(NoteInvalid):
        parse_verifier_key(text)


def test_a_signers_name_has_no_spaces() -> None:
    with pytest.raises(NoteInvalid):
        Signer("a b", Secret(bytes(32)))
