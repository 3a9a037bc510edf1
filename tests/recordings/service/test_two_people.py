"""Before the term two people destroy, wherever there are two; a hold wins at the approval as well."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from recordings_house import House

from recordings.certificate import verify
from recordings.refusals import Held, TooEarly
from telehealth.access import Caller
from telehealth.errors import NotFound, WrongState
from telehealth.identity.faults import SecondAdminNeeded


@dataclass
class Two:
    """Two admins; `fresh` ones cannot be the second."""

    fresh: set[str] = field(default_factory=set)

    async def needs_second(self) -> bool:
        return True

    async def is_second(self, caller: Caller, asked_by: str, _asked_at: datetime) -> bool:
        return caller.id != asked_by and caller.id not in self.fresh


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path, alone=True, quorum=Two())
    await house.open()
    yield house
    await house.close()


def second(house: House) -> Caller:
    return replace(house.admin, id="usr_second", session="ses_second")


async def asked(house: House, recording: str, note: str | None = None) -> str:
    shown = await house.service.delete(house.admin, recording, "patient_request", note)
    assert shown.state == "sealed"
    [request] = shown.requests
    return request.id


async def test_one_asks_another_approves_and_both_are_named(pair: House) -> None:
    recording = await pair.recorded(0.06)
    request = await asked(pair, recording, "asked by telephone")
    assert await asked(pair, recording) == request  # asking again changes nothing
    assert not (await pair.service.verify(pair.admin, recording)).damaged
    with pytest.raises(SecondAdminNeeded):
        await pair.service.erasing.approve(pair.admin, request)
    with pytest.raises(NotFound):
        await pair.service.erasing.approve(pair.doctor_caller, request)
    pair.clock.move(hours=1)
    await pair.service.erasing.approve(second(pair), request)
    shown = await pair.service.show(pair.admin, recording)
    assert (shown.state, shown.requests) == ("deleted", ())
    blob = await pair.service.erasing.certificate(pair.admin, recording)
    certificate = verify(blob, pair.service.certificate_public_key)
    assert (certificate.asked_by, certificate.approved_by, certificate.executed_by) == (
        "usr_admin", "usr_second", "server",
    )  # fmt: skip
    assert certificate.asked_at < certificate.hold_checked_at
    [ask] = [entry for entry in await pair.entries("recording.delete.ask") if entry.outcome == "done"][:1]
    assert ask.detail["request"] == request
    intents = [entry for entry in await pair.entries("recording.delete") if entry.outcome == "intent"]
    assert [(entry.actor, entry.detail["asked_by"]) for entry in intents] == [("usr_second", "usr_admin")]
    with pytest.raises(NotFound):
        await pair.service.erasing.approve(second(pair), request)


async def test_a_token_and_a_fresh_admin_approve_nothing(pair: House) -> None:
    recording = await pair.recorded(0.06)
    request = await asked(pair, recording)
    pair.quorum.fresh.add("usr_second")
    token = Caller("token", "usr_third", "admin", frozenset({"recordings:manage"}), session="tok_x")
    for caller in (token, second(pair)):
        with pytest.raises(SecondAdminNeeded):
            await pair.service.erasing.approve(caller, request)
    assert (await pair.service.show(pair.admin, recording)).state == "sealed"


async def test_the_command_line_is_one_person(pair: House) -> None:
    shell = Caller("cli", "cli", "admin")
    recording = await pair.recorded(0.06)
    assert not await pair.service.erasing.delete(shell, recording, "error")
    [request] = await pair.service.erasing.waiting(pair.admin)
    with pytest.raises(SecondAdminNeeded):
        await pair.service.erasing.approve(shell, request.id)
    await pair.service.erasing.approve(pair.admin, request.id)
    assert (await pair.service.show(pair.admin, recording)).state == "deleted"


async def test_a_hold_wins_at_the_approval(pair: House) -> None:
    recording = await pair.recorded(0.06)
    request = await asked(pair, recording)
    await pair.service.hold(pair.admin, recording, "court")
    with pytest.raises(Held):
        await pair.service.erasing.approve(second(pair), request)
    assert not (await pair.service.verify(pair.admin, recording)).damaged
    await pair.service.release(pair.admin, recording)
    await pair.service.erasing.approve(second(pair), request)  # nobody had decided it
    assert (await pair.service.show(pair.admin, recording)).state == "deleted"


async def test_a_refused_and_an_expired_wish_are_over(pair: House) -> None:
    recording = await pair.recorded(0.06)
    request = await asked(pair, recording)
    await pair.service.erasing.refuse(second(pair), request)
    with pytest.raises(NotFound):
        await pair.service.erasing.approve(second(pair), request)
    assert (await pair.entries("recording.delete.refuse"))[0].detail["asked_by"] == "usr_admin"
    request = await asked(pair, recording)
    pair.clock.move(days=8)
    with pytest.raises(NotFound):
        await pair.service.erasing.approve(second(pair), request)
    assert await pair.service.erasing.waiting(pair.admin) == []
    assert (await pair.service.show(pair.admin, recording)).state == "sealed"


async def test_what_is_due_needs_nobody_and_one_admin(pair: House) -> None:
    recording, swept = await pair.recorded(0.06), await pair.recorded(0.06)
    pair.clock.move(days=31)
    assert (await pair.service.delete(pair.admin, recording, "policy")).state == "deleted"
    await pair.service.sweep()
    assert (await pair.service.show(pair.admin, swept)).state == "deleted"


async def test_where_one_person_is_enough_one_person_is(tmp_path: Path) -> None:
    house = House(tmp_path, alone=True, quorum=Two())
    house.settings = replace(house.settings, two_people=False)
    await house.open()
    recording = await house.recorded(0.06)
    assert (await house.service.delete(house.admin, recording, "error")).state == "deleted"
    await house.close()


async def test_two_approvals_at_once_destroy_once(pair: House) -> None:
    recording = await pair.recorded(0.06)
    request = await asked(pair, recording)
    third = replace(second(pair), id="usr_third")
    results = await asyncio.gather(
        *(pair.service.erasing.approve(who, request) for who in (second(pair), third)), return_exceptions=True
    )
    assert sum(isinstance(result, Exception) for result in results) == 1
    assert any(isinstance(result, WrongState | NotFound) for result in results)
    done = [entry for entry in await pair.entries("recording.delete") if entry.outcome == "done"]
    assert len(done) == 1


async def test_an_open_wish_does_not_outlive_its_term(pair: House) -> None:
    recording = await pair.recorded(0.06)
    shown = await pair.service.delete(pair.admin, recording, "error")
    assert shown.requests[0].expires_at - shown.requests[0].asked_at == timedelta(days=7)


async def test_a_shortened_rule_makes_nothing_due_for_a_week(pair: House) -> None:
    recording = await pair.recorded(0.06)
    await pair.service.set_retention(pair.admin, [("visit", 30, 20)])
    await pair.service.set_retention(pair.admin, [("visit", 1, 0)])
    pair.clock.move(days=6)
    assert (await pair.service.sweep()).deleted == 0
    with pytest.raises(TooEarly):
        await pair.service.delete(pair.admin, recording, "error")
    pair.clock.move(days=2)
    assert (await pair.service.sweep()).deleted == 1
