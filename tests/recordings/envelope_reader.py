"""A second reader of docs/formats.md, for the vectors: only `cryptography`, nothing of ours. Any fault raises."""

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
