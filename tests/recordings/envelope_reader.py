"""A second reader of docs/formats.md, for the vectors: only `cryptography`, nothing of ours."""

import hashlib
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def read(data: bytes, dek: bytes) -> tuple[str, str, list[bytes], bool]:
    """Recording id, file id, segments, and whether the last one was there. Any fault raises."""
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
        nonce = okm[32:39] + struct.pack(">I", len(segments)) + bytes([last])
        sealed, body = body[4 : 20 + length], body[20 + length :]
        segments.append(
            AESGCM(okm[:32]).decrypt(nonce, sealed, hashlib.sha256(header).digest() + struct.pack(">I", word))
        )
        ended = bool(last)
    return header[12:42].decode(), header[42:72].decode(), segments, ended
