"""Checkpoints are kept elsewhere within seconds, cosigned by a witness, and recordings wait for them."""

import asyncio
import base64
import socket
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from audit_samples import ORIGIN, PUBLIC, SEED, MovedClock, OpenLog, an_entry
from witness_partner import SmallWitness

from telehealth.audit.anchoring import LockedPlace, PathPlace, Place, SyslogPlace
from telehealth.audit.anchors import Anchors
from telehealth.audit.cosignature import WitnessKey, check_cosignature, parse_witness_key
from telehealth.audit.faults import AnchorRefused, LogMismatch
from telehealth.audit.files import Disk
from telehealth.audit.layout import SEGMENT, Layout
from telehealth.audit.ledger import Ledger, Signed
from telehealth.audit.log import AuditLog
from telehealth.audit.note import NoteInvalid, Signer, open_checkpoint
from telehealth.audit.tree import CompactRange, leaf_hash
from telehealth.audit.watch import Watch
from telehealth.audit.witness import Witness
from telehealth.syslog import Address


class Shut:
    """A place that is away until it is opened."""

    name = "shut"

    def __init__(self) -> None:
        self.open = False
        self.kept: list[Signed] = []

    async def keep(self, signed: Signed) -> None:
        if not self.open:
            raise OSError("away")
        self.kept.append(signed)


def anchors_on(log: AuditLog, clock: MovedClock, *places: Place, **more: Any) -> tuple[Anchors, list[str]]:
    alarms: list[str] = []
    return Anchors(log, places, clock, alarms.append, **more), alarms


async def test_every_checkpoint_is_kept_at_another_path(open_log: OpenLog, clock: MovedClock, tmp_path: Path) -> None:
    log = await open_log()
    place = PathPlace(tmp_path / "elsewhere", clock)
    anchors, alarms = anchors_on(log, clock, place)
    for number in range(3):
        await log.enter(an_entry(number))
        await anchors.tick()
        await anchors.tick()
    newest = await asyncio.to_thread(place.newest)
    assert newest == log.signed().note
    assert open_checkpoint(newest, ORIGIN, PUBLIC).size == 3
    history = (tmp_path / "elsewhere" / "2031-05-06.checkpoints").read_text()
    assert history.count(ORIGIN + "\n") == 3
    assert (anchors.age(), alarms) == (0.0, [])


async def test_an_anchor_that_is_late_alarms_and_closes_recordings(open_log: OpenLog, clock: MovedClock) -> None:
    log, place = await open_log(), Shut()
    anchors, alarms = anchors_on(log, clock, place, closed_after=120.0)
    log.rest_on(anchors.fresh)
    await log.enter(an_entry())
    await anchors.tick()
    assert log.healthy_for_recordings
    clock.move(31)
    await anchors.tick()
    await anchors.tick()
    assert alarms == ["audit.anchor_late"]
    assert log.healthy_for_recordings
    clock.move(90)
    assert not log.healthy_for_recordings
    assert log.healthy
    place.open = True
    await anchors.tick()
    assert log.healthy_for_recordings
    assert alarms == ["audit.anchor_late", "audit.anchor_back"]
    assert place.kept[-1] == log.signed()


async def test_one_place_that_is_away_keeps_no_other_from_its_checkpoint(open_log: OpenLog, clock: MovedClock) -> None:
    log, away, here = await open_log(), Shut(), Shut()
    here.open = True
    anchors, _ = anchors_on(log, clock, away, here)
    await log.enter(an_entry())
    await anchors.tick()
    assert here.kept == [log.signed()]


async def test_syslog_gets_the_whole_note(open_log: OpenLog, clock: MovedClock, tmp_path: Path) -> None:
    log = await open_log()
    await log.enter(an_entry())
    path = tmp_path / "log.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        await SyslogPlace(Address(f"unix://{path}"), clock).keep(log.signed())
        message = listening.recv(4096).decode()
    assert message.startswith("<85>1 2031-05-06T07:08:09.000Z - telehealth ")
    assert base64.b64decode(message.rpartition("note=")[2]) == log.signed().note
    received: list[bytes] = []
    done = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read())
        writer.close()
        done.set()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await SyslogPlace(Address(f"tcp://127.0.0.1:{port}"), clock).keep(log.signed())
        await done.wait()
    length, _, rest = received[0].partition(b" ")
    assert int(length) == len(rest)
    with pytest.raises(OSError):
        await SyslogPlace(Address(f"tcp://127.0.0.1:{port}"), clock).keep(log.signed())


async def test_object_storage_locks_every_checkpoint(open_log: OpenLog, clock: MovedClock) -> None:
    class Bucket:
        def __init__(self) -> None:
            self.put: list[tuple[str, bytes, datetime]] = []

        async def put_locked(self, key: str, content: bytes, until: datetime) -> None:
            self.put.append((key, content, until))

    log, bucket = await open_log(), Bucket()
    await log.enter(an_entry())
    await LockedPlace(bucket, "checkpoints/", 2557, clock).keep(log.signed())
    ((key, content, until),) = bucket.put
    assert key == "checkpoints/2031/05/06/070809-00000000000000000001.checkpoint"
    assert (content, until - clock.now()) == (log.signed().note, timedelta(days=2557))


@pytest.fixture
def witness(tmp_path: Path) -> SmallWitness:
    return SmallWitness(tmp_path / "witness.state", "witness.example", b"w" * 32, ORIGIN, PUBLIC)


