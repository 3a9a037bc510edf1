"""Checks an evidence bundle with nothing but the standard library and `cryptography`: copy this one file anywhere.

    python offline_verifier.py bundle.json --key 'name+id+base64' [--certificate-key BASE64] [--checkpoint FILE …]

The keys must come from elsewhere than the bundle. Prints one line per check; ends with 0 if all hold, 1 if not, 2 if
the bundle cannot be read.
"""

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

FORMAT = "telehealth evidence v1"
MAX_BUNDLE = 256 << 20  # bytes
Finding = tuple[bool, str]
Head = tuple[str, int, bytes]  # origin, size, root


class Unsound(Exception):
    """Something does not verify; the text says what."""


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def included(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root that a proof leads to (RFC 9162 §2.1.3.2). Raises Unsound."""
    if not 0 <= index < size:
        raise Unsound("no such index")
    place, last, found = index, size - 1, leaf
    for step in proof:
        if last == 0:
            raise Unsound("a proof that is too long")
        if place & 1 or place == last:
            found = node_hash(step, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, step)
        place, last = place >> 1, last >> 1
    if last:
        raise Unsound("a proof that is too short")
    return found


def check_consistent(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """That the tree of `new` leaves begins with that of `old` (RFC 9162 §2.1.4.2). Raises Unsound."""
    if not 0 <= old <= new:
        raise Unsound("sizes in the wrong order")
    if old in (0, new):
        if proof or old_root != (new_root if old == new else hashlib.sha256(b"").digest()):
            raise Unsound("another history")
        return
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path or _climbed(old - 1, new - 1, path) != (old_root, new_root):
        raise Unsound("another history")


def _climbed(place: int, last: int, path: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = path[0]
    for step in path[1:]:
        if last == 0:
            return None
        if place & 1 or place == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            after = node_hash(after, step)
        place, last = place >> 1, last >> 1
    return (before, after) if last == 0 else None


def parse_key(line: str) -> tuple[str, bytes]:
    """Name and Ed25519 key of a C2SP verifier key. Raises Unsound."""
    name, number, encoded = [*line.strip().split("+", 2), "", ""][:3]
    raw = _b64(encoded)
    if len(raw) != 33 or raw[:1] != b"\x01" or _key_id(name, raw[1:]).hex() != number:
        raise Unsound("not a verifier key")
    return name, raw[1:]


def _key_id(name: str, key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n\x01" + key).digest()[:4]


def open_note(note: str, name: str, key: bytes) -> str:
    """The text of a note that this key signed. Raises Unsound."""
    body, gap, signatures = note.rpartition("\n\n")
    for line in signatures.splitlines() if gap else ():
        dash, signer, encoded = [*line.split(" ", 2), "", ""][:3]
        if dash == "\u2014" and signer == name:
            raw = _b64(encoded)
            if raw[:4] == _key_id(name, key):
                _verify_ed25519(key, raw[4:], (body + "\n").encode())
                return body + "\n"
    raise Unsound("not signed by the key that was given")


def open_checkpoint(note: str, name: str, keys: Sequence[tuple[int, bytes]]) -> Head:
    """The head in a note, by the key that was in force at its size. Raises Unsound."""
    for at, (_, key) in reversed(list(enumerate(keys))):
        try:
            lines = open_note(note, name, key).split("\n")
        except Unsound:
            continue
        if len(lines) < 4 or lines[0] != name or not lines[1].isdecimal():
            raise Unsound("not a checkpoint of this log")
        if at + 1 < len(keys) and int(lines[1]) > keys[at + 1][0]:
            raise Unsound("signed with a key after its successor took over")
        return lines[0], int(lines[1]), _b64(lines[2])
    raise Unsound("the checkpoint was not signed by the log's key")


def open_keys(note: str | None, name: str, trusted: bytes) -> list[tuple[int, bytes]]:
    """All keys of the log and since when, on the word of one of them. Raises Unsound."""
    if note is None:
        return [(0, trusted)]
    lines = note.rpartition("\n\n")[0].split("\n")
    if lines[:2] != ["telehealth audit keys v1", name]:
        raise Unsound("not this log's list of keys")
    rows = [line.split(" ") for line in lines[2:]]
    keys = [(int(since), parse_key(line)[1]) for _, since, line, _ in rows]
    publics = [key for _, key in keys]
    if trusted not in publics:
        raise Unsound("the list of keys does not hold the one that was given")
    open_note(note, name, publics[-1])
    for at in range(publics.index(trusted) + 1, len(keys)):
        text = f"telehealth audit next key v1\n{name}\n{at + 1}\n{rows[at][1]}\n{rows[at][2]}\n"
        _verify_ed25519(publics[at - 1], _b64(rows[at][3]), text.encode())
    return keys


def _verify_ed25519(key: bytes, signature: bytes, content: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, content)
    except (InvalidSignature, ValueError):
        raise Unsound("a signature that does not fit") from None


def _b64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Unsound("not base64") from None


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


class Bundle:
    """A bundle and the keys to judge it by. `findings` yields one line per check."""

    def __init__(self, bundle: Mapping[str, Any], key: str, certificate_key: bytes | None = None) -> None:
        if bundle.get("format") != FORMAT:
            raise Unsound("not an evidence bundle of this version")
        self._bundle = bundle
        self._name, trusted = parse_key(key)
        self._keys = open_keys(bundle.get("keys"), self._name, trusted)
        self._certificate_key = certificate_key
        self._head = open_checkpoint(bundle["checkpoint"], self._name, self._keys)
        self._leaves: dict[int, dict[str, Any]] = {}  # those that were shown to stand in the log

    def findings(self, kept: Sequence[str] = ()) -> Iterator[Finding]:
        """`kept`: checkpoints that the reader has from elsewhere."""
        yield True, f"checkpoint: signed by {self._name}, {self._head[1]} entries"
        for entry in self._bundle.get("entries", ()):
            yield _finding(f"entry {entry['index']}", partial(self._entry, entry))
        for note in kept:
            yield _finding("kept checkpoint", partial(self._kept, note))
        for consent in self._bundle.get("consents", ()):
            yield _finding("consent", partial(self._consent, consent))
        if self._bundle.get("certificate") is not None:
            yield _finding("certificate", partial(self._certificate, self._bundle["certificate"]))

    def _entry(self, entry: Mapping[str, Any]) -> str:
        leaf, index = entry["leaf"].encode(), int(entry["index"])
        if included(leaf_hash(leaf), index, self._head[1], [_b64(step) for step in entry["proof"]]) != self._head[2]:
            raise Unsound("does not stand in the log")
        found = json.loads(leaf)
        blob = entry.get("sealed")
        if blob is not None and hashlib.sha256(_b64(blob)).hexdigest() != found["sealed"]:
            raise Unsound("the sealed detail is not what was entered")
        self._leaves[index] = found
        return f"{found['at']} {found['action']} {found['outcome']} stands in the log"

    def _kept(self, note: str) -> str:
        _, size, root = open_checkpoint(note, self._name, self._keys)
        proof = self._bundle.get("consistency", {}).get(str(size))
        if proof is None and size != self._head[1]:
            raise Unsound(f"the bundle has no proof from {size} entries")
        check_consistent(size, root, self._head[1], self._head[2], [_b64(step) for step in proof or ()])
        return f"the log of {size} entries is the beginning of this one"

    def _consent(self, consent: Mapping[str, Any]) -> str:
        jwk, text, raw = consent["key"], consent["receipt"], _b64(consent["signature"])
        plain = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
        thumbprint = base64.urlsafe_b64encode(hashlib.sha256(_canonical(plain)).digest()).rstrip(b"=").decode()
        x, y = (int.from_bytes(base64.urlsafe_b64decode(jwk[part] + "="), "big") for part in ("x", "y"))
        try:
            der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big"))
            key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
            key.verify(der, text.encode(), ec.ECDSA(SHA256()))
        except (InvalidSignature, ValueError):
            raise Unsound("the receipt's signature does not fit") from None
        said = json.loads(text)
        if not self._entered(said["visit"], "join", "key", thumbprint):
            raise Unsound("no entry of a join holds the key that signed")
        if not self._entered(said["visit"], "consent.answer", "text", said["sha256"]):
            raise Unsound("no entry holds this answer")
        return f"{said['answer']} to {said['version']} ({said['language']}) signed by the key of a join"

    def _entered(self, visit: str, action: str, name: str, value: str) -> bool:
        return any(
            leaf["visit"] == visit and leaf["action"] == action and leaf["detail"].get(name) == value
            for leaf in self._leaves.values()
        )

    def _certificate(self, document: Mapping[str, Any]) -> str:
        if self._certificate_key is None:
            raise Unsound("give --certificate-key to check it")
        body = document["certificate"]
        content = b"telehealth deletion certificate v%d\n" % body["version"] + _canonical(body)
        _verify_ed25519(self._certificate_key, _b64(document["signature"]), content)
        leaf = self._leaves.get(body["audit_index"])
        if leaf is None or leaf["recording"] != body["recording_id"]:
            raise Unsound("the bundle does not show the entry that it names")
        proof = self._bundle.get("consistency", {}).get(str(body["audit_size"]), ())
        root, steps = bytes.fromhex(body["audit_root"]), [_b64(step) for step in proof]
        check_consistent(body["audit_size"], root, self._head[1], self._head[2], steps)
        return f"{body['recording_id']} destroyed {body['destroyed_at']} ({body['status']}, {body['assurance']})"


def _finding(what: str, check: Callable[[], str]) -> Finding:
    try:
        return True, f"{what}: {check()}"
    except Unsound as error:
        return False, f"{what}: {error}"
    except (KeyError, TypeError, ValueError, AttributeError):
        return False, f"{what}: cannot be read"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check an evidence bundle of a telehealth audit log, offline.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--key", required=True, help="the log's verifier key, from elsewhere than the bundle")
    parser.add_argument("--certificate-key", default="", help="key of deletion certificates, base64")
    parser.add_argument("--checkpoint", type=Path, action="append", default=[], help="a checkpoint kept elsewhere")
    args = parser.parse_args(argv)
    try:
        if args.bundle.stat().st_size > MAX_BUNDLE:
            raise Unsound("too large")
        bundle = Bundle(json.loads(args.bundle.read_bytes()), args.key, _b64(args.certificate_key) or None)
        findings = list(bundle.findings([path.read_text("utf-8") for path in args.checkpoint]))
    except (Unsound, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        findings = [(False, f"bundle: {error if isinstance(error, Unsound) else type(error).__name__}")]
    for good, line in findings:
        sys.stdout.write(f"{'ok ' if good else 'BAD'}  {line}\n")
    return 0 if all(good for good, _ in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
