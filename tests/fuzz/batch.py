"""Fuzzed packets through the compiled loop and through Python: the same octets leave, and none too many."""

import socket
from collections.abc import Callable

from pylibsrtp import Error, Policy, Session

from signaling.rtc.state import Address, make_loop
from signaling.rtc.traffic import OUTAGE, Traffic
from telehealth.clock import SystemClock
from tests.fuzz.pieces import apart, joined
from tests.signaling.rtc.media_parts import opus, vp8

Pair = tuple[Traffic, Traffic, list[bytes]]
_LONGEST = 1500  # octets that a leg takes


def _headed(packet: bytes, block: bytes) -> bytes:
    return bytes([0x90]) + packet[1:12] + b"\xbe\xde" + (len(block) // 4).to_bytes(2, "big") + block + packet[12:]


SEEDS = (
    joined(*(_headed(opus(number, 960 * number), b"\x10\x31\x22\1\2\3\0\0") for number in range(1, 5))),
    joined(*(_headed(vp8(number, 90 * number, key=number == 1), b"\x22\1\2\3\x40\x31\0\0") for number in range(1, 5))),
    joined(*(vp8(number, 90 * number, key=number == 65_534) for number in range(65_534, 65_539))),
)


def one_batch(octets: bytes, pair: Callable[[], Pair]) -> None:
    """Each piece is sealed, if it can be, and comes by the usual path of one who publishes."""
    policy = Policy(
        key=bytes(44), ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_256_GCM
    )
    seal, now = Session(policy), SystemClock().steady()
    by_loop, by_python = pair(), pair()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far,
    ):
        for one in (near, far):
            one.bind(("127.0.0.1", 0))
            one.setblocking(False)
        address = Address(near.fileno(), "127.0.0.1", far.getsockname()[1:])
        for traffic in by_loop[:2]:
            traffic.lane.remote = address

        def odd(_door: object, datagram: bytes, _raw: object, when: float) -> None:
            by_loop[0].take(datagram[:_LONGEST], when)

        loop = make_loop(odd, _fault, OUTAGE)
        for piece in apart(octets):
            datagram = _sealed(seal, piece)
            now += 0.02
            before = len(by_loop[2]), len(by_python[2])
            if loop is None:
                odd(None, datagram, None, now)
            else:
                far.sendto(datagram, near.getsockname())
                assert loop.drain(None, {address.key: by_loop[0].lane}, near.fileno(), near.fileno(), 8, now) == 1
            by_python[0].take(datagram[:_LONGEST], now)
            assert by_loop[2][before[0] :] + _come(far) == by_python[2][before[1] :]


def _fault(_leg: object, error: Exception) -> None:
    raise error


def _sealed(seal: Session, piece: bytes) -> bytes:
    try:
        return seal.protect(piece)
    except (Error, ValueError):
        return piece[:_LONGEST]


def _come(far: socket.socket) -> list[bytes]:
    found = []
    while True:
        try:
            found.append(far.recv(4096))
        except BlockingIOError:
            return found
