"""A second reader of docs/formats.md and formats-keys.md: only `cryptography`, nothing of ours. Any fault raises."""

import base64
import hashlib
import json
import struct
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def read(data: bytes, dek: bytes) -> tuple[str, str, list[bytes], bool]:
    """Recording id, file id, segments, and whether the last one was there."""
    header, body = data[:136], data[136:]
    assert header[:8] == bytes.fromhex("8954454c5245430a")
    assert struct.unpack(">HH", header[8:12]) == (1, 1)
    okm = HKDF(algorithm=SHA512(), length=71, salt=header[72:104], info=header[:104]).derive(dek)
    assert okm[39:71] == header[104:136]
    segments: list[bytes] = []
    ended = False
    while body:
        assert not ended
        (word,) = struct.unpack(">I", body[:4])
        length, last = word >> 1, word & 1
        assert length <= 4_194_304
        assert length or last
        nonce = okm[32:39] + struct.pack(">I", len(segments)) + bytes([last])
        sealed, body = body[4 : 20 + length], body[20 + length :]
        segments.append(
            AESGCM(okm[:32]).decrypt(nonce, sealed, hashlib.sha256(header).digest() + struct.pack(">I", word))
        )
        ended = bool(last)
    return header[12:42].decode(), header[42:72].decode(), segments, ended


def read_capture(data: bytes, dek: bytes) -> list[dict[str, Any]]:
    """The records of a capture file, payloads in the form their kind gives them."""
    _, _, segments, _ = read(data, dek)
    found: list[dict[str, Any]] = []
    for segment in segments:
        at = 0
        while at < len(segment):
            what, flags, timestamp, arrived, length = struct.unpack(">BBqqI", segment[at : at + 22])
            payload = segment[at + 22 : at + 22 + length]
            assert len(payload) == length <= 1_048_576
            at += 22 + length
            record: dict[str, Any] = {"what": what, "flags": flags, "timestamp": timestamp, "arrived": arrived}
            found.append(record | {"payload": _payload(what, payload)})
    return found


def _payload(what: int, payload: bytes) -> Any:
    match what:
        case 1 | 2:
            return payload.hex()
        case 3 | 4:
            return struct.unpack(">Q", payload)[0]
        case 5 | 6:
            return struct.unpack(">I", payload)[0]
        case 7:
            return read_json(payload)
    raise AssertionError(what)


def read_json(data: bytes) -> Any:
    """A document that is its own canonical form."""
    value = json.loads(data)
    assert _spelled(value).encode() == data
    return value


def _spelled(value: Any) -> str:
    match value:
        case None | bool() | int() | str():
            return json.dumps(value, ensure_ascii=False)
        case list():
            return "[" + ",".join(map(_spelled, value)) + "]"
        case dict():
            return "{" + ",".join(f"{_spelled(key)}:{_spelled(value[key])}" for key in sorted(value)) + "}"
    raise AssertionError(type(value))


def read_certificate(data: bytes, public_key: bytes) -> dict[str, Any]:
    """What a certificate attests, if it was signed with this key."""
    document = read_json(data)
    assert sorted(document) == ["certificate", "public_key", "signature"]
    assert base64.b64decode(document["public_key"]) == public_key
    version = document["certificate"]["version"]
    signed = f"telehealth deletion certificate v{version}\n".encode() + _spelled(document["certificate"]).encode()
    Ed25519PublicKey.from_public_bytes(public_key).verify(base64.b64decode(document["signature"]), signed)
    found: dict[str, Any] = document["certificate"]
    return found


BUCKET_MEMBERS = ["bucket", "epoch", "day", "class", "held", "files", "revision", "wrapped"]


def _bound(label: str, *parts: str | bytes) -> bytes:
    octets = [part.encode() if isinstance(part, str) else part for part in (label, *parts)]
    return b"".join(struct.pack(">I", len(part)) + part for part in octets)


def read_provider_key(data: bytes, name: str, root: bytes) -> bytes:
    """A key of the provider `file`, out of `NAME.key`."""
    assert (data[:4], len(data)) == (b"THK1", 64)
    return AESGCM(root).decrypt(data[4:16], data[16:], _bound("telehealth/file-key/1", name))


def _unwrapped(data: bytes, name: str, key: bytes, context: bytes) -> bytes:
    assert data[:1] == b"\x01"
    return AESGCM(key).decrypt(data[1:13], data[13:], _bound("telehealth/file-wrap/1", name, context))


def read_share(data: bytes, name: str, wrapping_key: bytes, file: str) -> bytes:
    """A file's share_db as the database keeps it."""
    context = _bound("telehealth/wrapped/1", _bound("telehealth/share/1", file))
    share = _unwrapped(data, name, wrapping_key, context)
    assert len(share) == 32
    return share


def read_bucket(data: bytes, epoch_key: bytes) -> tuple[dict[str, Any], bytes, dict[str, bytes]]:
    """Header, data key, and share_ks by file id."""
    assert data[:5] == b"THKB\x01"
    (length,) = struct.unpack(">I", data[5:9])
    assert length <= 1 << 20
    front, nonce, sealed = data[: 9 + length], data[9 + length : 21 + length], data[21 + length :]
    header: dict[str, Any] = json.loads(front[9:].decode("ascii"))
    assert list(header) == BUCKET_MEMBERS
    assert json.dumps(header, separators=(",", ":")).encode() == front[9:]
    assert header["files"] == sorted(set(header["files"]))
    context = _bound("telehealth/bucket/1", header["bucket"])
    data_key = _unwrapped(bytes.fromhex(header["wrapped"]), header["epoch"], epoch_key, context)
    shares = AESGCM(data_key).decrypt(nonce, sealed, front)
    assert len(shares) == 32 * len(header["files"])
    return header, data_key, {file: shares[32 * at : 32 * at + 32] for at, file in enumerate(header["files"])}


def derive_dek(file: str, share_db: bytes, share_ks: bytes) -> bytes:
    """The data key of one file."""
    info = b"telehealth/dek/1" + file.encode("ascii")
    return HKDF(algorithm=SHA512(), length=32, salt=None, info=info).derive(share_db + share_ks)
