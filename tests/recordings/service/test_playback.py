"""Nothing is played that was not entered before, and nothing whose tag failed."""

import random
import weakref

import pytest
from recordings_house import House

from recordings.envelope import HEADER_SIZE, SEALED_SEGMENT, SegmentForged
from recordings.playback import MOST_GRANTS
from recordings.refusals import GrantNeeded, NotPlayable, RangeNotSatisfiable, TooManyGrants
from recordings.sealed import SPAN
from recordings.vault.reading import HandleReader
from telehealth.access import Caller
from telehealth.audit.faults import LogUnavailable
from telehealth.errors import NotFound


async def test_every_range_gives_exactly_its_octets(house: House) -> None:
    recording = await house.recorded(60.0)
    grant = await house.service.grant(house.admin, recording, "treatment")
    track = grant.tracks[0]
    whole = await house.read(house.admin, grant, track)
    assert len(whole) > 3 * SEALED_SEGMENT
    chance = random.Random(7)
    around = [n * SEALED_SEGMENT + step for n in (0, 1, 2) for step in (-1, 0, 1)]
    edges = [0, *around[1:], len(whole) - 1, len(whole)]
    for _ in range(150):
        start, end = sorted(chance.choice([*edges, chance.randrange(len(whole))]) for _ in range(2))
        if start == end:
            continue
        assert await house.read(house.admin, grant, track, start, end) == whole[start:end]
    assert await house.read(house.admin, grant, track, 5, len(whole) + 999) == whole[5:]


