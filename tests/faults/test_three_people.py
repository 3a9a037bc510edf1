"""Three people on a real server: their recording holds three cameras."""

from contextlib import AsyncExitStack

from tests.faults.clinic import Booked, Clinic
from tests.faults.wire import Camera, RawCall, Wire, raw_call


async def comes(call: RawCall, stack: AsyncExitStack, role: str) -> Wire:
    """A guest who waits."""
    made = call.clinic.clinician.do("POST", f"/api/v1/visits/{call.visit.id}/guests", {"role": role, "name": "Ingrid"})
    link = made["link"]
    booked = Booked(call.visit.id, link["id"], link["url"].partition("#")[2], link["passcode"])
    wire = Wire(call.clinic.verified(booked, details=False))
    stack.push_async_callback(wire.socket.disconnect)
    await wire.connect({"join": True})
    await wire.enter()
    return wire


async def test_a_recording_of_three_who_agreed_holds_three_cameras(clinic: Clinic) -> None:
    async with raw_call(clinic) as call, AsyncExitStack() as stack:
        guest = await comes(call, stack, "interpreter")
        await call.doctor.does("admit", {"participant": guest.participant})
        everybody = (call.doctor, call.patient, guest)
        await call.doctor.does("recording.ask", {"purpose": "treatment_record"})
        for wire in everybody:
            await wire.sees(lambda view: bool(view["media"]["topology"] == "relay"))
            await wire.agrees()
        cameras: list[Camera] = [await call.leg(wire) for wire in everybody]
        await call.film(cameras, call.recording)
        reached = [camera.sent + 60 for camera in cameras]
        await call.film(cameras, lambda: all(c.sent >= n for c, n in zip(cameras, reached, strict=True)))
        await call.doctor.does("recording.stop")
        await call.doctor.does("end")
        row = clinic.recording_in("sealed", 20, call.visit.id)
        shown = clinic.admin.get(f"/api/v1/recordings/{row['id']}")
        assert sorted(track["role"] for track in shown["tracks"]) == ["clinician", "interpreter", "patient"]
        assert {track["participant"] for track in shown["tracks"]} == {wire.participant for wire in everybody}
        assert all(len(track) > 1000 for track in clinic.tracks(row).values())


async def test_a_pause_leaves_one_track_of_everybody(clinic: Clinic) -> None:
    async with raw_call(clinic) as call:
        cameras = await call.record()
        await call.doctor.does("recording.pause")
        await call.doctor.sees(lambda view: bool(view["recording"]["state"] == "paused"))
        reached = [camera.sent + 10 for camera in cameras]
        await call.film(cameras, lambda: all(c.sent >= n for c, n in zip(cameras, reached, strict=True)))
        await call.doctor.does("recording.resume")
        await call.film(cameras, call.recording)
        reached = [camera.sent + 60 for camera in cameras]
        await call.film(cameras, lambda: all(c.sent >= n for c, n in zip(cameras, reached, strict=True)))
        await call.doctor.does("recording.stop")
        await call.doctor.does("end")
        row = clinic.recording_in("sealed", 20, call.visit.id)
        tracks = clinic.admin.get(f"/api/v1/recordings/{row['id']}")["tracks"]
        assert sorted(track["role"] for track in tracks) == ["clinician", "patient"]
        assert all(track["milliseconds"] > 1000 for track in tracks)
