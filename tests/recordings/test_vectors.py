"""The formats are what docs/formats.md says: fixed vectors, and a reader that shares nothing with ours."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from envelope_reader import (
    BUCKET_MEMBERS,
    derive_dek,
    read,
    read_bucket,
    read_capture,
    read_certificate,
    read_json,
    read_provider_key,
    read_share,
)
from make_vectors import CERTIFICATE, FOLDER, MANIFEST, VECTORS, kept, key_house

from recordings.certificate import verify
from recordings.framelog import KIND, What, records
from recordings.manifest import Manifest
from recordings.opening import read_all
from telehealth.errors import Malformed
from telehealth.keys.bucket import open_bucket
from telehealth.keys.provider import UnwrapFailed
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


def bucket_of(case: dict[str, Any]) -> tuple[str, bytes, bytes]:
    """Where the case's bucket lies, its bytes, and the epoch key they hang on."""
    files = {path: base64.b64decode(data) for path, data in case["files"].items()}
    [path] = [path for path in files if path.endswith(".bucket")]
    epoch = path.split(".")[1]
    return path, files[path], read_provider_key(files[f"provider/{epoch}.key"], epoch, bytes.fromhex(case["root"]))


def lay_out(case: dict[str, Any], folder: Path) -> None:
    """Put the files of a case on disk, closed to others."""
    for path, data in case["files"].items():
        (folder / path).parent.mkdir(mode=0o700, exist_ok=True)
        (folder / path).write_bytes(base64.b64decode(data))
        (folder / path).chmod(0o600)


async def opened(case: dict[str, Any], folder: Path) -> list[str]:
    """What our key store makes of a case: the data keys of its files."""
    await asyncio.to_thread(lay_out, case, folder)
    provider, keyring, store = key_house(folder)
    for part in (provider, keyring, store):
        await part.start()
    found = []
    try:
        for key in case["keys"]:
            share, name = base64.b64decode(key["wrapped_share"]), key["wrapping_key"]
            found.append((await store.open(key["file_id"], wrapped_share=share, wrapping_key=name)).reveal().hex())
    finally:
        await store.close()
    return found


def test_the_bucket_opens_with_an_independent_reader_from_root_to_file() -> None:
    [case] = kept("bucket")
    path, data, epoch_key = bucket_of(case)
    header, _, shares = read_bucket(data, epoch_key)
    assert path == f"store/{header['bucket']}.{header['epoch']}.bucket"
    assert (header["day"], header["class"], header["held"], header["revision"]) == ("2026-11-22", "adult", False, 3)
    assert sorted(shares) == sorted(key["file_id"] for key in case["keys"])
    root, name = bytes.fromhex(case["root"]), "wrapping-1"
    wrapping_key = read_provider_key(base64.b64decode(case["files"][f"provider/{name}.key"]), name, root)
    for key in case["keys"]:
        assert key["wrapping_key"] == name
        share_db = read_share(base64.b64decode(key["wrapped_share"]), name, wrapping_key, key["file_id"])
        assert derive_dek(key["file_id"], share_db, shares[key["file_id"]]).hex() == key["dek"]
    assert len({key["dek"] for key in case["keys"]}) == 3


async def test_the_bucket_opens_with_our_key_store(tmp_path: Path) -> None:
    [case] = kept("bucket")
    assert await opened(case, tmp_path) == [key["dek"] for key in case["keys"]]


async def test_our_key_store_refuses_a_bucket_whose_last_bit_differs(tmp_path: Path) -> None:
    [case] = kept("bucket")
    path, data, _ = bucket_of(case)
    case["files"][path] = base64.b64encode(data[:-1] + bytes([data[-1] ^ 1])).decode()
    with pytest.raises(UnwrapFailed):
        await opened(case, tmp_path)


def test_both_readers_refuse_a_bucket_in_which_any_bit_differs() -> None:
    [case] = kept("bucket")
    _, data, epoch_key = bucket_of(case)
    _, data_key, shares = read_bucket(data, epoch_key)
    assert open_bucket(data, Secret(data_key)).shares == shares
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((AssertionError, ValueError, InvalidTag)):
            read_bucket(bytes(changed), epoch_key)
        with pytest.raises((UnwrapFailed, Malformed)):
            open_bucket(bytes(changed), Secret(data_key))


def test_the_documents_name_every_member_of_a_buckets_header_in_order() -> None:
    words = (FOLDER.parent.parent / "docs" / "formats-keys.md").read_text("utf-8")
    rows = [line for line in words.splitlines() if line.startswith("| `")]
    named = [part for row in rows for part in row.split("|")[1].replace("`", "").replace(" ", "").split(",")]
    assert named == BUCKET_MEMBERS
