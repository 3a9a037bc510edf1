"""Signed receipts: whether the key a browser gave at its entry signed exactly this answer."""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from telehealth.clock import parse_rfc3339
from telehealth.errors import Reason, Refusal

_LONGEST = 2048  # characters of a receipt


class KeyInvalid(Refusal):
    code = "key_invalid"
    reason = Reason.INVALID
    message = "The browser's key could not be read."


class ReceiptInvalid(Refusal):
    code = "receipt_invalid"
    reason = Reason.INVALID
    message = "The signed answer does not fit the question."


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A browser's ECDSA P-256 key. `thumbprint`: RFC 7638, base64url of SHA-256."""

    key: EllipticCurvePublicKey
    jwk: Mapping[str, str]
    thumbprint: str


@dataclass(frozen=True, slots=True)
class Question:
    """What a receipt must say, except when."""

    visit: str
    participant: str
    request: str
    answer: str
    sha256: str
    version: str
    language: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt that was checked: its exact text and the raw r‖s signature of 64 bytes."""

    text: str
    signature: bytes


def signing_key(jwk: Mapping[str, str]) -> SigningKey:
    """Read a public JWK (RFC 7517, RFC 7518 §6.2), with the point checked to lie on the curve. Raises KeyInvalid."""
    try:
        if jwk["kty"] != "EC" or jwk["crv"] != "P-256":
            raise KeyInvalid
        x, y = (_coordinate(jwk[name]) for name in ("x", "y"))
        key = EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
    except (KeyError, ValueError) as error:
        raise KeyInvalid from error
    plain = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    digest = hashlib.sha256(_canonical(plain).encode()).digest()
    return SigningKey(key, plain, base64.urlsafe_b64encode(digest).rstrip(b"=").decode())


def checked(question: Question, key: SigningKey, text: str, signature: str) -> Receipt:
    """The receipt, if its text is the canonical answer to `question` and `key` signed it. Raises ReceiptInvalid."""
    raw = _octets(signature)
    if len(text) > _LONGEST or len(raw) != 64:
        raise ReceiptInvalid
    _same(question, text)
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    try:
        key.key.verify(der, text.encode(), ECDSA(SHA256()))
    except (InvalidSignature, UnicodeEncodeError) as error:
        raise ReceiptInvalid from error
    return Receipt(text, raw)


def _same(question: Question, text: str) -> None:
    try:
        said = json.loads(text)
        at = said["at"]
        parse_rfc3339(at)
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise ReceiptInvalid from error
    expected = {name: getattr(question, name) for name in Question.__slots__} | {"at": at}
    if text != _canonical(expected):
        raise ReceiptInvalid


def _canonical(fields: Mapping[str, str]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _coordinate(text: str) -> int:
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(raw) != 32:
        raise KeyInvalid
    return int.from_bytes(raw)


def _octets(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ReceiptInvalid from error
