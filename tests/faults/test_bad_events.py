"""What comes over sockets and the media port gets one clear answer or costs its sender the socket; others go on."""

import asyncio
import random
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError
from socketio.exceptions import SocketIOError

from telehealth.ids import Kind, new_id
from tests.faults.clinic import Clinic
from tests.faults.wire import Wire, bare_socket, raw_call


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "https://elsewhere.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1"}]
)
async def test_no_socket_opens_for_a_missing_or_foreign_origin(clinic: Clinic, headers: dict[str, str]) -> None:
    with pytest.raises(WSServerHandshakeError) as seen:
        async with bare_socket(clinic.house, Cookie=clinic.clinician.cookie, **headers):
            pass
    assert seen.value.status == 403
    assert clinic.empties()


@pytest.mark.parametrize("first", ["", "2", "40/visit,{", "40/visit,[]", "451-/visit,[]", "9" * 500, "42[", "\x00"])
async def test_a_wire_that_speaks_nonsense_is_refused_or_closed(clinic: Clinic, first: str) -> None:
    async with bare_socket(clinic.house, Origin=clinic.house.url, Cookie=clinic.clinician.cookie) as wire:
        await wire.receive(timeout=3)
        await wire.send_str(first)
        with suppress(ConnectionResetError):
            await wire.send_str('40/visit,{"watch": "perhaps"}')
        answers: list[str] = []
        while not answers or not answers[-1].startswith("44/visit,"):
            message = await wire.receive(timeout=5)
            if message.type is not WSMsgType.TEXT:
                break
            answers.append(message.data)
    assert not any(answer.startswith("40") for answer in answers), answers
    assert clinic.empties()


NONSENSE: list[Any] = [7, "x", [], {"to": 7}, {"participant": "par_"}, {"colour": "red"}, {"sdp": 7}, {"request": None}]
EVENTS = [
    *("enter", "admit", "remove", "signal", "media", "screen_policy", "quality"),
    *("recording.ask", "consent.answer", "leg.offer", "leg.ready"),
]


async def test_events_full_of_nonsense_are_malformed_and_change_nothing(clinic: Clinic) -> None:
    async with raw_call(clinic) as call:
        for event in EVENTS:
            for payload in NONSENSE:
                answer = await call.patient.send(event, payload)
                assert (answer["ok"], answer["error"]) == (False, "malformed"), (event, payload, answer)
                await asyncio.sleep(0.02)  # beneath what counts as a flood
        for event in ("nothing", "connect", "disconnect", "__class__", "trigger_event", "message"):
            assert (await call.patient.send(event, {}))["error"] in ("unknown_event", "malformed"), event
        assert online(call.doctor.view, call.patient)
        await call.doctor.does("end")


def online(view: Mapping[str, Any], who: Wire) -> bool:
    return any(one["online"] for one in view["participants"] if one["participant"] == who.participant)


async def test_the_wrong_role_or_moment_gets_its_own_code(clinic: Clinic) -> None:
    async with raw_call(clinic) as call:
        patient, doctor = call.patient, call.doctor
        nobody = new_id(Kind.PARTICIPANT)
        offer = call.camera().offer
        for wire, event, payload, code in (
            (patient, "admit", {"participant": nobody}, "clinician_only"),
            (patient, "remove", {"participant": doctor.participant}, "clinician_only"),
            (patient, "end", {}, "clinician_only"),
            (patient, "screen_policy", {"forbidden": True}, "clinician_only"),
            (patient, "recording.ask", {"purpose": "training"}, "clinician_only"),
            (patient, "recording.stop", {}, "clinician_only"),
            (patient, "consent.withdraw", {}, "wrong_state"),
            (patient, "leg.offer", {"sdp": offer}, "leg_not_wanted"),
            (patient, "signal", {"to": nobody}, "no_such_participant"),
            (doctor, "admit", {"participant": nobody}, "no_such_participant"),
            (doctor, "admit", {"participant": patient.participant}, "wrong_state"),
            (doctor, "recording.stop", {}, "wrong_state"),
            (doctor, "recording.resume", {}, "wrong_state"),
        ):
            assert await wire.send(event, payload) == {"ok": False, "error": code}, event
        await call.doctor.does("end")


async def test_a_forged_receipt_counts_as_no_answer(clinic: Clinic) -> None:
    async with raw_call(clinic) as call:
        await call.doctor.does("recording.ask", {"purpose": "training"})
        asked = await call.patient.hears("consent.asked")
        said = call.doctor.key.receipt(asked, call.visit.id, call.patient.participant, "yes")
        assert (await call.patient.send("consent.answer", said))["error"] == "receipt_invalid"
        await call.doctor.agrees()
        assert not call.recording()
        assert (await call.patient.send("leg.offer", {"sdp": call.camera().offer}))["error"] == "leg_not_wanted"
        await call.doctor.does("end")


