"""What goes between nodes opens for its receiver alone, once, soon, and unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.nodes.seal import HELLO, OLDEST, ORDERED, NotSealed, Seal, header_of
from telehealth.ids import Kind, new_id
from telehealth.secret import Secret

ADA, BOB, CLEO = (new_id(Kind.NODE) for _ in range(3))
SECRET = Secret(b"s" * 32)


def seal(sender: str = ADA, receiver: str = BOB, stream: int = ORDERED, secret: Secret[bytes] = SECRET) -> Seal:
    return Seal(secret, sender, receiver, stream)


def test_the_receiver_reads_what_was_said() -> None:
    packet = seal().close(7, 100.0, {"said": "Zora Quill"})
    header = header_of(packet)
    assert (header.stream, header.sender, header.sequence) == (ORDERED, ADA, 7)
    assert seal().open(packet, 7, 101.0)["said"] == "Zora Quill"
    assert b"Zora" not in packet


@pytest.mark.parametrize(
    "other",
    [seal(receiver=CLEO), seal(sender=CLEO), seal(stream=HELLO), seal(secret=Secret(b"t" * 32)), seal(BOB, ADA)],
    ids=["receiver", "sender", "stream", "secret", "direction"],
)
def test_nobody_else_opens_it(other: Seal) -> None:
    with pytest.raises(NotSealed):
        other.open(seal().close(1, 100.0, {"said": 1}), 1, 100.0)


@pytest.mark.parametrize("now", [100.0 + OLDEST + 0.01, 100.0 - OLDEST - 0.01])
def test_what_is_late_or_from_the_future_is_refused(now: float) -> None:
    with pytest.raises(NotSealed):
        seal().open(seal().close(1, 100.0, {}), 1, now)


def test_a_number_is_used_once() -> None:
    one = seal()
    one.close(2, 0.0, {})
    for number in (2, 1):
        with pytest.raises(ValueError, match="once"):
            one.close(number, 0.0, {})


def opened(packet: bytes) -> object:
    """As the receiver opens it: by what stands in clear."""
    header = header_of(packet)
    return seal(sender=header.sender, stream=header.stream).open(packet, header.sequence, 100.0)


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_bit_of_it_can_change(at: int, bit: int) -> None:
    packet = bytearray(seal().close(3, 100.0, {"said": "admit"}))
    packet[at % len(packet)] ^= 1 << bit
    with pytest.raises(NotSealed):
        opened(bytes(packet))


@given(st.binary(max_size=200))
def test_anything_at_all_is_refused(packet: bytes) -> None:
    with pytest.raises(NotSealed):
        header_of(packet)
