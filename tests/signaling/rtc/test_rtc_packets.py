"""RTP, RTCP, STUN and VP8 descriptors: right ones are read, broken ones never raise."""

import random
import struct

import pytest
from aioice import stun
from media_parts import parse_rtp, rtp

from signaling.rtc import rtcp
from signaling.rtc.dtls import split_records
from signaling.rtc.ice import read_check
from signaling.rtc.rtp import is_rtcp, payload_bounds
from signaling.rtc.vp8 import Broken, Vp8Assembler, Vp8Frame, read_descriptor

SEED = 20261122


def bounds(datagram: bytes) -> tuple[int, int] | None:
    """Read as it is where packets come: in a buffer that holds more than the packet."""
    view = memoryview(bytearray(2048))
    view[: len(datagram)] = datagram
    return payload_bounds(view, len(datagram), datagram[0])


def test_header_extensions_contributors_and_padding_are_stepped_over() -> None:
    head = struct.pack("!BBHII", 0x80 | 0x20 | 0x10 | 2, 0x80 | 96, 7, 8, 9)
    datagram = head + bytes(8) + struct.pack("!HH", 0xBEDE, 1) + b"\x10\x41\0\0" + b"media" + b"\0\0\3"
    assert bounds(datagram) == (28, 33)
    assert datagram[28:33] == b"media"


def test_a_packet_of_nothing_but_padding_has_an_empty_payload() -> None:
    assert bounds(struct.pack("!BBHII", 0xA0, 96, 7, 8, 9) + bytes(254) + b"\xff") == (12, 12)


@pytest.mark.parametrize(
    "datagram",
    [
        struct.pack("!BBHII", 0x8F, 96, 1, 1, 1),
        struct.pack("!BBHII", 0x90, 96, 1, 1, 1),
        struct.pack("!BBHII", 0x90, 96, 1, 1, 1) + b"\xbe\xde\xff\xff",
        struct.pack("!BBHII", 0x91, 96, 1, 1, 1) + bytes(4) + b"\xbe\xde\0\1",
        struct.pack("!BBHII", 0xA0, 96, 1, 1, 1) + b"\0",
        struct.pack("!BBHII", 0xA0, 96, 1, 1, 1) + b"\x07",
    ],
)
def test_lengths_that_point_outside_the_packet_are_refused(datagram: bytes) -> None:
    assert bounds(datagram) is None


def test_rtcp_is_told_from_rtp_by_its_type() -> None:
    assert is_rtcp(rtcp.picture_loss(1, 2))
    assert not is_rtcp(rtp(96, 1, 1, 1, b"", marker=True))
    assert not is_rtcp(b"\x80")


def test_sender_reports_and_goodbyes_are_read_out_of_a_compound_packet() -> None:
    report = struct.pack("!BBHIQIII", 0x80, 200, 6, 7, 0x1122_3344_5566_7788, 99, 1, 1)
    bye = struct.pack("!BBHII", 0x82, 203, 2, 7, 8)
    compound = report + rtcp.source_description({7: "name"}) + bye
    assert rtcp.parse_rtcp(compound) == [rtcp.SenderReport(7, 0x1122_3344_5566_7788, 99), rtcp.Bye((7, 8))]
    assert rtcp.parse_rtcp(compound[:-1]) is None
    assert rtcp.parse_rtcp(struct.pack("!BBHI", 0x9F, 203, 1, 7)) is None


def test_missing_numbers_are_named_across_the_wrap() -> None:
    packet = rtcp.negative_acknowledgement(1, 2, [65534, 65535, 65536, 65550, 65560])
    assert packet[12:] == struct.pack("!HHHH", 65534, 0x8003, 24, 0)
    assert rtcp.negative_acknowledgement(1, 2, []) == b""
    assert len(rtcp.negative_acknowledgement(1, 2, list(range(0, 17_000, 17)))) == 12 + 4 * 64


@pytest.mark.parametrize("rate", [150_000, 262_143, 262_144, 1_000_000, 2_500_000])
def test_a_bandwidth_limit_never_exceeds_what_is_meant(rate: int) -> None:
    packet = rtcp.bandwidth_limit(1, [2, 3], rate)
    told = (int.from_bytes(packet[17:20], "big") & 0x3FFFF) << (packet[17] >> 2)
    assert rate * 0.999 < told <= rate
    assert (packet[1], packet[12:16], packet[16], len(packet)) == (206, b"REMB", 2, 28)


