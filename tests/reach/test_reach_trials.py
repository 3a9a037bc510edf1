"""Connection tests are few at once, short, and prove what they say; a raw client plays the browser."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from signaling.rtc import MediaPort
from signaling.rtc.probe import Destination, Probe, destinations
from telehealth.clock import SystemClock
from telehealth.errors import Refusal
from telehealth.reach.trials import AT_ONCE, OF_ONE_ADDRESS, Trials, TrialsFull, _end_idle


@pytest.fixture
async def port() -> AsyncIterator[MediaPort]:
    opened = await MediaPort.open("127.0.0.1", 0, public_addresses=["127.0.0.1"], clock=SystemClock())
    yield opened
    await opened.close()


@pytest.fixture
def trials(port: MediaPort) -> Trials:
    return Trials(port, os.urandom)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_tone_goes_there_and_reports_come_back(trials: Trials, transport: str) -> None:
    probe = Probe()
    begun = await trials.begin("here", probe.offer, (transport,))  # type: ignore[arg-type]
    (to,) = destinations(begun.sdp)
    assert to.transport == transport
    probed = await probe.run(begun.sdp, to, seconds=0.2)
    assert (probed.fault, probed.sent, probed.lost) == ("", 10, 0)
    assert probed.round_trip is not None


async def test_a_leg_asked_for_by_tcp_takes_no_udp(trials: Trials) -> None:
    probe = Probe()
    begun = await trials.begin("here", probe.offer, ("tcp",))
    (to,) = destinations(begun.sdp)
    probed = await probe.run(begun.sdp, Destination("udp", to.address, to.port), seconds=0.1)
    assert probed.fault == "no_answer"


async def test_another_server_at_the_address_is_noticed(trials: Trials, port: MediaPort) -> None:
    probe = Probe()
    begun = await trials.begin("here", probe.offer, ("udp",))
    digest = next(line for line in begun.sdp.splitlines() if line.startswith("a=fingerprint:"))
    forged = begun.sdp.replace(digest, "a=fingerprint:sha-256 " + ":".join(["AB"] * 32))
    assert (await probe.run(forged, destinations(begun.sdp)[0], seconds=0.1)).fault == "fingerprint"


async def test_nobody_listening_is_told_at_once(trials: Trials) -> None:
    probe = Probe()
    begun = await trials.begin("here", probe.offer, ("udp",))
    closed = await MediaPort.open("127.0.0.1", 0, public_addresses=["127.0.0.1"], clock=SystemClock())
    await closed.close()
    for transport in ("udp", "tcp"):
        to = Destination(transport, "127.0.0.1", closed.port)
        assert (await probe.run(begun.sdp, to, seconds=0.1)).fault == "refused"


async def test_a_test_ends_by_itself_and_gives_its_place_back(port: MediaPort) -> None:
    trials = Trials(port, os.urandom, seconds=0.05)
    await trials.begin("here", (await asyncio.to_thread(Probe)).offer, ("udp",))
    (leg,) = port.legs()
    assert await leg.wait_closed() == "test_over"
    assert trials.running == 0
    assert port.legs() == ()


async def test_one_address_holds_up_nobody_else_and_all_together_are_few(trials: Trials, port: MediaPort) -> None:
    offer = Probe().offer
    for _ in range(OF_ONE_ADDRESS):
        await trials.begin("one", offer, ("udp",))
    with pytest.raises(TrialsFull) as refused:
        await trials.begin("one", offer, ("udp",))
    assert refused.value.retry_after
    for number in range(AT_ONCE - OF_ONE_ADDRESS):
        await trials.begin(f"other {number}", offer, ("udp",))
    for number in range(OF_ONE_ADDRESS - 1):
        await trials.begin(f"one more {number}", offer, ("udp",))
    assert trials.running == AT_ONCE
    with pytest.raises(TrialsFull):
        await trials.begin("everybody has one", offer, ("udp",))
    for leg in port.legs():
        leg.finish("enough")
    assert trials.running == 0


async def test_three_addresses_that_take_every_place_give_one_to_whoever_has_none(
    trials: Trials, port: MediaPort
) -> None:
    offer = Probe().offer
    for number in range(AT_ONCE):
        await trials.begin(f"greedy {number % 3}", offer, ("udp",))
    oldest = port.legs()[0]
    for _ in range(5):  # up to an equal share, less one
        await trials.begin("somebody", offer, ("udp",))
    assert oldest.close_reason == "test_over"
    assert trials.running == len(port.legs()) == AT_ONCE
    for number in range(3):
        with pytest.raises(TrialsFull):
            await trials.begin(f"greedy {number}", offer, ("udp",))


async def test_an_offer_that_is_refused_takes_no_place(trials: Trials) -> None:
    for _ in range(OF_ONE_ADDRESS + 1):
        with pytest.raises(Refusal, match="offer_refused"):
            await trials.begin("one", "v=0\r\n", ("udp",))
    assert trials.running == 0


async def test_only_a_way_over_which_something_came_keeps_its_place(port: MediaPort) -> None:
    trials = Trials(port, os.urandom, seconds=600)
    probe = await asyncio.to_thread(Probe)
    begun = await trials.begin("here", probe.offer, ("udp",))
    await trials.begin("here", probe.offer, ("udp",))
    assert (await probe.run(begun.sdp, destinations(begun.sdp)[0], seconds=0.02)).fault == ""
    living, dead = sorted(port.legs(), key=lambda leg: -leg.stats().packets)
    for leg in (living, dead):
        _end_idle(leg)
    assert dead.close_reason == "test_over"
    assert living.close_reason in (None, "closed_by_peer")