async def test_a_range_opens_at_most_one_segment_more_than_it_needs_at_either_edge(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = await house.recorded(60.0)
    grant = await house.service.grant(house.admin, recording, "treatment")
    read: list[tuple[int, int]] = []
    real = HandleReader.fill

    async def watched(reader: HandleReader, buffer: memoryview, offset: int) -> int:
        read.append((offset, len(buffer)))
        return await real(reader, buffer, offset)

    monkeypatch.setattr(HandleReader, "fill", watched)
    await house.read(house.admin, grant, grant.tracks[0], SEALED_SEGMENT + 10, 2 * SEALED_SEGMENT + 10)
    stride = SEALED_SEGMENT + 20
    assert read == [(HEADER_SIZE + stride, 2 * stride)]


async def test_a_long_range_comes_in_bounded_pieces(house: House) -> None:
    recording = await house.recorded(300.0)
    grant = await house.service.grant(house.admin, recording, "treatment")
    size = house.service.size(house.admin, grant.id, grant.tracks[0])
    assert size > SPAN
    pieces = [piece async for piece in house.service.read_range(house.admin, grant.id, grant.tracks[0], 100, size)]
    assert max(map(len, pieces)) <= SPAN
    assert sum(map(len, pieces)) == size - 100


async def test_the_grant_is_durable_in_the_log_before_the_key_store_is_asked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = await house.recorded(0.1)
    real, seen = house.keys.open, []

    async def watched(file_id: str, **named: object) -> object:
        granted = [entry for entry in await house.entries("playback.grant") if entry.recording == recording]
        seen.append([entry.outcome for entry in granted])
        return await real(file_id, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(house.keys, "open", watched)
    await house.service.grant(house.admin, recording, "legal")
    assert seen == [["intent"], ["intent"]]
    entries = await house.entries("playback.grant")
    assert [entry.outcome for entry in entries] == ["intent", "done"]
    assert entries[0].purpose == "legal"


async def test_without_the_log_no_key_is_released_not_once_in_a_hundred(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = await house.recorded(0.1)
    opened: list[str] = []

    async def watched(file_id: str, **_named: object) -> object:
        opened.append(file_id)
        raise AssertionError

    monkeypatch.setattr(house.keys, "open", watched)
    head = house.log.head()
    await house.log.close()
    for _ in range(100):
        with pytest.raises(LogUnavailable):
            await house.service.grant(house.admin, recording, "quality")
    assert not opened
    assert house.log.head() == head


async def test_a_grant_belongs_to_one_person_in_one_session(house: House) -> None:
    recording = await house.recorded(0.1)
    grant = await house.service.grant(house.admin, recording, "quality")
    others = [
        Caller("user", "usr_admin", "admin", session="ses_other"),
        Caller("user", "usr_other", "admin", session="ses_admin"),
        house.doctor_caller,
    ]
    for other in others:
        with pytest.raises(GrantNeeded):
            house.service.size(other, grant.id, grant.tracks[0])
        with pytest.raises(GrantNeeded):
            house.service.read_range(other, grant.id, grant.tracks[0], 0, 10)
        with pytest.raises(GrantNeeded):
            await house.service.renew(other, grant.id)
        with pytest.raises(GrantNeeded):
            await house.service.close_grant(other, grant.id)
    assert house.service.size(house.admin, grant.id, grant.tracks[0]) > 0


async def test_a_grant_lasts_a_minute_and_can_be_renewed(house: House) -> None:
    recording = await house.recorded(0.1)
    grant = await house.service.grant(house.admin, recording, "quality")
    house.clock.move(seconds=59)
    assert await house.service.renew(house.admin, grant.id) > grant.expires_at
    house.clock.move(seconds=59)
    assert house.service.size(house.admin, grant.id, grant.tracks[0])
    house.clock.move(seconds=2)
    with pytest.raises(GrantNeeded):
        house.service.size(house.admin, grant.id, grant.tracks[0])
    with pytest.raises(GrantNeeded):
        await house.service.renew(house.admin, grant.id)


async def test_what_was_read_is_summarised_when_the_grant_ends(house: House) -> None:
    recording = await house.recorded(60.0)
    grant = await house.service.grant(house.admin, recording, "quality")
    track = grant.tracks[0]
    await house.read(house.admin, grant, track, 0, 1000)
    await house.read(house.admin, grant, track, 500, 2000)
    await house.read(house.admin, grant, track, 100_000, 100_010)
    await house.service.close_grant(house.admin, grant.id)
    [entry] = await house.entries("playback.close")
    assert entry.subject == grant.id
    assert entry.detail["ranges"] == 3
    assert entry.detail["bytes"] == 1000 + 1500 + 10
    assert entry.detail[track] == "0-1999+100000-100009"
    assert entry.detail["why"] == "closed"
    assert await house.service.catalogue.open_grants() == []


async def test_a_grant_nobody_closed_is_closed_when_its_term_is_over(house: House) -> None:
    recording = await house.recorded(0.1)
    await house.service.grant(house.admin, recording, "quality")
    house.clock.move(seconds=61)
    assert await house.service._playback.expire() == 1
    [entry] = await house.entries("playback.close")
    assert entry.detail["why"] == "expired"


async def test_a_grant_that_a_kill_left_open_is_closed_at_the_next_start(house: House) -> None:
    recording = await house.recorded(0.1)
    grant = await house.service.grant(house.admin, recording, "quality")
    house.service._playback._live.clear()  # the process is gone, and the keys with it
    await house.restart()
    [entry] = await house.entries("playback.close")
    assert (entry.subject, entry.detail["why"], entry.detail["exact"]) == (grant.id, "crash", False)
    with pytest.raises(GrantNeeded):
        house.service.size(house.admin, grant.id, grant.tracks[0])


async def test_the_end_of_a_session_breaks_a_stream_off(house: House) -> None:
    recording = await house.recorded(300.0)
    grant = await house.service.grant(house.admin, recording, "quality")
    size = house.service.size(house.admin, grant.id, grant.tracks[0])
    stream = house.service.read_range(house.admin, grant.id, grant.tracks[0], 0, size)
    first = await anext(stream)
    reader = weakref.ref(house.service._playback._live[grant.id].tracks[grant.tracks[0]]._open[1])
    await house.service.end_grants("usr_admin", "ses_admin")
    assert reader() is None  # the key went, though the stream still waits for whoever reads it
    with pytest.raises(GrantNeeded):
        await anext(stream)
    [entry] = await house.entries("playback.close")
    assert entry.detail["bytes"] == len(first)
    assert entry.detail["why"] == "revoked"


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_never_an_octet_whose_tag_failed(house: House, place: int) -> None:
    recording = await house.recorded(60.0)
    grant = await house.service.grant(house.admin, recording, "quality")
    track = grant.tracks[0]
    path = house.folder / "vault" / f"{track}.sealed"
    whole = await house.read(house.admin, grant, track)
    content = bytearray(path.read_bytes())
    content[HEADER_SIZE + place * (SEALED_SEGMENT + 20) + 500] ^= 1
    path.write_bytes(content)
    begin = place * SEALED_SEGMENT
    with pytest.raises(SegmentForged):
        await house.read(house.admin, grant, track, begin, begin + 1)
    for start in range(0, len(whole), SEALED_SEGMENT):
        if start != begin:
            end = min(start + SEALED_SEGMENT, len(whole))
            assert await house.read(house.admin, grant, track, start, end) == whole[start:end]
    assert set((await house.service.verify(house.admin, recording)).damaged) == {track}


async def test_a_shortened_file_is_not_granted(house: House) -> None:
    recording = await house.recorded(60.0)
    shown = await house.service.show(house.admin, recording)
    path = house.folder / "vault" / f"{shown.tracks[0].id}.sealed"
    content = path.read_bytes()
    path.write_bytes(content[: HEADER_SIZE + SEALED_SEGMENT + 20])
    with pytest.raises(Exception, match="file_truncated"):
        await house.service.grant(house.admin, recording, "quality")
    outcomes = [entry.outcome for entry in await house.entries("playback.grant")]
    assert outcomes == ["intent", "refused"]


async def test_who_may_play_what(house: House) -> None:
    recording = await house.recorded(0.1)
    await house.service.grant(house.doctor_caller, recording, "treatment")
    stranger = Caller("user", "usr_stranger", "clinician", session="s")
    auditor = Caller("user", "usr_auditor", "auditor", session="s")
    token = Caller("token", "usr_admin", "admin", scopes=frozenset({"visits:read"}), session="tok_x")
    for caller in (stranger, auditor, token):
        with pytest.raises(NotFound):
            await house.service.grant(caller, recording, "treatment")
    with pytest.raises(NotFound):
        await house.service.grant(house.admin, "rec_none", "treatment")


async def test_nonsense_ranges_and_foreign_tracks_are_refused(house: House) -> None:
    recording = await house.recorded(0.1)
    grant = await house.service.grant(house.admin, recording, "quality")
    size = house.service.size(house.admin, grant.id, grant.tracks[0])
    for start, end in ((size, size + 1), (5, 5), (-1, 3), (9, 2)):
        with pytest.raises(RangeNotSatisfiable):
            house.service.read_range(house.admin, grant.id, grant.tracks[0], start, end)
    with pytest.raises(NotFound):
        house.service.size(house.admin, grant.id, "fil_other")


async def test_nobody_opens_grants_without_end(house: House) -> None:
    recording = await house.recorded(0.1)
    for _ in range(MOST_GRANTS):
        await house.service.grant(house.admin, recording, "quality")
    with pytest.raises(TooManyGrants):
        await house.service.grant(house.admin, recording, "quality")


async def test_a_recording_under_way_is_not_played(house: House) -> None:
    recording = await house.begin()
    with pytest.raises(NotPlayable):
        await house.service.grant(house.admin, recording, "quality")
    await house.service.stop(recording, "clinician")
    await house.service.settle()