def check_message() -> bytes:
    message = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.REQUEST,
        attributes={"USERNAME": "ours:theirs", "PRIORITY": 1, "ICE-CONTROLLING": 7, "USE-CANDIDATE": None},
    )
    message.add_message_integrity(b"secret")
    return bytes(message)


def test_a_check_names_both_fragments() -> None:
    check = read_check(check_message())
    assert check is not None
    assert (check.ours, check.theirs) == ("ours", "theirs")


def test_answers_and_other_methods_are_no_checks() -> None:
    reply = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.RESPONSE)
    allocate = stun.Message(message_method=stun.Method.ALLOCATE, message_class=stun.Class.REQUEST)
    assert read_check(bytes(reply)) is None
    assert read_check(bytes(allocate)) is None


def test_broken_packets_of_every_kind_never_raise() -> None:
    dice = random.Random(SEED)
    seeds = [
        check_message(),
        rtp(96, 1, 2, 3, b"\x90\xe0\x80\x01\x02\x10frame", marker=True),
        struct.pack("!BBHIQIII", 0x80, 200, 6, 7, 8, 99, 1, 1) + struct.pack("!BBHII", 0x82, 203, 2, 7, 8),
    ]
    assembler = Vp8Assembler()
    for _ in range(6_000):
        broken = bytearray(dice.choice(seeds))
        del broken[dice.randrange(len(broken) + 1) :]
        broken += dice.randbytes(dice.randrange(3))
        for _ in range(dice.randrange(6)):
            if broken:
                broken[dice.randrange(len(broken))] = dice.randrange(256)
        datagram = bytes(broken)
        read_check(datagram)
        rtcp.parse_rtcp(datagram)
        read_descriptor(datagram)
        found = bounds(datagram) if len(datagram) >= 12 else None
        if found is not None:
            assert 12 <= found[0] <= found[1] <= len(datagram)
            assembler.push(datagram[1] >= 0x80, int.from_bytes(datagram[4:8], "big"), datagram[slice(*found)])


def part(sequence: int, payload: bytes, *, timestamp: int = 0, marker: bool = False) -> Vp8Frame | Broken | None:
    packet = parse_rtp(rtp(96, sequence, timestamp, 1, payload, marker=marker))
    return ASSEMBLER.push(packet.marker, packet.timestamp, packet.payload)


ASSEMBLER = Vp8Assembler()


def test_a_frame_is_put_together_from_its_packets_without_their_descriptors() -> None:
    ASSEMBLER.lose()
    assert part(1, b"\x90\xf0\x81\x02\x03\x04\x10one") is None
    assert part(2, b"\x11two") is None
    assert part(3, b"") is None
    assert part(4, b"\x00three", marker=True) == Vp8Frame(b"\x10onetwothree", 0, True)
    assert part(5, b"\x10\x11delta", timestamp=9, marker=True) == Vp8Frame(b"\x11delta", 9, False)


def test_a_sender_that_breaks_the_format_has_to_start_with_a_key_frame_again() -> None:
    ASSEMBLER.lose()
    assert part(1, b"\x10\x10key", marker=True) == Vp8Frame(b"\x10key", 0, True)
    assert part(2, b"\x00no start") is Broken.BROKEN
    assert part(3, b"\x10\x11delta", marker=True) is None
    assert part(4, b"\x10\x10key") is None
    assert part(5, b"\x00other time", timestamp=5, marker=True) is Broken.BROKEN
    assert ASSEMBLER.needs_key


def test_frames_have_a_largest_size() -> None:
    ASSEMBLER.lose()
    part(0, b"\x10\x10key")
    answers = [part(number, b"\x00" + bytes(1400)) for number in range(1, 800)]
    assert Broken.BROKEN in answers


def test_handshake_records_are_kept_whole_and_datagrams_small() -> None:
    records = [bytes([22, 254, 253]) + bytes(8) + size.to_bytes(2, "big") + bytes(size) for size in (400, 700, 300, 90)]
    datagrams = split_records(b"".join(records), 1200)
    assert datagrams == [records[0] + records[1], records[2] + records[3]]
    assert split_records(b"", 1200) == []
