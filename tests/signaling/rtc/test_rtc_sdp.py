"""Offers: what is taken, what is answered, what is refused, and how long that may take."""

import random
import time
from contextlib import suppress
from pathlib import Path

import pytest
from media_parts import VIDEO_SSRC, field, offer_lines

from signaling.rtc.answer import Place, write_answer
from signaling.rtc.ice import Credentials
from signaling.rtc.sdp import Offer, OfferRefused, parse_offer

OFFERS = Path(__file__).parent / "offers"
FINGERPRINT = ":".join(["AB"] * 32)
PLACE = Place(("192.0.2.7", "2001:db8::7"), 50_000, ("sha-256", FINGERPRINT))
OURS = Credentials.fresh(lambda count: bytes(count))


def small(**changes: str) -> str:
    """The small offer with every occurrence of some texts replaced."""
    text = "\r\n".join(offer_lines("ufrag", "p" * 24, FINGERPRINT)) + "\r\n"
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def swapped(old: str, new: str) -> str:
    text = small()
    assert old in text
    return text.replace(old, new)


def answer(offer: Offer) -> str:
    return write_answer(offer, PLACE, OURS, 1, 1)


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
def test_offers_of_real_browsers_get_vp8_opus_and_rtx(browser: str) -> None:
    offer = parse_offer((OFFERS / f"{browser}.sdp").read_text())
    audio, camera = offer.sending
    assert (audio.source, camera.source) == ("audio", "camera")
    assert None not in (audio.codec, camera.codec, camera.ssrc, camera.repair)
    assert camera.codec is not None
    assert camera.codec.rtx is not None
    assert "nack" in camera.codec.feedback
    text = answer(offer)
    assert "transport" not in text
    assert "goog-remb" in text
    assert "ccm fir" in text
    assert text.count("urn:ietf:params:rtp-hdrext:sdes:mid") == 2


def test_the_answer_is_ice_lite_passive_receive_only_and_bundled() -> None:
    text = answer(parse_offer(small()))
    assert "a=ice-lite\r\na=group:BUNDLE 0 1\r\nm=audio 50000 UDP/TLS/RTP/SAVPF 111\r\n" in text
    for line in ("a=recvonly", "a=setup:passive", "a=rtcp-mux", "a=rtcp-rsize", "a=end-of-candidates"):
        assert text.count(line + "\r\n") == 2
    assert "a=candidate:0 1 udp 2130706431 192.0.2.7 50000 typ host\r\n" in text
    assert "a=candidate:1 1 udp 2130706175 2001:db8::7 50000 typ host\r\n" in text
    assert field(text, "fingerprint") == f"sha-256 {FINGERPRINT}"
    assert "apt=96" in text


def more_video(mid: int, direction: str = "sendonly", ssrc: int = 0x4444) -> str:
    """One more video section of the same payload types."""
    lines = [line for line in small()[small().index("m=video") :].split("\r\n") if "ssrc-group" not in line]
    text = "\r\n".join(lines).replace("a=mid:1", f"a=mid:{mid}").replace("sendonly", direction)
    return text.replace(f"ssrc:{VIDEO_SSRC}", f"ssrc:{ssrc}")


