"""Passwords known from breaches (NIST SP 800-63B §3.1.1.2), in a file on this machine: nobody is asked."""

import asyncio
import hashlib
import os
import weakref
from pathlib import Path

from telehealth.config import ConfigRefused
from telehealth.identity.faults import PasswordWeak
from telehealth.identity.passwords import normal, weak

_DIGITS = 40  # of SHA-1, the form in which such lists are given out
_LINE = 128  # octets, more than any line has
_FORM = frozenset(b"0123456789ABCDEFabcdef")


class PasswordRules:
    """What a new password must be, and must not be known as.

    `breached`: upper-case SHA-1 hashes, one a line and sorted, each perhaps followed by a colon and a count; None: no
    list. `clinic`: its name, which no password is made of. Raises ConfigRefused if the file cannot be read or is of
    another form.
    """

    def __init__(self, breached: Path | None = None, clinic: str = "") -> None:
        self._clinic = clinic
        self._list: int | None = None
        if breached is None:
            return
        try:
            self._list = os.open(breached, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ConfigRefused([f"{breached}: cannot be read ({error.strerror})"]) from error
        weakref.finalize(self, os.close, self._list)
        first = os.pread(self._list, _LINE, 0)
        if len(first) < _DIGITS or not _FORM.issuperset(first[:_DIGITS]):
            raise ConfigRefused([f"{breached}: not a sorted list of SHA-1 hashes"])

    async def check(self, password: str, login: str, name: str = "") -> None:
        """`name`: whose it is to be. Raises PasswordWeak."""
        if weak(password, login, (name, self._clinic)) or await asyncio.to_thread(self._known, normal(password)):
            raise PasswordWeak

    def _known(self, password: str) -> bool:
        if self._list is None:
            return False
        wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
        low, high = 0, os.fstat(self._list).st_size
        while low < high:
            middle = (low + high) // 2
            start, line = self._line(self._list, middle)
            found = line[:_DIGITS].upper()
            if found == wanted:
                return True
            if not line or start >= high or found > wanted:
                high = middle
            else:
                low = start + len(line)
        return False

    @staticmethod
    def _line(file: int, at: int) -> tuple[int, bytes]:
        """The first line that begins at `at` or later, and where it begins; empty beyond the last."""
        if at > 0:
            before = os.pread(file, _LINE, at - 1).find(b"\n")
            if before < 0:
                return at, b""
            at += before
        octets = os.pread(file, _LINE, at)
        return at, octets[: octets.find(b"\n") + 1] or octets
