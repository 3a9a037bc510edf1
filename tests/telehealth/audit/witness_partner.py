"""A small witness of its own make (C2SP tlog-witness): it remembers before it answers, and checks proofs by itself."""

import base64
import hashlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _roots(old: int, new: int, known: bytes | None, proof: list[bytes]) -> tuple[bytes, bytes]:
    """Old and new root by the recursion of RFC 6962 §2.1.2, eating the proof from its end."""
    if old == new:
        root = known if known is not None else proof.pop()
        return root, root
    split = 1 << ((new - 1).bit_length() - 1)
    beside = proof.pop()
    if old <= split:
        before, after = _roots(old, split, known, proof)
        return before, _node(after, beside)
    before, after = _roots(old - split, new - split, None, proof)
    return _node(beside, before), _node(beside, after)


class SmallWitness:
    """Knows one log by its key; `answer` is the whole protocol, without HTTP."""

    def __init__(self, state: Path, name: str, seed: bytes, log_name: str, log_key: bytes) -> None:
        self._state = state
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.name = name
        self.public = self._key.public_key().public_bytes_raw()
        self._log = log_name
        self._log_key = Ed25519PublicKey.from_public_bytes(log_key)
        self._log_id = hashlib.sha256(log_name.encode() + b"\n\x01" + log_key).digest()[:4]
        self.signed = 0

    def known(self) -> tuple[int, bytes]:
        if not self._state.exists():
            return 0, hashlib.sha256(b"").digest()
        size, root = self._state.read_text().split()
        return int(size), bytes.fromhex(root)

    def answer(self, body: bytes) -> tuple[int, str]:
        head, _, note = body.decode().partition("\n\n")
        first, *proof_lines = head.split("\n")
        text, _, signatures = note.rpartition("\n\n")
        text += "\n"
        try:
            origin, size_line, root_line, *_ = text.split("\n")
            old, size, root = int(first.removeprefix("old ")), int(size_line), base64.b64decode(root_line)
            proof = [base64.b64decode(line, validate=True) for line in proof_lines]
        except ValueError:
            return 400, ""
        if origin != self._log:
            return 404, ""
        if not self._log_signed(text, signatures):
            return 403, ""
        known_size, known_root = self.known()
        if old > size:
            return 400, ""
        if old != known_size:
            return 409, f"{known_size}\n"
        if not self._goes_on(old, known_root, size, root, proof):
            return 422, ""
        self._remember(size, root)
        return 200, self._cosigned(text)

    def _log_signed(self, text: str, signatures: str) -> bool:
        for line in signatures.split("\n"):
            if line.startswith(f"— {self._log} "):
                raw = base64.b64decode(line.split(" ")[2])
                try:
                    self._log_key.verify(raw[4:], text.encode())
                except InvalidSignature:
                    return False
                return raw[:4] == self._log_id
        return False

    @staticmethod
    def _goes_on(old: int, old_root: bytes, new: int, new_root: bytes, proof: list[bytes]) -> bool:
        if old == new:
            return not proof and old_root == new_root
        if old == 0:
            return not proof
        try:
            return _roots(old, new, old_root, proof) == (old_root, new_root) and not proof
        except IndexError:
            return False

    def _remember(self, size: int, root: bytes) -> None:
        fresh = self._state.with_suffix(".new")
        with fresh.open("w") as file:
            file.write(f"{size} {root.hex()}")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._state)

    def _cosigned(self, text: str) -> str:
        self.signed += 1
        seconds = int(time.time())
        signature = self._key.sign(f"cosignature/v1\ntime {seconds}\n{text}".encode())
        number = hashlib.sha256(self.name.encode() + b"\n\x04" + self.public).digest()[:4]
        raw = number + seconds.to_bytes(8, "big") + signature
        return f"— {self.name} {base64.b64encode(raw).decode()}\n"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Its address, while it listens on loopback."""

        async def handle(request: web.Request) -> web.Response:
            status, said = self.answer(await request.read())
            kind = "text/x.tlog.size" if status == 409 else "text/plain"
            return web.Response(status=status, body=said.encode(), content_type=kind)

        app = web.Application()
        app.router.add_post("/add-checkpoint", handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}"
        finally:
            await runner.cleanup()
