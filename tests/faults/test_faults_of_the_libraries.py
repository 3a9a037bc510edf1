"""Faults of the libraries below us, each shown to have no way through the running server.

| fault | here | in detail, in the smallest part |
|---|---|---|
| an empty datagram closes a connected peer | `test_empty_and_stray_…` | test_rtc_port, test_rtc_publisher |
| a ClientHello from elsewhere fails a set-up | `test_a_foreign_client_hello_…` | test_rtc_port |
| unbounded queues behind the port | `test_empty_and_stray_…` | test_rtc_port (`a_storm_of_malformed_datagrams`) |
| thousands of candidates block the event loop | `test_an_offer_full_of_candidates_…` | test_rtc_sdp |
| mutated SDP and STUN raise anything | `test_mutated_offers_…` | test_rtc_sdp, test_rtc_packets |
| addresses that a client names are probed | `test_nobody_named_in_an_offer_…` | test_rtc_port |
| events without end, and a missing Origin | test_bad_events | tests/signaling |
| a handshake without `auth` is tried again | `test_a_handshake_without_auth_…` | tests/signaling |
| a recording is unreadable after a kill | `test_a_killed_recording_…`, test_killed_while_recording | test_recovery |
"""

import asyncio
import random
import signal
import socket
import time
from pathlib import Path

import pytest
from socketio.exceptions import ConnectionError as Refused

from tests.faults.clinic import Clinic
from tests.faults.server import Server
from tests.faults.wire import Wire, raw_call
from tests.recordings.recording_clips import watch

SEED = 20_261_122
CLIENT_HELLO = bytes.fromhex("16fefd0000000000000000003101000025000000000000002500fefd") + bytes(34)


def strangers(port: int, datagrams: list[bytes]) -> None:
    """Send these from an address nobody knows."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for datagram in datagrams:
            stranger.sendto(datagram, ("127.0.0.1", port))


async def test_empty_and_stray_datagrams_leave_a_recorded_call_alone(clinic: Clinic) -> None:
    dice = random.Random(SEED)
    stray = [b"", CLIENT_HELLO, *(dice.randbytes(dice.randrange(1, 1400)) for _ in range(500))]
    async with raw_call(clinic) as call:
        cameras = await call.record()
        strangers(clinic.house.media_port, stray)
        for camera in cameras:
            camera.send(b"")
        stored = call.clinic.figure("media_packets_total")
        reached = [camera.sent + 30 for camera in cameras]
        await call.film(cameras, lambda: all(c.sent >= n for c, n in zip(cameras, reached, strict=True)))
        assert call.recording()
        assert clinic.figure("media_legs") == 2
        assert clinic.figure("media_packets_total") > stored + 60
        await call.doctor.does("end")


async def test_a_foreign_client_hello_does_not_fail_a_set_up(clinic: Clinic) -> None:
    async with raw_call(clinic) as call:
        await call.consent()
        camera = call.camera()
        camera.answer = (await call.patient.does("leg.offer", {"sdp": camera.offer}))["sdp"]
        strangers(clinic.house.media_port, [CLIENT_HELLO] * 20)
        await camera.pass_check()
        strangers(clinic.house.media_port, [CLIENT_HELLO] * 20)
        await camera.handshake()
        await call.doctor.does("end")


async def test_an_offer_full_of_candidates_is_refused_while_others_are_answered(clinic: Clinic) -> None:
    candidate = "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n"
    async with raw_call(clinic) as call:
        await call.consent()
        offer = call.camera().offer
        fits = offer + candidate * ((48 * 1024 - len(offer)) // len(candidate))
        begun = time.monotonic()
        refused, healthy = await asyncio.gather(
            call.patient.send("leg.offer", {"sdp": fits}), asyncio.to_thread(clinic.admin.ask, "GET", "/healthz")
        )
        assert refused == {"ok": False, "error": "offer_refused"}
        assert healthy.status == 200
        assert time.monotonic() - begun < 1.5
        await call.doctor.does("end")


async def test_mutated_offers_get_an_answer_or_one_code(clinic: Clinic) -> None:
    dice = random.Random(SEED)
    async with raw_call(clinic) as call:
        await call.consent()
        offer = call.camera().offer
        legs, relayed = [], []
        for _ in range(40):
            sdp = mutated(offer, dice)
            legs.append(await call.patient.send("leg.offer", {"sdp": sdp}))
            description = {"to": call.doctor.participant, "description": {"type": "offer", "sdp": sdp}}
            relayed.append(await call.patient.send("signal", description))
            await asyncio.sleep(0.05)  # beneath what counts as a flood
        assert {answer.get("error") for answer in legs} == {None, "offer_refused"}
        assert all(answer["ok"] for answer in relayed), "browsers refuse what they cannot use"
        await call.doctor.does("end")


def mutated(text: str, dice: random.Random) -> str:
    """One to four lines of it lost, doubled, cut or garbled."""
    lines = text.split("\r\n")
    for _ in range(dice.randrange(1, 5)):
        at = dice.randrange(len(lines))
        line = lines[at]
        cut = dice.randrange(len(line) + 1)
        lines[at : at + 1] = dice.choice(([], [line, line], [line[:cut]], [line[:cut] + dice.choice(" :=/9x") + line]))
        lines = lines or [""]
    return "\r\n".join(lines)


async def test_nobody_named_in_an_offer_is_probed_and_nobody_else_is_named_in_the_answer(clinic: Clinic) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bystander:
        bystander.bind(("127.0.0.1", 0))
        bystander.setblocking(False)
        named = f"a=candidate:1 1 udp 2130706431 127.0.0.1 {bystander.getsockname()[1]} typ host\r\n"
        named += "a=candidate:2 1 udp 2130706430 5f2a6b1c-0000-4000-8000-000000000000.local 9 typ host\r\n"
        async with raw_call(clinic) as call:
            await call.consent()
            camera = call.camera()
            answer = (await call.patient.does("leg.offer", {"sdp": camera.offer + named}))["sdp"]
            candidates = {line.split()[4:6][0] for line in answer.splitlines() if line.startswith("a=candidate:")}
            assert candidates == {"127.0.0.1"}
            await camera.connect(answer)
            await call.doctor.does("end")
        with pytest.raises(BlockingIOError):
            bystander.recv(1)


@pytest.mark.parametrize("auth", [None, {}, {"visit": "vis_nobody"}, {"watch": "yes"}, [1], {"join": True}])
async def test_a_handshake_without_auth_or_with_nonsense_is_refused_once_and_for_good(
    clinic: Clinic, auth: object
) -> None:
    wire = Wire(clinic.admin)
    with pytest.raises(Refused):
        await wire.connect(auth)
    assert wire.refused["data"]["error"] in ("malformed", "unauthenticated")
    assert clinic.empties()


async def test_a_killed_recording_is_sealed_at_the_next_start_and_plays(tmp_path: Path) -> None:
    with Server(tmp_path) as house:
        clinic = Clinic(house)
        async with raw_call(clinic) as call:
            cameras = await call.record()
            await call.film(cameras, lambda: cameras[0].sent > 60)
            house.stop(signal.SIGKILL)
        house.start()
        recording = clinic.recording_in("sealed", 5)
        assert recording["interrupted"] is True
        for webm in clinic.tracks(recording).values():
            assert len(watch(webm).pictures) > 15
        assert not [line for line in house.logged() if "exception_type" in line]
