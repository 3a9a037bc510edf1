"""The formats are what docs/formats.md says: fixed vectors, and a reader that shares nothing with ours."""

import base64
import json

import pytest
from cryptography.exceptions import InvalidSignature
from envelope_reader import read, read_capture, read_certificate, read_json
from make_vectors import CERTIFICATE, FOLDER, MANIFEST, VECTORS, kept

from recordings.certificate import verify
from recordings.framelog import KIND, What, records
from recordings.manifest import Manifest
from recordings.opening import read_all
from telehealth.secret import Secret


@pytest.mark.parametrize("name", VECTORS)
def test_we_write_exactly_the_vectors(name: str) -> None:
    assert kept(name) == json.loads(json.dumps(VECTORS[name]()))


def test_the_envelopes_open_with_an_independent_reader() -> None:
    cases = kept("envelope")
    assert len(cases) == 5
    for case in cases:
        recording, file, segments, ended = read(base64.b64decode(case["file"]), bytes.fromhex(case["dek"]))
        assert (recording, file, ended) == (case["recording_id"], case["file_id"], case["ended"])
        assert [segment.hex() for segment in segments] == case["segments"]


def test_the_capture_file_opens_with_an_independent_reader_and_with_ours() -> None:
    [case] = kept("capture")
    data, dek = base64.b64decode(case["file"]), bytes.fromhex(case["dek"])
    assert read_capture(data, dek) == case["records"]
    assert read(data, dek)[2:] == (read(data, dek)[2], True)
    plain = read_all(data, Secret(dek), recording_id=case["recording_id"], file_id=case["file_id"])
    ours = list(records(plain))
    assert [(r.what, r.timestamp, r.arrived) for r in ours] == [
        (r["what"], r["timestamp"], r["arrived"]) for r in case["records"]
    ]
    assert {record.what for record in ours} == set(What)
    assert [r.payload.hex() for r in ours if r.what in (What.AUDIO, What.VIDEO)] == [
        r["payload"] for r in case["records"] if r["what"] in (1, 2)
    ]
    assert {KIND[r.what] for r in ours if r.what is not What.NOTE} == {"audio", "video"}


def test_the_manifest_opens_with_an_independent_reader_and_with_ours() -> None:
    [case] = kept("manifest")
    data, dek = base64.b64decode(case["file"]), bytes.fromhex(case["dek"])
    _, _, segments, ended = read(data, dek)
    assert ended
    assert read_json(b"".join(segments)) == case["manifest"]
    plain = read_all(data, Secret(dek), recording_id=case["recording_id"], file_id=case["file_id"])
    assert Manifest.parse(plain) == MANIFEST


def test_the_certificate_verifies_with_an_independent_reader_and_with_ours() -> None:
    [case] = kept("certificate")
    document, public = case["document"].encode(), bytes.fromhex(case["public_key"])
    assert read_certificate(document, public) == case["certificate"]
    assert verify(document, public) == CERTIFICATE
    with pytest.raises(InvalidSignature):
        read_certificate(document.replace(b'"pending"', b'"final"'), public)


def test_the_documents_name_every_field_of_manifest_and_certificate() -> None:
    words = (FOLDER.parent.parent / "docs" / "formats.md").read_text("utf-8")
    for document in (kept("manifest")[0]["manifest"], kept("certificate")[0]["certificate"]):
        lists = [value[0] for value in document.values() if isinstance(value, list) and isinstance(value[0], dict)]
        for name in {*document, *(key for inner in lists for key in inner)}:
            assert name in words, name
