"""Sockets that behave, sockets that drop, and sockets that do not behave."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import ClientSession, WSServerHandshakeError
from socketio.exceptions import ConnectionError as Refused

from signaling.messages import LONGEST_SDP
from telehealth.access import Caller
from tests.signaling.socket_house import ORIGIN, Browser, SocketHouse
from tests.telehealth.visits.visit_house import ADMIN, Key, Place, Staff

CONNECT = '40/visit,{"join":true}'


async def refused(house: SocketHouse, who: object, auth: object, **more: object) -> object:
    browser = Browser(who, house.url)  # type: ignore[arg-type]
    with pytest.raises(Refused):
        await browser.connect(auth, **more)  # type: ignore[arg-type]
    await browser.drop()
    return (browser.refused or {}).get("data", {}).get("error") if isinstance(browser.refused, dict) else None


async def test_a_missing_or_foreign_origin_is_refused(house: SocketHouse) -> None:
    staff = await house.place.staff()
    for origin in (None, "http://evil.example", "null", f"{ORIGIN}.evil.example", f"{ORIGIN}:1"):
        await refused(house, staff, {"watch": True}, origin=origin)
        headers = {"Origin": origin} if origin else {}
        async with ClientSession() as session:
            with pytest.raises(WSServerHandshakeError) as fault:
                await session.ws_connect(f"{house.url}/socket.io/?EIO=4&transport=websocket", headers=headers)
            assert fault.value.status == 403


async def test_long_polling_is_not_offered(house: SocketHouse) -> None:
    async with ClientSession() as session:
        for query in ("transport=polling", "transport=websocket"):
            async with session.get(f"{house.url}/socket.io/?EIO=4&{query}", headers={"Origin": ORIGIN}) as answer:
                assert answer.status == 426


async def test_without_a_cookie_or_with_a_wrong_one_nobody_gets_in(house: SocketHouse) -> None:
    staff = await house.place.staff()
    visit, guest = await house.place.booked(staff)
    assert await refused(house, None, {"join": True}) == "unauthenticated"
    assert await refused(house, guest, {"visit": visit.id}) == "unauthenticated"
    assert await refused(house, staff, {"join": True}) == "unauthenticated"
    staff.cookie = "x"
    assert await refused(house, staff, {"watch": True}) == "unauthenticated"


@pytest.mark.parametrize(
    "auth", [None, {}, [], "watch", {"watch": False}, {"visit": 1}, {"join": True, "visit": "x"}, 7]
)
async def test_a_handshake_that_says_nothing_sensible_is_refused_once(house: SocketHouse, auth: object) -> None:
    staff = await house.place.staff()
    assert await refused(house, staff, auth) in ("malformed", None)
    assert len(house.sockets) == 0


async def test_a_stolen_cookie_without_the_sessions_key_opens_no_socket(house: SocketHouse) -> None:
    key = Key()
    staff = await house.place.staff(browser_key=key.jwk)
    caller = await house.place.caller(staff)
    proof = _proof(key, house.place.possession.challenge(caller))
    forged = _proof(Key(), house.place.possession.challenge(caller))
    for wrong in (None, "", forged):
        assert await refused(house, staff, {"watch": True, "proof": wrong}) == "proof_needed"
    await house.browser(staff, {"watch": True, "proof": proof})
    assert await refused(house, staff, {"watch": True, "proof": proof}) == "proof_needed"


def _proof(key: Key, challenge: str) -> str:
    signature = base64.b64decode(key.sign(f"telehealth session proof 1\n{challenge}"))
    return f"{challenge}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


async def test_a_fault_in_the_handshake_refuses_and_is_not_tried_again(house: SocketHouse) -> None:
    """A TypeError in the handler makes the library call it once more without `auth`: that must not let anybody in."""
    staff = await house.place.staff()
    calls: list[str] = []

    class Broken:
        async def resolve(self, token: str, *, address: str | None, device: str | None) -> Caller:
            calls.append(token)
            raise TypeError("broken")

    object.__setattr__(house.doors, "staff", Broken())
    assert await refused(house, staff, {"watch": True}) == "unavailable"
    assert len(calls) == 1
    assert len(house.sockets) == 0


async def test_a_reload_replaces_the_earlier_socket_and_keeps_the_participant(house: SocketHouse) -> None:
    _, patient = await house.call()
    again = await house.browser(patient.who, {"join": True})
    assert (await again.enter(page="p2"))["ok"]
    assert again.participant == patient.participant
    assert again.view["self"]["state"] == "admitted"
    await patient.event("replaced")
    await patient.closed()
    await asyncio.sleep(0.02)
    assert next(p for p in again.view["participants"] if p["participant"] == again.participant)["online"]


async def test_a_drop_shows_at_once_and_the_return_resumes(house: SocketHouse) -> None:
    doctor, patient = await house.call()
    await patient.drop()
    await doctor.sees(lambda view: not other(view)["online"])
    assert other(doctor.view)["state"] == "admitted"
    again = await house.browser(patient.who, {"join": True})
    assert (await again.enter())["view"]["self"]["state"] == "admitted"


async def test_who_comes_back_too_late_waits_again(hasty: SocketHouse) -> None:
    doctor, patient = await hasty.call()
    await patient.drop()
    await doctor.sees(lambda view: other(view)["state"] == "left")
    again = await hasty.browser(patient.who, {"join": True})
    assert (await again.enter())["view"]["self"]["state"] == "waiting"


async def test_the_removed_are_told_and_stay_out(house: SocketHouse) -> None:
    doctor, patient = await house.call()
    assert (await doctor.send("remove", {"participant": patient.participant})) == {"ok": True}
    assert (await patient.event("ended"))["reason"] == "removed"
    await patient.closed()
    assert await refused(house, patient.who, {"join": True}) in ("unauthenticated", "removed")


async def test_leaving_is_answered_before_the_socket_closes(house: SocketHouse) -> None:
    _, patient = await house.call()
    assert (await patient.send("leave")) == {"ok": True}
    assert (await patient.event("ended"))["reason"] == "left"
    await patient.closed()


async def test_signing_out_closes_every_socket_within_a_second(house: SocketHouse) -> None:
    doctor, patient = await house.call()
    desk = await house.browser(doctor.who, {"watch": True})
    await house.place.sessions.end(doctor.who.cookie)  # type: ignore[union-attr]
    async with asyncio.timeout(1):
        for browser in (doctor, desk):
            assert (await browser.event("ended"))["reason"] == "signed_out"
            await browser.closed()
    await patient.sees(lambda view: other(view)["state"] == "left")


ENDINGS: dict[str, Callable[[Place, Staff], Awaitable[object]]] = {
    "disabled": lambda place, staff: place.people.change(ADMIN, staff.id, disabled=True),
    "another role": lambda place, staff: place.people.change(ADMIN, staff.id, role="front_desk"),
    "reset": lambda place, staff: place.people.reset(ADMIN, staff.id),
    "ended by an admin": lambda place, staff: place.sessions.end_all(staff.id, by=ADMIN),
}


@pytest.mark.parametrize("how", ENDINGS)
async def test_whatever_ends_a_session_closes_its_sockets_within_a_second(house: SocketHouse, how: str) -> None:
    staff = await house.place.staff()
    desk = await house.browser(staff, {"watch": True})
    async with asyncio.timeout(1):
        await ENDINGS[how](house.place, staff)
        assert (await desk.event("ended"))["reason"] == "signed_out"
        await desk.closed()
    assert await refused(house, staff, {"watch": True}) == "unauthenticated"


async def test_a_session_that_ends_during_the_handshake_opens_no_socket(house: SocketHouse) -> None:
    staff = await house.place.staff()

    async def prove(caller: Caller, proof: str | None) -> None:
        await house.place.possession.require(caller, proof)
        await house.place.sessions.end(staff.cookie)

    object.__setattr__(house.doors, "prove", prove)
    assert await refused(house, staff, {"watch": True}) == "unauthenticated"
    assert len(house.sockets) == 0


async def test_signals_pass_only_between_the_admitted_of_one_visit(house: SocketHouse) -> None:
    doctor, patient = await house.call()
    visit, guest = await house.place.booked(doctor.who)  # type: ignore[arg-type]
    outsider = await house.patient(guest)
    signal = {"description": {"type": "offer", "sdp": "v=0"}}
    for sender, to, code in (
        (outsider, doctor.participant, "not_admitted"),
        (doctor, outsider.participant, "no_such_participant"),
        (doctor, doctor.participant, "no_such_participant"),
        (patient, "par_" + "a" * 26, "no_such_participant"),
    ):
        assert (await sender.send("signal", {"to": to, **signal}))["error"] == code
    assert "signal" not in [event for event, _ in outsider.heard]
    assert (await doctor.send("signal", {"to": patient.participant, **signal}))["ok"]
    assert (await patient.event("signal"))["from"] == doctor.participant
    assert visit.id


async def test_a_signal_is_bounded_and_of_one_shape(house: SocketHouse) -> None:
    doctor, patient = await house.call()
    to = patient.participant
    for payload in (
        {"to": to, "description": {"type": "offer", "sdp": "a" * (LONGEST_SDP + 1)}},
        {"to": to, "description": {"type": "offer", "sdp": "ü"}},
        {"to": to, "description": {"type": "other", "sdp": ""}},
        {"to": to, "candidate": {"candidate": "c" * 1025}},
        {"to": to, "candidate": {"candidate": "", "more": 1}},
        {"to": to, "description": {"type": "offer", "sdp": ""}, "candidate": {"candidate": ""}},
        {"to": "everybody"},
        {},
        None,
        7,
        [1],
    ):
        assert (await doctor.send("signal", payload))["error"] == "malformed"
    assert (await doctor.send("signal", {"to": to, "description": None, "candidate": None})) == {"ok": True}


async def test_every_event_is_answered_whatever_its_name(house: SocketHouse) -> None:
    doctor, _ = await house.call()
    for event in ("connect", "disconnect", "trigger_event", "__init__", "", "admit ", "on_connect"):
        assert (await doctor.send(event, {"x": 1})) == {"ok": False, "error": "unknown_event"}
    for forged in (({"aiohttp.request": {}},), ({"aiohttp.request": {}}, {"watch": True})):
        assert (await doctor.send("connect", forged)) == {"ok": False, "error": "unknown_event"}
    assert (await doctor.send("ping"))["ok"]
    assert (await doctor.send("ping", ({}, {})))["error"] == "malformed"


async def test_a_watching_socket_takes_part_in_nothing(house: SocketHouse) -> None:
    staff = await house.place.staff()
    desk = await house.browser(staff, {"watch": True})
    assert (await desk.enter())["error"] == "not_entered"
    assert (await desk.send("end"))["error"] == "not_entered"
    auditor = await house.place.staff("eve", "auditor")
    assert await refused(house, auditor, {"watch": True}) == "forbidden"


async def test_before_entering_nothing_is_done(house: SocketHouse) -> None:
    staff = await house.place.staff()
    visit, _ = await house.place.booked(staff)
    doctor = await house.browser(staff, {"visit": visit.id})
    for event in ("leave", "end", "recording.stop", "consent.withdraw"):
        assert (await doctor.send(event))["error"] == "not_entered"
    bad = {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}
    assert (await doctor.enter(public_key=bad))["error"] == "key_invalid"
    assert (await doctor.enter(language="klingon!"))["error"] == "malformed"


async def test_screen_sharing_is_forbidden_and_stopped(house: SocketHouse) -> None:
    doctor, patient = await house.call()
    media = {"audio": True, "video": True, "screen": True}
    assert (await patient.send("media", media)) == {"ok": True}
    await doctor.sees(lambda view: other(view)["screen"])
    assert (await doctor.send("screen_policy", {"forbidden": True})) == {"ok": True}
    await patient.event("screen.stop")
    assert (await patient.send("media", media))["error"] == "screen_forbidden"
    await patient.sees(lambda view: view["screen_forbidden"])
    assert not other(doctor.view)["screen"]


async def test_quality_is_for_the_clinician_alone(house: SocketHouse) -> None:
    doctor, patient = await house.call()
    assert (await patient.send("quality", {"level": 2, "rtt_ms": 120, "loss": 0.01})) == {"ok": True}
    await doctor.sees(lambda view: other(view)["quality"] == 2)
    assert all(person["quality"] is None for person in patient.view["participants"])
    assert (await patient.send("quality", {"level": 5, "rtt_ms": 1, "loss": 0}))["error"] == "malformed"


async def test_a_flood_is_slowed_then_cut_and_the_call_of_the_other_goes_on(house: SocketHouse) -> None:
    doctor, patient = await house.call()
    for _ in range(300):
        await patient.client.emit("ping", {}, namespace="/visit")
    await patient.closed()
    await doctor.sees(lambda view: not other(view)["online"])
    assert (await doctor.send("ping"))["ok"]
    again = await house.browser(patient.who, {"join": True})
    assert (await again.enter())["view"]["self"]["state"] == "admitted"


async def test_a_little_too_much_is_answered_slow_down(house: SocketHouse) -> None:
    _, patient = await house.call()
    for _ in range(150):  # in less time than gives another hundred
        await patient.client.emit("ping", {}, namespace="/visit")
    await patient.event("slow_down")
    await patient.closed()


async def test_ice_servers_carry_credentials_that_expire(house: SocketHouse) -> None:
    staff = await house.place.staff()
    visit, _ = await house.place.booked(staff)
    doctor = await house.browser(staff, {"visit": visit.id})
    answer = await doctor.enter()
    stun, turn = answer["ice_servers"]
    assert stun == {"urls": ["stun:turn.example"]}
    expires, _, who = turn["username"].partition(":")
    assert who == doctor.participant
    assert int(expires) > house.place.clock.now().timestamp()
    assert turn["credential"]


def other(view):  # type: ignore[no-untyped-def]
    return next(p for p in view["participants"] if p["participant"] != view["self"]["participant"])


BYTES = [
    "0",
    "2",
    "40/visit,",
    "40/visit,[",
    "42/visit,[]",
    "42/visit,{}",
    "41/visit,",
    "43/visit,1[]",
    "44/visit,{}",
    "49",
]


@pytest.mark.parametrize(
    "frame", [*BYTES, '45/visit,1-["ping",{"_placeholder":true,"num":0}]', "451-[", "\x00", "4", ""]
)
async def test_a_malformed_frame_ends_that_socket_at_most(house: SocketHouse, frame: str) -> None:
    doctor, _ = await house.call()
    async with house.raw() as wire:
        await wire.receive_str()
        await wire.send_str(frame)
        await wire.send_bytes(b"\x00" * 100)
        async with asyncio.timeout(2):
            while not wire.closed:
                await wire.receive()
    assert (await doctor.send("ping"))["ok"]


async def test_a_message_beyond_128_kib_ends_the_socket(house: SocketHouse) -> None:
    async with house.raw() as wire:
        await wire.receive_str()
        await wire.send_str("4" + "x" * 140_000)
        async with asyncio.timeout(2):
            while not wire.closed:
                await wire.receive()


async def test_nothing_is_compressed(house: SocketHouse) -> None:
    async with house.raw(**{"Sec-WebSocket-Extensions": "permessage-deflate"}) as wire:
        assert wire.compress == 0


async def test_who_does_not_read_is_cut_and_holds_up_nobody(house: SocketHouse) -> None:
    doctor, patient = await house.call()
    assert patient.who is not None
    async with house.raw(Cookie=f"visit={patient.who.cookie}") as wire:
        await wire.receive_str()
        await wire.send_str(CONNECT)
        while not (await wire.receive_str()).startswith("40/visit"):
            pass
        entered = {"public_key": patient.who.key.jwk, "language": "en", "audio": True, "video": True}
        await wire.send_str(f"42/visit,1{json.dumps(['enter', entered])}")
        await patient.event("replaced")
        seat = house.sockets._seats[patient.participant]
        for _ in range(2_000):  # far more than the buffers of both ends
            if seat.sid not in house.sockets._open:
                break
            house.sockets.to_participant(patient.participant, "signal", {"filler": "x" * 40_000})
            await asyncio.sleep(0)
        assert len(seat.waiting) <= 128
    await doctor.sees(lambda view: not other(view)["online"])
    assert (await doctor.send("ping"))["ok"]