async def test_a_witness_cosigns_what_only_grew(
    open_log: OpenLog, clock: MovedClock, tmp_path: Path, witness: SmallWitness
) -> None:
    log, key = await open_log(), WitnessKey(witness.name, witness.public)
    kept = tmp_path / "cosigned"
    async with witness.serving() as url:
        client = Witness(log, url, key, kept)
        for number in range(7):
            await log.enter(an_entry(number))
            await client.keep(log.signed())
            assert witness.known()[0] == number + 1
        await client.keep(log.signed())
        await log.enter(an_entry(8))
        await Witness(log, url, key, kept).keep(log.signed())  # knows nothing: the witness tells it the size
    note = kept.read_text()
    text, _, signatures = note.rpartition("\n\n")
    assert open_checkpoint(note.encode(), ORIGIN, PUBLIC) == log.head()
    assert check_cosignature(signatures.splitlines()[1], text + "\n", key) > 0
    with pytest.raises(NoteInvalid):
        check_cosignature(signatures.splitlines()[1], text + "\nmore\n", key)
    assert parse_witness_key(key.line) == key


async def test_a_log_that_went_back_gets_no_cosignature_and_alarms(
    open_log: OpenLog, clock: MovedClock, tmp_path: Path, witness: SmallWitness
) -> None:
    log, key = await open_log(), WitnessKey(witness.name, witness.public)
    await log.enter(an_entry())
    tree = CompactRange()
    for number in range(5):
        tree.append(leaf_hash(b"%d" % number))
    assert witness.answer(b"old 0\n\n" + Signer(ORIGIN, SEED).checkpoint(5, tree.root()))[0] == 200
    async with witness.serving() as url:
        client = Witness(log, url, key, tmp_path / "cosigned")
        with pytest.raises(AnchorRefused, match="log_went_back"):
            await client.keep(log.signed())
        anchors, alarms = anchors_on(log, clock, client)
        await anchors.tick()
        assert alarms == ["audit.log_went_back"]
        for number in range(5):
            await log.enter(an_entry(number))
        with pytest.raises(AnchorRefused, match="witness_said_422"):
            await client.keep(log.signed())
    assert not (tmp_path / "cosigned").exists()
    with pytest.raises(OSError):
        await client.keep(log.signed())


async def test_a_witness_that_signs_with_another_key_is_not_believed(
    open_log: OpenLog, tmp_path: Path, witness: SmallWitness
) -> None:
    log = await open_log()
    await log.enter(an_entry())
    async with witness.serving() as url:
        with pytest.raises(AnchorRefused, match="witness_unsigned"):
            await Witness(log, url, WitnessKey(witness.name, PUBLIC), tmp_path / "cosigned").keep(log.signed())


async def test_a_start_with_an_older_log_than_its_anchor_is_refused(
    open_log: OpenLog, clock: MovedClock, tmp_path: Path
) -> None:
    log = await open_log()
    await log.enter(an_entry(0))
    await log.enter(an_entry(1))
    head = log.head()
    await log.close()
    (tmp_path / "audit" / "journal").unlink()
    (tmp_path / "audit" / "leaves" / f"{0:012}.leaves").unlink()
    (tmp_path / "audit" / "checkpoint").write_bytes(Signer(ORIGIN, SEED).checkpoint(0, CompactRange().root()))
    with pytest.raises(LogMismatch, match="log_went_back"):
        await open_log(at_least=head)


async def test_what_is_changed_behind_a_running_server_is_found(
    open_log: OpenLog, clock: MovedClock, tmp_path: Path
) -> None:
    log = await open_log()
    for number in range(9):
        await log.enter(an_entry(number))
    anchors, alarms = anchors_on(log, clock)
    await anchors.watch()
    assert alarms == []
    leaves = tmp_path / "audit" / "leaves" / f"{0:012}.leaves"
    details = tmp_path / "audit" / "details" / f"{0:012}.details"
    for path in (leaves, details):
        content = path.read_bytes()
        for changed in (content[:-1], content[:99] + b"!" + content[100:], b""):
            alarms.clear()
            path.write_bytes(changed)
            await anchors.watch()
            await anchors.watch()
            assert alarms == ["audit.tampered"]
            path.write_bytes(content)
            await anchors.watch()
    await log.enter(an_entry(9))
    await anchors.watch()
    assert alarms == ["audit.tampered"]


def test_a_full_segment_is_read_again_only_when_it_was_touched(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    ledger = Ledger(layout, Disk(), Signer(ORIGIN, SEED))
    ledger.load()
    ledger.append([(b'{"number":%d,"sealed":null}' % number, None) for number in range(2 * SEGMENT + 5)])
    watch = Watch(layout)
    assert watch.look(ledger.signed) == []
    assert watch.look(ledger.signed) == []
    content = layout.leaves_of(0).read_bytes()
    layout.leaves_of(0).write_bytes(content.replace(b":77,", b":78,"))
    assert [(problem.index, problem.code) for problem in watch.look(ledger.signed)] == [(0, "segment_changed")]
    layout.leaves_of(0).write_bytes(content)
    assert watch.look(ledger.signed) == []
    layout.leaves_of(1).unlink()
    assert [(problem.index, problem.code) for problem in watch.look(ledger.signed)] == [(SEGMENT, "segment_changed")]
