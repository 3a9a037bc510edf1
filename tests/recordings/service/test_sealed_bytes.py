"""What the room puts on the disk is what docs/formats.md says: a second reader opens it, segment by segment."""

import asyncio
import json

from recordings_house import House

from tests.recordings.envelope_reader import read, read_json

SEGMENT = 65_536


async def test_a_sealed_recording_opens_with_an_independent_reader(house: House) -> None:
    recording = await house.recorded(30)
    disk = await asyncio.to_thread(house.disk)
    opened = {}
    for file in await house.service.catalogue.files_of(recording):
        row = file.row
        dek = await house.keys.open(row.file_id, wrapped_share=row.wrapped_share, wrapping_key=row.wrapping_key)
        [data] = [content for name, content in disk.items() if name.partition(".")[0] == row.file_id]
        named, itself, segments, ended = read(data, dek.reveal())
        assert (named, itself, ended) == (recording, row.file_id, True)
        assert [len(segment) for segment in segments[:-1]] == [SEGMENT] * (len(segments) - 1)
        opened[row.file_id] = segments
    grant = await house.service.grant(house.admin, recording, "treatment")
    assert len(grant.tracks) == 2
    for track in grant.tracks:
        segments = opened.pop(track)
        assert len(segments) > 2
        assert b"".join(segments) == await house.read(house.admin, grant, track)
    [manifest] = opened.values()
    ours = await house.service.manifest(house.admin, recording)
    assert read_json(b"".join(manifest)) == json.loads(json.dumps(ours))
