"""JSON lines and ECS in files: whole lines, each entry in order, through rotation, full disks and restarts."""

import asyncio
import json
import os
import resource
from pathlib import Path

import pytest
from outward_samples import ADDRESS, DEVICE, NAME, ORIGIN, an_entry, fill, lines

from telehealth.audit.actions import Action
from telehealth.audit.entry import Outcome
from telehealth.audit.log import AuditLog
from telehealth.clock import SystemClock
from telehealth.config import Config
from telehealth.outward.cursor import Cursor
from telehealth.outward.ecs import TYPES, event_type, fields
from telehealth.outward.feed import Feed
from telehealth.outward.feeds import feeds_of
from telehealth.outward.lateness import Lateness
from telehealth.outward.looking import look
from telehealth.outward.outlets import FileOutlet, StandardOutput
from telehealth.outward.settings import Outward
from telehealth.outward.told import Origin, entry, json_line

HERE = Origin(ORIGIN, "host.example", "1")
# Of the schema's own list; categories that we use must be in it.
ECS_CATEGORIES = {"authentication", "configuration", "database", "file", "host", "iam", "network", "process", "session"}


def feed_to(log: AuditLog, path: Path, folder: Path) -> Feed:
    return Feed(
        "json",
        log,
        FileOutlet(path),
        json_line(HERE),
        Cursor(folder / "cursor" / "json.json", ORIGIN, 0.0),
        clock=SystemClock(),
        alarm=[].append,
        entropy=os.urandom,
    )


def indexes(path: Path) -> list[int]:
    return [json.loads(line)["index"] for line in lines(path)]


async def carried(feed: Feed) -> None:
    while await feed.step():
        pass


async def test_a_line_is_the_entry(log: AuditLog, tmp_path: Path) -> None:
    await log.enter(an_entry(3))
    await carried(feed_to(log, tmp_path / "audit.jsonl", tmp_path))
    stored = (await log.entries(limit=1))[0]
    told = json.loads(lines(tmp_path / "audit.jsonl")[0])
    assert told == entry(stored, ORIGIN, {})
    assert set(told) == {
        *("schema", "log", "index", "hash", "at", "action", "outcome", "actor", "visit", "recording", "patient"),
        *("subject", "purpose", "detail", "late"),
    }
    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o077 == 0


async def test_a_log_that_cannot_be_read_makes_the_feed_late_and_ends_no_task(log: AuditLog, tmp_path: Path) -> None:
    await fill(log, 3)
    feed = feed_to(log, tmp_path / "audit.jsonl", tmp_path)
    leaves = tmp_path / "audit" / "leaves"
    aside = await asyncio.to_thread(leaves.rename, leaves.with_name("aside"))
    assert await feed.step() is False
    assert (feed.lag().fault, feed.lag().entries) == ("log_unavailable", 3)
    await asyncio.to_thread(aside.rename, leaves)
    await feed.step()
    assert (feed.lag().fault, feed.lag().entries) == ("", 0)


