"""The UDP socket under the port: large receive buffer, never blocking."""

import errno
import socket
import struct

RECEIVE_BUFFER = 4 * 1024 * 1024  # octets
_SO_RCVBUFFORCE = 33  # Linux, needs CAP_NET_ADMIN; goes beyond net.core.rmem_max
_SO_MEMINFO = 55  # Linux: nine counters, the last is drops (sock_diag.h)
_MEMINFO = struct.Struct("9I")


def open_udp(host: str, port: int) -> socket.socket:
    """A bound, non-blocking socket with as much of 4 MB of receive buffer as the system grants. Raises OSError."""
    udp = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        udp.setblocking(False)
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


def kernel_drops(udp: socket.socket) -> int | None:
    """Datagrams the kernel dropped at this socket because its buffer was full; None where it does not tell."""
    try:
        counters = udp.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    except OSError:
        return None
    return int(_MEMINFO.unpack(counters)[8]) if len(counters) == _MEMINFO.size else None
