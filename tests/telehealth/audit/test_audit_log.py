"""Entering, reading, proving, and how acts are written down."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from audit_samples import ORIGIN, PUBLIC, QUICK, WRAPPING, MovedClock, OpenLog, an_entry

from telehealth.audit.actions import Action
from telehealth.audit.details import FileDetailKeys
from telehealth.audit.entry import Actor, Entry, EntryInvalid, Outcome
from telehealth.audit.faults import DetailBroken, LogUnavailable
from telehealth.audit.layout import SEGMENT
from telehealth.audit.note import open_checkpoint
from telehealth.audit.reading import EntryFilter
from telehealth.audit.tree import verify_consistency, verify_inclusion
from telehealth.audit.verify import verify_folder
from telehealth.errors import WrongState

CANARY = "Zebediah Quillfeather"


async def test_an_entry_is_under_a_signed_head_when_entering_returns(open_log: OpenLog, tmp_path: Path) -> None:
    log = await open_log()
    for number in range(3):
        assert await log.enter(an_entry(number)) == number
        head = open_checkpoint((tmp_path / "audit" / "checkpoint").read_bytes(), ORIGIN, PUBLIC)
        assert head == log.head()
        assert head.size == number + 1


async def test_64_writers_share_commits_and_every_entry_is_there_once(open_log: OpenLog, tmp_path: Path) -> None:
    log = await open_log()

    async def write(writer: int) -> list[int]:
        return [await log.enter(an_entry(writer * 10 + turn, private={})) for turn in range(10)]

    indexes = [index for got in await asyncio.gather(*map(write, range(64))) for index in got]
    assert sorted(indexes) == list(range(640))
    found = await log.entries(limit=1000)
    assert sorted(stored.detail["number"] for stored in found) == list(range(640))
    assert (await asyncio.to_thread(verify_folder, tmp_path / "audit", PUBLIC, ORIGIN)).ok


async def test_a_reopened_log_goes_on_where_it_stopped(open_log: OpenLog) -> None:
    log = await open_log()
    await log.enter(an_entry(0))
    old = log.head()
    await log.close()
    log = await open_log(at_least=old)
    assert await log.enter(an_entry(1)) == 1
    assert [stored.detail["number"] for stored in await log.entries()] == [0, 1]


async def test_two_processes_append_to_one_log(open_log: OpenLog, tmp_path: Path) -> None:
    server, command = await open_log(), await open_log(reserve_spool=False)
    assert [await log.enter(an_entry()) for log in (server, command, command, server)] == [0, 1, 2, 3]
    assert (await asyncio.to_thread(verify_folder, tmp_path / "audit", PUBLIC, ORIGIN)).ok


async def test_a_second_server_on_the_same_folder_does_not_start(open_log: OpenLog) -> None:
    await open_log()
    with pytest.raises(OSError):
        await open_log()


async def test_a_leaf_is_canonical_and_names_no_person(open_log: OpenLog) -> None:
    log = await open_log()
    await log.enter(an_entry(actor=Actor("participant", id="par_one", role="patient", address="192.0.2.7")))
    (stored,) = await log.entries()
    parsed = json.loads(stored.leaf)
    assert json.dumps(parsed, sort_keys=True, separators=(",", ":")).encode() == stored.leaf
    assert parsed["at"] == "2031-05-06T07:08:09.000Z"
    for hidden in (b"par_one", b"pat_0", b"192.0.2.7", b"telephone"):
        assert hidden not in stored.leaf
    assert parsed["patient"] == log.patient_pseudonym("pat_0")


async def test_no_identifying_text_is_in_any_file_of_the_folders(open_log: OpenLog, tmp_path: Path) -> None:
    log = await open_log()
    actor = Actor("stranger", id=CANARY, address=CANARY, device=CANARY)
    entry = an_entry(action=Action.CODE_TRY, patient=CANARY, actor=actor, private={"name": CANARY})
    await log.enter(entry)
    await asyncio.to_thread(log._parts.spool.keep, log._stamp(entry))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 5
    for path in files:
        assert CANARY.encode() not in path.read_bytes()
        assert CANARY not in str(path)


async def test_private_text_opens_until_its_key_is_destroyed(open_log: OpenLog, tmp_path: Path) -> None:
    log = await open_log()
    await log.enter(an_entry(0))
    await log.enter(an_entry(1))
    first, second = await log.entries()
    expected = {"reason": "asked by telephone 0", "address": "192.0.2.7", "device": "a browser"}
    assert await log.open_private(first) == expected
    assert await log.forget("pat_0")
    assert not await log.forget("pat_0")
    assert await log.open_private(first) is None
    assert await log.open_private(second) is not None
    await log.enter(an_entry(2))
    assert await log.open_private(first) is None
    assert await log.open_private((await log.entries(after=1))[0]) is not None
    assert (await asyncio.to_thread(verify_folder, tmp_path / "audit", PUBLIC, ORIGIN)).ok


async def test_sealed_text_of_another_entry_does_not_pass(open_log: OpenLog) -> None:
    log = await open_log()
    await log.enter(an_entry(0))
    await log.enter(an_entry(2))
    first, second = await log.entries()
    with pytest.raises(DetailBroken):
        await log.open_private(replace(second, index=first.index))
    with pytest.raises(DetailBroken):
        await log.open_private(replace(first, sealed="0" * 64))


async def test_a_changed_detail_key_stops_opening_acts_of_that_patient_alone(open_log: OpenLog, tmp_path: Path) -> None:
    alarms: list[str] = []
    log = await open_log(on_alarm=alarms.append)
    await log.enter(an_entry(0))
    (key,) = (tmp_path / "detail-keys").rglob("*.key")
    content = key.read_bytes()
    key.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(LogUnavailable):
        await log.enter(an_entry(2))
    assert await log.enter(an_entry(1)) == 1
    await log.enter_closing(an_entry(2, action=Action.LEAVE))
    assert (await log.entries())[-1].detail == {"number": 2, "private_lost": True}
    assert alarms == [
        "audit.detail_key",
    ]


def test_a_half_destroyed_key_is_a_destroyed_one(tmp_path: Path) -> None:
    keys = FileDetailKeys(tmp_path, WRAPPING)
    before = keys.key("patient:x")
    (path,) = tmp_path.rglob("*.key")
    path.write_bytes(bytes(path.stat().st_size))
    assert keys.find("patient:x") is None
    assert keys.key("patient:x") != before
    assert keys.key("patient:x") == FileDetailKeys(tmp_path, WRAPPING).key("patient:x")
    assert keys.key("patient:y") != keys.key("patient:x")


async def test_pages_follow_the_cursor_both_ways(open_log: OpenLog) -> None:
    log = await open_log()
    await asyncio.gather(*(log.enter(an_entry(number, private={})) for number in range(10)))
    for newest_first, whole in ((False, list(range(10))), (True, list(range(9, -1, -1)))):
        found: list[int] = []
        after = -1
        while page := await log.entries(after=after, limit=3, newest_first=newest_first):
            found += [stored.index for stored in page]
            after = page[-1].index
            if after == 0:
                break
        assert found == whole
    assert await log.entries(after=0, newest_first=True) == []
    assert await log.entries(after=99) == []


async def test_filters_find_exactly_what_they_name(open_log: OpenLog, clock: MovedClock) -> None:
    log = await open_log()
    await log.enter(an_entry(0))
    clock.move(10)
    middle = clock.now()
    guest = Actor("participant", id="par_guest", role="guest")
    await log.enter(an_entry(1, actor=guest, action=Action.JOIN, recording=None, subject="lnk_1"))
    clock.move(10)
    await log.enter(an_entry(2, outcome=Outcome.REFUSED, recording="rec_2", subject="par_guest"))

    async def found(only: EntryFilter) -> list[int]:
        return [stored.index for stored in await log.entries(only=only)]

    assert await found(EntryFilter(action=Action.JOIN)) == [1]
    assert await found(EntryFilter(actor="usr_a")) == [0, 2]
    assert await found(EntryFilter(actor="par_guest")) == [1]
    assert await found(EntryFilter(subject="par_guest")) == [2]
    assert await found(EntryFilter(subject="lnk_1")) == [1]
    assert await found(EntryFilter(patient="pat_0")) == [0, 2]
    assert await found(EntryFilter(visit="vis_1")) == [1]
    assert await found(EntryFilter(recording="rec_2", outcome=Outcome.REFUSED)) == [2]
    assert await found(EntryFilter(since=middle)) == [1, 2]
    assert await found(EntryFilter(until=middle)) == [0, 1]
    assert await found(EntryFilter(visit="vis_0", actor="par_guest")) == []


async def test_proofs_hold_under_the_signed_head(open_log: OpenLog) -> None:
    log = await open_log()
    await asyncio.gather(*(log.enter(an_entry(number, private={})) for number in range(5)))
    old = log.head()
    await asyncio.gather(*(log.enter(an_entry(number, private={})) for number in range(8)))
    for stored in await log.entries():
        head, proof = await log.inclusion(stored.index)
        assert verify_inclusion(stored.hash, stored.index, head.size, proof, head.root)
    head, proof = await log.consistency(old.size)
    assert verify_consistency(old.size, head.size, proof, old.root, head.root)
    with pytest.raises(ValueError):
        await log.inclusion(13)


async def test_an_act_is_entered_before_and_after(open_log: OpenLog) -> None:
    log = await open_log()
    async with log.act(an_entry()) as act:
        assert [stored.outcome for stored in await log.entries()] == ["intent"]
        act.detail["segments"] = 4
    stored = (await log.entries())[-1]
    assert (stored.outcome, stored.detail) == ("done", {"number": 0, "segments": 4, "intent": 0})


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [(WrongState(), "refused", "wrong_state"), (KeyError("x"), "failed", "KeyError")],
)
async def test_an_act_that_ends_badly_says_so(open_log: OpenLog, error: Exception, outcome: str, code: str) -> None:
    log = await open_log()
    with pytest.raises(type(error)):
        async with log.act(an_entry()):
            raise error
    stored = (await log.entries())[-1]
    assert (stored.outcome, stored.detail["code"]) == (outcome, code)


async def test_a_cancelled_act_is_entered_as_failed(open_log: OpenLog) -> None:
    log = await open_log()
    begun = asyncio.Event()

    async def acting() -> None:
        async with log.act(an_entry()):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(acting())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [stored.outcome for stored in await log.entries()] == ["intent", "failed"]


async def test_an_opening_act_cannot_be_entered_as_a_closing_one(open_log: OpenLog) -> None:
    log = await open_log()
    with pytest.raises(ValueError):
        await log.enter_closing(an_entry(outcome=Outcome.INTENT))


async def test_strangers_cannot_fill_the_log(open_log: OpenLog, clock: MovedClock) -> None:
    log = await open_log(limits=replace(QUICK, throttle_tick=60, throttle_sources=10))
    stranger = Actor("stranger", address="192.0.2.9")
    tried = Entry(Action.SIGNIN_TRY, Outcome.REFUSED, stranger, private={"name": "somebody"})
    for _ in range(50):
        await log.enter_throttled(tried, "192.0.2.9")
    for number in range(200):
        await log.enter_throttled(tried, f"198.51.100.{number}")
    assert len(await log.entries()) == 11  # ten sources, and one for all beyond
    clock.move(5)
    await log.close()
    log = await open_log()
    summaries = [stored for stored in await log.entries() if "aggregated" in stored.detail]
    assert sorted(stored.detail["count"] for stored in summaries) == [49, 190]
    assert len(await log.entries()) == 13


async def test_a_minute_later_the_count_is_entered(open_log: OpenLog, clock: MovedClock) -> None:
    log = await open_log()
    tried = Entry(Action.CODE_TRY, Outcome.REFUSED, Actor("stranger"), subject="lnk_1")
    for _ in range(3):
        await log.enter_throttled(tried, "here")
    clock.move(61)
    while log.head().size < 2:
        await asyncio.sleep(0.005)
    first, rest = await log.entries()
    assert (first.detail, rest.detail) == ({}, {"count": 2, "seconds": 0, "aggregated": True})
    assert rest.subject == "lnk_1"


@pytest.mark.parametrize(
    "changes",
    [
        {"visit": "has a space"},
        {"purpose": "x" * 129},
        {"detail": {"Name": 1}},
        {"detail": {"name": "Anna Example"}},
        {"detail": {"ratio": 0.5}},
        {"detail": {"big": 2**53}},
        {"detail": {f"n{number}": 1 for number in range(33)}},
        {"private": {"reason": 4}},
        {"patient": 7},
    ],
)
def test_what_may_not_stand_in_clear_is_no_entry(changes: dict[str, object]) -> None:
    with pytest.raises(EntryInvalid):
        an_entry(**changes)


def test_staff_ids_are_codes() -> None:
    with pytest.raises(EntryInvalid):
        Actor("user", id="Anna Example")


async def test_long_text_from_outside_is_cut_and_entered(open_log: OpenLog) -> None:
    log = await open_log()
    await log.enter(an_entry(actor=Actor("user", id="usr_a", device="é\ud800" * 5000)))
    (stored,) = await log.entries()
    opened = await log.open_private(stored)
    assert opened is not None
    assert len(opened["device"]) == 512


async def test_a_closed_log_refuses(open_log: OpenLog) -> None:
    alarms: list[str] = []
    log = await open_log(on_alarm=alarms.append)
    await log.close()
    with pytest.raises(LogUnavailable):
        await log.enter(an_entry())
    await log.enter_closing(an_entry())
    assert alarms == ["audit.lost"]


async def test_segments_join_into_one_log(open_log: OpenLog, tmp_path: Path) -> None:
    log = await open_log(limits=replace(QUICK, queue=10_000))
    count = SEGMENT + 700
    await asyncio.gather(*(log.enter(an_entry(number, private={}, actor=Actor("system"))) for number in range(count)))
    await log.enter(an_entry(count))
    head, proof = await log.inclusion(17)
    stored = (await log.entries(after=16, limit=1))[0]
    assert verify_inclusion(stored.hash, 17, head.size, proof, head.root)
    assert await log.open_private((await log.entries(newest_first=True, limit=1))[0]) is not None
    around = await log.entries(after=SEGMENT - 3, limit=4)
    assert [stored.index for stored in around] == [SEGMENT - 2, SEGMENT - 1, SEGMENT, SEGMENT + 1]
    await log.close()
    (tmp_path / "audit" / "subtrees").unlink()
    log = await open_log()
    assert await log.enter(an_entry(count + 1)) == count + 1
    assert (await asyncio.to_thread(verify_folder, tmp_path / "audit", PUBLIC, ORIGIN)).ok