def test_a_third_video_section_and_data_channels_are_answered_with_port_zero() -> None:
    screen, video = more_video(4), more_video(2, ssrc=0x5555)
    data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:3\r\na=sctp-port:5000\r\n"
    text = answer(parse_offer(swapped("BUNDLE 0 1", "BUNDLE 0 1 4 2 3") + screen + video + data))
    assert "a=group:BUNDLE 0 1 4\r\n" in text
    assert text.endswith(
        "m=video 0 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\na=mid:2\r\n"
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\na=mid:3\r\n"
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "nothing_to_receive"),
        ("v=0\r\n" + "a=x\r\n" * 30_000, "too_large"),
        ("v=0\r\n" + "a=\r\n" * 7_000, "too_many_lines"),
        (small() + "".join(f"a=extmap:{number} x\r\n" for number in range(300)), "too_many_lines"),
        (small() + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" * 33, "too_many_lines"),
        (small() + "a=note:\x1b[31m\r\n", "not_plain"),
        (small() + "a=mid:\u0661\r\n", "not_plain"),
        (swapped("a=sendonly", "a=recvonly"), "nothing_to_receive"),
        (swapped("a=rtcp-mux", "a=x"), "nothing_to_receive"),
        (swapped("BUNDLE 0 1", "LS 0 1"), "nothing_to_receive"),
        (swapped("RTP/SAVPF", "RTP/SAVP"), "nothing_to_receive"),
        (swapped("setup:actpass", "setup:passive"), "dtls_role"),
        (swapped("a=setup:actpass", "a=x"), "dtls_role"),
        (swapped("setup:actpass", "setup:later"), "unreadable"),
        (swapped("a=mid:1", "a=mid:0"), "mid_twice"),
        (swapped("a=mid:1", "a=mid:" + "1" * 40), "section"),
        (swapped(FINGERPRINT, "AB:CD"), "fingerprints"),
        (swapped("sha-256", "sha-1"), "fingerprints"),
        (swapped("sha-256", "md5"), "fingerprints"),
        (swapped("p" * 24, "short"), "ice_credentials"),
        (swapped("111", "96"), "payload_types"),
        (swapped("a=rtpmap:96 VP8/90000", "a=rtpmap:96"), "unreadable"),
        (swapped("a=mid:0", "a=mid:0\r\na=extmap:x y"), "unreadable"),
        (swapped("a=mid:0", "a=mid:0\r\na=ssrc:x y"), "unreadable"),
    ],
)
def test_bad_offers_are_refused_with_one_word(text: str, fault: str) -> None:
    with pytest.raises(OfferRefused) as refused:
        parse_offer(text)
    assert refused.value.fault == fault
    assert refused.value.code == "offer_refused"


def test_two_sections_with_different_certificates_are_refused() -> None:
    text = small().replace(FINGERPRINT, ":".join(["CD"] * 32), 1)
    with pytest.raises(OfferRefused):
        parse_offer(text)


def took(text: str) -> float:
    """Seconds until an offer is answered or refused; the best of three, for the machine has other work."""
    best = 1.0
    for _ in range(3):
        begun = time.perf_counter()
        with suppress(OfferRefused):
            parse_offer(text)
        best = min(best, time.perf_counter() - begun)
    return best


def test_floods_inside_an_offer_are_answered_within_50_ms() -> None:
    candidate = "a=candidate:1 1 udp 2130706431 192.0.2.1 9 typ host\r\n"
    codecs = "".join(f"a=rtpmap:{number} VP8/90000\r\n" for number in range(120))
    section = (
        "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"
        + codecs
        + "".join(f"a=rtcp-fb:{number} nack\r\n" for number in ["*", *range(119)])
    )
    assert took(small() + candidate * 12_000) < 0.05
    assert took(small() + candidate * 1_000) < 0.05
    assert took(small() + section * 6) < 0.05
    assert took(small() + "a=ssrc:1 cname:x\r\n" * 200 + "m=" * 5_000) < 0.05


def test_ordinary_candidates_change_nothing() -> None:
    named = swapped("a=mid:0", "a=mid:0\r\na=candidate:1 1 udp 2 169.254.169.254 80 typ host\r\na=candidate:broken")
    assert parse_offer(named) == parse_offer(small())


def mutated(text: str, dice: random.Random) -> str:
    lines = text.split("\r\n")
    for _ in range(dice.randrange(1, 5)):
        at = dice.randrange(len(lines))
        act = dice.randrange(5)
        if act == 0:
            del lines[at]
        elif act == 1:
            lines.insert(at, lines[dice.randrange(len(lines))])
        elif act == 2:
            lines[at] = lines[at][: dice.randrange(len(lines[at]) + 1)]
        else:
            place = dice.randrange(len(lines[at]) + 1)
            lines[at] = (
                lines[at][:place] + dice.choice([" ", ":", "-1", "/", "=", "9" * 30, "x"]) + lines[at][place + 1 :]
            )
        lines = lines or [""]
    return "\r\n".join(lines)


@pytest.mark.parametrize("browser", ["chromium", "firefox", "small"])
def test_mutated_offers_are_answered_or_refused_and_nothing_else(browser: str) -> None:
    dice = random.Random(20261122)
    text = small() if browser == "small" else (OFFERS / f"{browser}.sdp").read_text()
    refused = 0
    for _ in range(400):
        try:
            lines = answer(parse_offer(mutated(text, dice))).split("\r\n")
        except OfferRefused:
            refused += 1
        else:
            assert all(line[1:2] == "=" for line in lines[:-1])
    assert 0 < refused < 400
