"""The key service goes away: what runs is recorded on, what needs a key is refused, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from recordings_house import Ear, House

from recordings import sealer
from recordings.part import CapturePart
from recordings.refusals import KeysUnavailable
from recordings.rows import Filter
from recordings.sealer import Sealer
from telehealth.keys.provider import KeyServiceUnavailable
from tests.partners.openbao import OpenBao
from tests.telehealth.keys.stands import FileStand, Pkcs11Stand, Stand, VaultStand

pytestmark = pytest.mark.xdist_group("vault")
LONGEST = 30.0  # seconds for what has to come, on however busy a machine
# Sealed, it answers and refuses; frozen, it takes calls and answers none; denied, our token may do nothing any more;
# gone, nobody listens; away, the disk is unmounted or the token pulled.
OUTAGES = [("vault", "sealed"), ("vault", "frozen"), ("vault", "denied"), ("vault", "gone"), ("file", "away")]
OUTAGES += [("pkcs11", "away")]


@pytest.fixture(scope="module")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    bao = OpenBao(tmp_path_factory.mktemp("openbao"))
    yield bao
    bao.stop()


@pytest.fixture
def stand(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Stand:
    match kind:
        case "file":
            return FileStand(tmp_path / "file")
        case "pkcs11":
            return Pkcs11Stand(request.getfixturevalue("softhsm"))
    return VaultStand(request.getfixturevalue("openbao"))


@pytest.fixture
async def house(tmp_path: Path, stand: Stand) -> AsyncIterator[House]:
    built = House(tmp_path, provider=stand.provider)
    await built.open()
    yield built
    await built.close()


@asynccontextmanager
async def outage(stand: Stand, how: str) -> AsyncIterator[None]:
    """One of `OUTAGES`."""
    leave, come = stand.away, stand.back
    if isinstance(stand, VaultStand) and how != "frozen":
        bao = stand.bao
        ways = {"sealed": (bao.seal, bao.unseal), "denied": (bao.deny, bao.allow), "gone": (bao.stop, bao.restart)}
        leave, come = ways[how]
    await asyncio.to_thread(leave)
    try:
        yield
    finally:
        await asyncio.to_thread(come)


class Stored:
    """Waits until capture files have grown durably."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self._house = house
        self._told = asyncio.Event()
        real = CapturePart.store

        async def watched(part: CapturePart, segments: list[bytes], *, last: bool = False) -> None:
            await real(part, segments, last=last)
            self._told.set()

        monkeypatch.setattr(CapturePart, "store", watched)

    async def sizes(self) -> dict[str, int]:
        disk = await asyncio.to_thread(self._house.disk)
        return {name: len(content) for name, content in disk.items() if name.endswith(".capture")}

    async def beyond(self, before: dict[str, int]) -> None:
        async with asyncio.timeout(LONGEST):
            now = before
            while not all(now.get(name, 0) > size for name, size in before.items()):
                await self._told.wait()
                self._told.clear()
                now = await self.sizes()


@pytest.mark.parametrize(("kind", "how"), OUTAGES)
async def test_while_keys_are_away_what_runs_is_stored_and_nothing_begins_or_plays(
    house: House, stand: Stand, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = await house.recorded(0.2)
    stored, ear = Stored(house, monkeypatch), Ear()
    running = await house.begin(ear)
    sinks = house.speak(running, 0.4)
    await ear.until(stored=2)
    async with outage(stand, how):
        before = await stored.sizes()
        assert len(before) == 2
        house.speak(running, 0.6, sinks)
        await stored.beyond(before)
        with pytest.raises(KeysUnavailable) as refused:
            await house.begin()
        assert refused.value.code == "keys_unavailable"
        with pytest.raises(KeyServiceUnavailable) as unplayed:
            await house.service.grant(house.admin, older, "treatment")
        assert unplayed.value.code == "key_service_unavailable"
        with pytest.raises(KeyServiceUnavailable):
            await house.service.manifest(house.admin, older)
        assert await house.service.catalogue.open_grants() == []
        assert (await house.service.show(house.admin, running)).state == "capturing"
        house.speak(running, 0.2, sinks)
    assert ear.faults == []
    await house.service.stop(running, "clinician")
    await house.service.settle()
    grants = [(entry.outcome, entry.detail.get("code")) for entry in await house.entries("playback.grant")]
    assert grants == [("intent", None), ("refused", "key_service_unavailable")]
    found = (await house.service.catalogue.find(Filter(), 10, None)).items
    assert {item.id for item in found} == {older, running}
    await all_of_it_plays(house, running, frames=60)
    await all_of_it_plays(house, older, frames=10)


@pytest.mark.parametrize(("kind", "how"), OUTAGES)
async def test_what_ends_while_keys_are_away_is_sealed_once_they_are_back(
    house: House, stand: Stand, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealer, "RETRY_SECONDS", (0.02,))
    tried, codes, real = asyncio.Event(), set[str](), Sealer._logged

    def watched(self: Sealer, recording: str, attempts: int, fault: Exception) -> int:
        codes.add(getattr(fault, "code", repr(fault)))
        tried.set()
        return real(self, recording, attempts, fault)

    monkeypatch.setattr(Sealer, "_logged", watched)
    ear = Ear()
    recording = await house.begin(ear)
    sinks = house.speak(recording, 0.4)
    await ear.until(stored=2)
    async with outage(stand, how):
        house.speak(recording, 0.2, sinks)
        await house.service.stop(recording, "clinician")
        async with asyncio.timeout(LONGEST):
            await tried.wait()
        assert (await house.service.show(house.admin, recording)).state == "sealing"
        assert sorted(name.partition(".")[2] for name in await asyncio.to_thread(house.disk)) == ["capture"] * 2
    await house.service.settle()
    assert codes == {"key_service_unavailable"}
    assert ear.faults == []
    assert ear.sealed_ids == [recording]
    await all_of_it_plays(house, recording, frames=30)


async def all_of_it_plays(house: House, recording: str, frames: int) -> None:
    """Sealed and uninterrupted, every frame of both is there, and both tracks come whole."""
    shown = await house.service.show(house.admin, recording)
    assert (shown.state, shown.interrupted) == ("sealed", False)
    manifest = await house.service.manifest(house.admin, recording)
    assert manifest is not None
    assert [track["audio_frames"] for track in manifest["tracks"]] == [frames, frames]
    grant = await house.service.grant(house.admin, recording, "treatment")
    assert len(grant.tracks) == 2
    for track in grant.tracks:
        whole = await house.read(house.admin, grant, track)
        assert whole.startswith(b"\x1a\x45\xdf\xa3")  # EBML (RFC 8794)
        assert len(whole) == house.service.size(house.admin, grant.id, track)
