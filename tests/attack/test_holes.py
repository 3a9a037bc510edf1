"""One test for each hole that was found by attacking, so that none opens again."""

import os
import socket

import pytest
from pydantic import TypeAdapter, ValidationError

from telehealth.commands.said import Said
from telehealth.identity.secrets import as_read, new_recovery_codes
from telehealth.web.joining import Place
from telehealth.web.models import Name, Note
from telehealth.web.visits import Question
from tests.attack.cast import Clinic

NO_UTF_8 = b"\xff\xfe\xed\xa0\x80"
CARRIERS = (b"Authorization: Bearer ", b"Cookie: staff=", b"Cookie: visit=")
ASKED = (
    b"GET /api/v1/session",
    b"GET /api/v1/visits",
    b"GET /api/v1/join",
    b"POST /api/v1/join",
    b"GET /fhir/AuditEvent",
)


def sent(clinic: Clinic, line: bytes, header: bytes) -> bytes:
    """The answer to one request as octets, for what no client library would send."""
    body = b'{"token":"a"}'
    head = b"%s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nSec-Fetch-Site: same-origin\r\n" % line
    head += b"Content-Type: application/json\r\nContent-Length: %d\r\n%s\r\n\r\n" % (len(body), header)
    with socket.create_connection(("127.0.0.1", clinic.house.port), timeout=10) as wire:
        wire.sendall(head + body)
        return b"".join(iter(lambda: wire.recv(65536), b""))


def test_credentials_that_are_no_text_are_refused_like_all_others(clinic: Clinic) -> None:
    """They once ended as a server error in the hash of a token."""
    for line in ASKED:
        for carrier in CARRIERS:
            status = int(sent(clinic, line, carrier + NO_UTF_8).split(b" ", 2)[1])
            assert status in (401, 404), (line, carrier, status)
    assert "web.internal" not in clinic.house.log.read_text()


TURNED = ("a\u202eb", "a\u2066b", "a\u0085b", "a\u009b31mb", "a\u2028b", "a\x1bb", "a\nb", "a\x7fb")


@pytest.mark.parametrize("kind", [Name, Note, Place, Question], ids=["name", "note", "place", "question"])
def test_texts_that_others_read_carry_no_controls_and_turn_no_writing(kind: object) -> None:
    """Patients' places and clinics' questions took line ends and terminal commands; names took C1 and overrides."""
    taken = TypeAdapter(kind)
    for text in TURNED:
        with pytest.raises(ValidationError):
            taken.validate_python(text)
    for text in ("Zora Quill", "عيادة البحيرة", "बच्चा", "می‌خواهم", "O'Neil-Straße 5, 2. Stock"):
        assert taken.validate_python(text) == text


def test_what_others_wrote_commands_no_terminal() -> None:
    said = Said({}, ["Zora \x1b]0;owned\x07 \x9b31m\ttab"]).text(as_json=False)
    assert said == "Zora \\x1b]0;owned\\x07 \\x9b31m\ttab"


def test_recovery_codes_are_too_long_to_be_found_from_their_hashes() -> None:
    """They had 80 bits: a thief of the database with much time could have searched for one."""
    codes = new_recovery_codes(os.urandom)
    assert {len(as_read(code)) for code in codes} == {24}  # of base32: 120 bits
    assert len(set(codes)) == len(codes) == 10
