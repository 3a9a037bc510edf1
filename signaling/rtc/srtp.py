"""SRTP in place (RFC 3711, RFC 7714): libsrtp on a buffer that is used again for every packet."""

from collections.abc import Callable
from typing import Any

from pylibsrtp import Session
from pylibsrtp._binding import ffi, lib

_ROOM = 2048  # octets: the largest packet and the longest trailer libsrtp can add
_OK = lib.srtp_err_status_ok
_REPLAYED = (9, 10)  # srtp_err_status_replay_fail and _replay_old, which the binding does not name


class Opener:
    """Decrypts what comes. `view[:n]` is the last packet after `open` answered n; the next call overwrites it."""

    __slots__ = ("_buffer", "_length", "_session", "_srtp", "view")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._srtp = session._srtp[0]
        self._buffer = ffi.new("unsigned char[]", _ROOM)
        self._length = ffi.new("int *")
        self.view = memoryview(ffi.buffer(self._buffer))

    def open(self, datagram: bytes) -> int:
        """The length of the plain packet; 0 if it is not authentic, -1 if it came before. ≤ 1500 octets."""
        return self._unprotect(datagram, lib.srtp_unprotect)

    def open_control(self, datagram: bytes) -> int:
        """The same for RTCP."""
        return self._unprotect(datagram, lib.srtp_unprotect_rtcp)

    def _unprotect(self, datagram: bytes, act: Callable[[Any, Any, Any], int]) -> int:
        size = len(datagram)
        self.view[:size] = datagram
        length = self._length
        length[0] = size
        status = act(self._srtp, self._buffer, length)
        if status == _OK:
            return int(length[0])
        return -1 if status in _REPLAYED else 0


class Sealer:
    """Encrypts what goes. Write a plain packet into `view` or `buffer`, then `seal` it; the next one overwrites it."""

    __slots__ = ("_buffer", "_length", "_session", "_srtp", "buffer", "view")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._srtp = session._srtp[0]
        self._buffer = ffi.new("unsigned char[]", _ROOM)
        self._length = ffi.new("int *")
        self.buffer = ffi.buffer(self._buffer)  # slices of it are bytes, quicker than by way of `view`
        self.view = memoryview(self.buffer)

    def seal(self, size: int) -> bytes | None:
        """The datagram of the packet in `view[:size]`; None if its sequence number cannot be used (again)."""
        length = self._length
        length[0] = size
        if lib.srtp_protect(self._srtp, self._buffer, length) != _OK:
            return None
        return self.buffer[: length[0]]  # type: ignore[no-any-return]  # bytes, of a library without types
