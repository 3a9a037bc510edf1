"""A server with media workers that is told to go: it lets the running call finish, and takes nobody new."""

import asyncio
import signal
from pathlib import Path

from tests.faults.clinic import Clinic
from tests.faults.wire import RawCall, Wire, raw_call
from tests.stories.house import House

WORKERS = {"MEDIA__WORKERS": "1"}


async def ends(house: House) -> int:
    """The exit code, once the server has ended by itself."""
    return await asyncio.to_thread(house.process.wait, 20)


async def told_to_go(house: House, call: RawCall) -> None:
    """SIGTERM, and until the server has heard it."""
    house.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        while (ready := await asyncio.to_thread(call.clinic.admin.ask, "GET", "/readyz")).status == 200:
            await asyncio.sleep(0.02)
    assert ready.json == {"failing": ["draining"]}


async def test_the_running_call_finishes_and_nobody_new_comes_in(tmp_path: Path) -> None:
    with House(tmp_path, WORKERS | {"SERVER__DRAIN_SECONDS": "60"}) as house:
        clinic = await asyncio.to_thread(Clinic, house)
        other = clinic.book("Somebody Else")
        async with raw_call(clinic) as call:
            cameras = await call.record()
            await told_to_go(house, call)
            late = Wire(clinic.verified(other))
            await late.connect({"join": True})
            entered = await late.send("enter", enter(late))
            assert (entered["ok"], entered["error"]) == (False, "draining")
            await late.socket.disconnect()
            sent = cameras[0].sent
            await call.film(cameras, lambda: cameras[0].sent > sent + 20)
            assert call.recording()
            again = Wire(call.patient.client)  # the patient's page is loaded anew
            again.key = call.patient.key
            await again.connect({"join": True})
            await again.enter()
            assert again.view["self"]["state"] == "admitted"
            assert house.process.poll() is None
            await call.doctor.does("end")
            assert await ends(house) == 0
            await again.socket.disconnect()
        house.stop()
        await asyncio.to_thread(house.start)
        recording = await asyncio.to_thread(clinic.recording_in, "sealed", 10)
        assert recording["interrupted"] is False


def enter(wire: Wire) -> dict[str, object]:
    return {"public_key": wire.key.jwk, "language": "en", "audio": True, "video": True, "page": "page-1"}
