"""The sockets under the port: UDP with a large receive buffer and a TCP listener on the same number, never blocking."""

import errno
import socket
import struct
from collections.abc import Sequence
from contextlib import ExitStack

RECEIVE_BUFFER = 8 * 1024 * 1024  # octets, which hold a second of 20,000 small datagrams
_SO_RCVBUFFORCE = 33  # Linux, needs CAP_NET_ADMIN; goes beyond net.core.rmem_max
_SO_MEMINFO = 55  # Linux: nine counters, the last is drops (sock_diag.h)
_MEMINFO = struct.Struct("9I")
_TRIES = 16  # for a number that is free for every socket, where any will do


def open_sockets(hosts: Sequence[str], port: int, *, tcp: bool) -> tuple[list[socket.socket], list[socket.socket]]:
    """UDP sockets and, with `tcp`, listeners of all `hosts`, on one number (0: any that is free). Raises OSError."""
    for tried in range(_TRIES):
        with ExitStack() as made:
            datagrams: list[socket.socket] = []
            streams: list[socket.socket] = []
            number = port
            try:
                for host in hosts:
                    datagrams.append(made.enter_context(open_udp(host, number)))
                    number = datagrams[0].getsockname()[1]
                    if tcp:
                        streams.append(made.enter_context(_open_tcp(host, number)))
            except OSError as error:
                if port or error.errno != errno.EADDRINUSE or tried == _TRIES - 1:
                    raise
                continue
            made.pop_all()
            return datagrams, streams
    raise OSError(errno.EADDRINUSE, "no free number")


def open_udp(host: str, port: int) -> socket.socket:
    """A bound, non-blocking socket with as much of 8 MB of receive buffer as the system grants. Raises OSError."""
    udp = _new(host, socket.SOCK_DGRAM)
    try:
        try:
            udp.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOPROTOOPT):
                raise
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        udp.bind((host, port))
    except OSError:
        udp.close()
        raise
    return udp


def open_beside(udp: socket.socket, far: tuple[str, int] | tuple[str, int, int, int], buffer: int) -> socket.socket:
    """A socket on the same address, connected to `far`: the kernel gives it what comes from there. Raises OSError.

    Sharing the address is allowed for this moment alone; nobody else can bind it before or after.
    """
    beside = socket.socket(udp.family, socket.SOCK_DGRAM)
    try:
        beside.setblocking(False)
        beside.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        beside.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if udp.family == socket.AF_INET6:
            beside.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        beside.bind(udp.getsockname())
        beside.connect(far)
    except OSError:
        beside.close()
        raise
    finally:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    beside.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return beside


def _open_tcp(host: str, port: int) -> socket.socket:
    tcp = _new(host, socket.SOCK_STREAM)
    try:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((host, port))
    except OSError:
        tcp.close()
        raise
    return tcp


def _new(host: str, kind: int) -> socket.socket:
    """IPv6 sockets take IPv6 alone, so that "::" goes beside "0.0.0.0" and no address has two spellings."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
    made.setblocking(False)
    if made.family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made


def kernel_drops(udp: socket.socket) -> int | None:
    """Datagrams the kernel dropped at this socket because its buffer was full; None where it does not tell."""
    try:
        counters = udp.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    except OSError:
        return None
    return int(_MEMINFO.unpack(counters)[8]) if len(counters) == _MEMINFO.size else None