async def test_a_huge_description_is_refused_and_one_beyond_all_measure_costs_its_sender_the_socket(
    clinic: Clinic,
) -> None:
    candidates = "a=candidate:1 1 udp 2130706431 192.0.2.1 9 typ host\r\n" * 12_000
    async with raw_call(clinic) as call, raw_call(clinic) as other:
        for event, payload in (
            ("signal", {"to": call.doctor.participant, "description": {"type": "offer", "sdp": "x" * 50_000}}),
            ("leg.offer", {"sdp": "x" * 100_000}),
            ("signal", {"to": call.doctor.participant, "description": {"type": "offer", "sdp": "é"}}),
        ):
            assert (await call.patient.send(event, payload))["error"] == "malformed"
        await call.patient.socket.emit("leg.offer", {"sdp": candidates}, namespace="/visit")
        begun = time.monotonic()
        await other.doctor.does("ping")
        assert time.monotonic() - begun < 1.0
        await call.patient.gone()
        await call.doctor.sees(lambda view: not online(view, call.patient))
        await call.doctor.does("ping")
        for held in (call, other):
            await held.doctor.does("end")


async def test_twelve_thousand_candidates_one_by_one_cost_their_sender_the_socket(clinic: Clinic) -> None:
    candidate = {"candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0}
    async with raw_call(clinic) as call, raw_call(clinic) as other:
        answers = await healthy_while(other.patient, flood(call.patient, "signal", call.doctor, candidate))
        assert max(answers) < 1.0
        await call.patient.gone()
        relayed = sum(event == "signal" for event, _ in call.doctor.heard)
        assert 0 < relayed < 400, relayed
        await call.doctor.does("ping")
        for held in (call, other):
            await held.doctor.does("end")


@pytest.mark.parametrize("frame", ["", "x", "b", "4", "4x", "42/visit,[", "42/visit," + "9" * 5000, "41"])
async def test_a_frame_that_cannot_be_read_is_ignored_or_costs_the_seat_at_once(clinic: Clinic, frame: str) -> None:
    async with raw_call(clinic) as call:
        answers: list[Any] = []
        await call.patient.socket.eio.ws.send_str(frame)
        with suppress(SocketIOError):
            await call.patient.socket.emit("ping", {}, namespace="/visit", callback=answers.append)
        async with asyncio.timeout(5):  # less than it takes to notice a connection that is merely silent
            while not answers and online(call.doctor.view, call.patient):
                await asyncio.sleep(0.02)
        await call.doctor.does("ping")
        await call.doctor.does("end")


async def test_too_many_events_are_told_and_then_cut(clinic: Clinic) -> None:
    async with raw_call(clinic) as call:
        for _ in range(100):
            await call.patient.socket.emit("ping", {}, namespace="/visit")
        await call.patient.hears("slow_down")
        await call.patient.gone()
        await call.doctor.sees(lambda view: not online(view, call.patient))
        await call.doctor.does("end")


async def flood(wire: Wire, event: str, to: Wire, candidate: dict[str, Any]) -> None:
    """Send as fast as the wire takes it, until it is cut."""
    payload = {"to": to.participant, "description": None, "candidate": candidate}
    for sent in range(12_000):
        if not wire.socket.connected:
            return
        await wire.socket.emit(event, payload, namespace="/visit")
        if sent % 50 == 0:
            await asyncio.sleep(0)


async def healthy_while(wire: Wire, work: Any) -> list[float]:
    """Seconds that somebody else's events took meanwhile."""
    working = asyncio.create_task(work)
    took: list[float] = []
    while not working.done() or len(took) < 3:
        begun = time.monotonic()
        await wire.does("ping")
        took.append(time.monotonic() - begun)
        await asyncio.sleep(0.05)
    await asyncio.wait({working})
    return took


# Datagrams


async def test_datagrams_of_every_kind_are_dropped_silently_and_a_leg_connects_afterwards(clinic: Clinic) -> None:
    dice = random.Random(20_261_122)
    async with raw_call(clinic) as call:
        camera = call.camera()
        for datagram in (b"", b"\x00", b"\x16\xfe\xfd", b"\x80" + bytes(11), *(bytes([n]) * 40 for n in range(256))):
            camera.send(datagram)
        for _ in range(300):
            camera.send(dice.randbytes(dice.randrange(1, 2100)))
        await call.consent()
        cameras = (await call.leg(call.doctor), await call.leg(call.patient))
        await call.film(cameras, call.recording)
        await call.doctor.does("end")
