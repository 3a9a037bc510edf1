"""The client of a C2SP tlog-witness: shows it that the log only grew, and takes its cosignature home.

`POST <url>/add-checkpoint`: `old <size>` LF, base64 hashes of the consistency proof, empty line, checkpoint. Answers:
200 with cosignature lines; 409 with the size that the witness knows; 422 for a proof that does not hold.
"""

import base64
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

from telehealth.audit.cosignature import WitnessKey, check_cosignature
from telehealth.audit.faults import AnchorRefused
from telehealth.audit.ledger import Signed
from telehealth.audit.log import AuditLog
from telehealth.audit.note import NoteInvalid
from telehealth.audit.one_thread import OneThread
from telehealth.audit.proofs import consistency_at
from telehealth.durable import write_whole

MAX_ANSWER = 16_384
_PATIENCE = 4.0  # seconds to connect, and without an octet


class Witness:
    """An anchor that also keeps the cosigned checkpoint in `kept`, beside the log.

    All of its work, looking names up included, is done in a thread of its own: one that hangs keeps nobody waiting.
    """

    name = "witness"

    def __init__(self, log: AuditLog, url: str, key: WitnessKey, kept: Path) -> None:
        self._log = log
        self._url = urlsplit(f"{url.rstrip('/')}/add-checkpoint")
        self._key = key
        self._kept = kept
        self._thread = OneThread("audit witness")
        self._old = 0  # what the witness has, as far as we know; it tells us where we are wrong

    async def keep(self, signed: Signed) -> None:
        """Have a checkpoint cosigned. Raises OSError when the witness is away, AnchorRefused when it says no."""
        await self._thread.run(lambda: self._keep(signed))

    def _keep(self, signed: Signed) -> None:
        status, answer = self._ask(signed)
        if status == 409:
            self._old = self._size_in(answer, signed)
            status, answer = self._ask(signed)
        if status != 200:
            raise AnchorRefused(f"witness_said_{status}")
        text = signed.note.decode().rpartition("\n\n")[0] + "\n"
        line = self._line_in(answer, text)
        write_whole(self._kept, signed.note + line.encode() + b"\n")
        self._old = signed.head.size

    def _ask(self, signed: Signed) -> tuple[int, str]:
        old = min(self._old, signed.head.size)
        found = consistency_at(*self._log.place, old, signed.head.size)
        proof = "".join(f"{base64.b64encode(hash_).decode('ascii')}\n" for hash_ in found.proof)
        body = f"old {old}\n{proof}\n".encode() + signed.note
        kind = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        asking = kind(self._url.hostname or "", self._url.port, timeout=_PATIENCE)
        try:
            asking.request("POST", self._url.path, body)
            answer = asking.getresponse()
            return answer.status, answer.read(MAX_ANSWER).decode("utf-8", "replace")
        except HTTPException as error:
            raise OSError("the witness does not answer") from error
        finally:
            asking.close()

    @staticmethod
    def _size_in(answer: str, signed: Signed) -> int:
        """The size the witness has. One beyond ours: it has seen a log that we have not, so ours went back."""
        if not answer.strip().isdecimal() or len(answer) > 24:
            raise AnchorRefused("witness_unclear")
        if int(answer) > signed.head.size:
            raise AnchorRefused("log_went_back")
        return int(answer)

    def _line_in(self, answer: str, text: str) -> str:
        for line in answer.splitlines():
            try:
                check_cosignature(line, text, self._key)
            except NoteInvalid:
                continue
            return line
        raise AnchorRefused("witness_unsigned")