async def test_a_renamed_file_is_opened_anew_and_no_line_is_lost(log: AuditLog, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    feed = feed_to(log, path, tmp_path)
    await fill(log, 4)
    await carried(feed)
    await asyncio.to_thread(path.rename, tmp_path / "audit.jsonl.1")
    await fill(log, 3)
    await carried(feed)
    assert (indexes(tmp_path / "audit.jsonl.1"), indexes(path)) == ([0, 1, 2, 3], [4, 5, 6])


async def test_a_restart_loses_nothing_and_doubles_nothing(log: AuditLog, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for count in (5, 700):  # more than one batch
        await fill(log, count)
        await carried(feed_to(log, path, tmp_path))
    assert indexes(path) == list(range(705))


async def test_a_torn_line_is_cut_off_and_written_whole(log: AuditLog, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    await fill(log, 2)
    await carried(feed_to(log, path, tmp_path))
    with path.open("ab") as file:
        file.write(b'{"schema":"telehealth.aud')
    await fill(log, 1)
    await carried(feed_to(log, path, tmp_path))
    assert indexes(path) == [0, 1, 2]


async def test_a_full_disk_leaves_whole_lines_and_goes_on_when_there_is_room(log: AuditLog, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    feed = feed_to(log, path, tmp_path)
    await fill(log, 20)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
    try:
        await feed.step()
        assert feed.lag().fault == "OSError"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    await carried(feed)
    assert indexes(path) == list(range(20))
    assert feed.lag().entries == 0


async def test_a_folder_that_is_gone_costs_nothing_but_time(log: AuditLog, tmp_path: Path) -> None:
    feed = feed_to(log, tmp_path / "gone" / "audit.jsonl", tmp_path)
    await fill(log, 2)
    await carried(feed)
    assert feed.lag().fault == "FileNotFoundError"
    await asyncio.to_thread((tmp_path / "gone").mkdir)
    await carried(feed)
    assert indexes(tmp_path / "gone" / "audit.jsonl") == [0, 1]


async def test_standard_output_gets_lines_too(log: AuditLog, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    await log.enter(an_entry())
    cursor = Cursor(tmp_path / "cursor" / "json.json", ORIGIN, 0.0)
    named = {"clock": SystemClock(), "alarm": [].append, "entropy": os.urandom}
    await carried(Feed("json", log, StandardOutput(writing), json_line(HERE), cursor, **named))  # type: ignore[arg-type]
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert json.loads(pipe.read())["index"] == 0


async def test_ecs_names_what_happened_in_the_schemas_words(log: AuditLog, tmp_path: Path) -> None:
    await log.enter(an_entry(outcome=Outcome.REFUSED))
    stored = (await log.entries(limit=1))[0]
    told = fields(stored, HERE, {})
    assert (told["event"]["category"], told["event"]["type"]) == (["file"], ["access"])
    assert told["event"]["outcome"] == "failure"
    assert told["user"] == {"id": "usr_a", "roles": ["clinician"]}
    assert told["event"]["sequence"] == 0
    assert not any(canary in str(told) for canary in (NAME, ADDRESS, DEVICE))
    more = fields(stored, HERE, {"address": ADDRESS, "device": DEVICE})
    assert more["source"] == {"address": ADDRESS, "ip": ADDRESS}
    assert more["user_agent"]["original"] == DEVICE


@pytest.mark.parametrize("act", list(Action))
def test_every_act_has_a_category_and_a_type_that_fit(act: Action) -> None:
    from telehealth.outward.codes import meaning

    category = meaning(act.value).category
    assert category in ECS_CATEGORIES
    assert event_type(act.value) in TYPES[category]


def test_lateness_is_the_age_of_the_oldest_thing_that_lacks() -> None:
    late = Lateness()
    late.saw(10, 100.0)
    late.saw(20, 105.0)
    assert late.seconds(5, 110.0) == 10.0
    assert late.seconds(10, 110.0) == 5.0
    assert late.seconds(20, 110.0) == 0.0
    for size in range(21, 5000):
        late.saw(size, float(size))
    assert late.seconds(5, 6000.0) == 5900.0
    late.forget(4999)
    assert late.seconds(4999, 6000.0) == 0.0


async def test_the_configuration_makes_the_feeds_and_their_figures(log: AuditLog, tmp_path: Path) -> None:
    section = Outward(json_file=str(tmp_path / "a"), ecs_file=str(tmp_path / "b"), syslog="tcp://127.0.0.1:1")
    feeds = feeds_of(section, tmp_path / "cursors", log, SystemClock())
    figures: dict[str, object] = {}
    feeds.measure(lambda name, _text, read: figures.update({name: read()}))
    assert set(figures) == {
        f"outward_{name}_{figure}"
        for name in ("json", "ecs", "syslog")
        for figure in ("lag_entries", "lag_seconds", "alarm")
    }
    assert [lag.name for lag in feeds.lags()] == ["json", "ecs", "syslog"]
    assert await feeds.up_to_date()


async def test_the_doctor_says_what_is_behind_and_what_cannot_be_reached(log: AuditLog, tmp_path: Path) -> None:
    section = Outward(json_file=str(tmp_path / "audit.jsonl"), syslog="tcp://127.0.0.1:1")
    await fill(log, 3)
    feed = feeds_of(section, tmp_path / "audit" / "outward", log, SystemClock()).find("json")
    assert feed is not None
    await carried(feed)
    seen = {(one.what, one.state) for one in await asyncio.to_thread(lambda: list(look(section, tmp_path / "audit")))}
    assert seen == {("outward.json_file", "well"), ("outward.json", "well"), ("outward.syslog", "wrong")}


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"syslog": "tcp://collector.example:601"}, "tls:// beyond loopback"),
        ({"syslog": "udp://127.0.0.1:514"}, "syslog"),
        ({"syslog": "tls://a.example", "syslog_key": "k"}, "go together"),
        ({"json_file": "x", "ecs_file": "x"}, "must differ"),
    ],
)
def test_a_configuration_that_would_leak_or_clash_is_refused(given: dict[str, str], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Config.model_validate({"outward": given})
