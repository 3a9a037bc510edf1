"""A certificate is pending until every copy that could bring a key back has aged out; then a final one follows."""

import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from recordings_house import House
from unplugged import Plug, Power

from recordings.certificate import Certificate, follows, verify
from recordings.evidence import OVER_AGE, CopyAges
from recordings.vault.store import VaultUnreachable


@pytest.fixture
async def waiting(tmp_path: Path) -> AsyncIterator[House]:
    """Key-store backups of 30 days, snapshots of the provider of 10."""
    house = House(tmp_path, alone=True)
    house.settings = replace(house.settings, backup_days=30, provider_days=10)
    await house.open()
    yield house
    await house.close()


async def certificate(house: House, recording: str, *, first: bool = False) -> tuple[Certificate, bytes]:
    blob = await house.service.erasing.certificate(house.admin, recording, first=first)
    return verify(blob, house.service.certificate_public_key), blob


async def test_it_is_deleting_until_the_last_backup_is_gone_and_deleted_from_then_on(waiting: House) -> None:
    recording = await waiting.recorded(0.06)
    shown = await waiting.service.delete(waiting.admin, recording, "error")
    assert (shown.state, shown.certificate, shown.deleted_at) == ("deleting", "pending", None)
    pending, first = await certificate(waiting, recording)
    assert (pending.status, pending.previous_sha256) == ("pending", None)
    assert {(copy.place, copy.until) for copy in pending.residual if copy.until} >= {
        ("backups of the key store", pending.effective_after)
    }
    assert any(
        copy.what == "keys" and copy.until is None for copy in pending.residual
    )  # `file` cannot count its copies
    waiting.clock.move(days=11)
    assert (await waiting.service.sweep()).final == 0
    waiting.clock.move(days=20)
    assert (await waiting.service.sweep()).final == 1
    shown = await waiting.service.show(waiting.admin, recording)
    assert (shown.state, shown.certificate) == ("deleted", "final")
    assert None not in (shown.deleted_at, shown.destroyed_at)
    final, last = await certificate(waiting, recording)
    assert follows(final, first)
    assert final.destroyed_at == pending.destroyed_at
    assert not any(copy.until for copy in final.residual)
    assert await certificate(waiting, recording, first=True) == (pending, first)
    [issued] = await waiting.entries("certificate.issue")
    assert issued.detail["sha256"] == hashlib.sha256(last).hexdigest()
    assert (await waiting.service.sweep()).final == 0


async def test_without_copies_to_wait_for_it_is_deleted_at_once(house: House) -> None:
    recording = await house.recorded(0.06)
    shown = await house.service.delete(house.admin, recording, "error")
    assert (shown.state, shown.certificate) == ("deleted", "final")
    assert (await certificate(house, recording))[0].previous_sha256 is None


async def test_backups_kept_longer_than_promised_put_the_final_one_off(waiting: House) -> None:
    recording = await waiting.recorded(0.06)
    await waiting.service.delete(waiting.admin, recording, "error")
    waiting.settings = replace(waiting.settings, backup_days=60)
    await waiting.renew()
    waiting.clock.move(days=31)
    assert (await waiting.service.sweep()).final == 0
    waiting.clock.move(days=30)
    assert (await waiting.service.sweep()).final == 1
    final, _ = await certificate(waiting, recording)
    assert final.effective_after > (await certificate(waiting, recording, first=True))[0].effective_after


async def test_none_is_final_while_a_backup_of_keys_outlives_its_promise(waiting: House) -> None:
    async def one_left() -> bool:
        return True

    recording = await waiting.recorded(0.06)
    await waiting.service.delete(waiting.admin, recording, "error")
    waiting.copies_left = one_left
    await waiting.renew()
    waiting.clock.move(days=31)
    assert (await waiting.service.sweep()).final == 0
    waiting.copies_left = None
    await waiting.renew()
    await waiting.service.settle()
    assert (await waiting.service.show(waiting.admin, recording)).state == "deleted"


async def test_a_pending_certificate_changed_in_the_database_gets_no_successor(waiting: House) -> None:
    recording = await waiting.recorded(0.06)
    await waiting.service.delete(waiting.admin, recording, "error")
    row = await waiting.service.catalogue.recording(recording)
    assert row.certificate is not None
    await waiting.service.catalogue.note(recording, certificate=row.certificate.replace(b'"error"', b'"other"'))
    waiting.clock.move(days=31)
    assert (await waiting.service.sweep()).final == 0
    assert (await waiting.service.catalogue.recording(recording)).state == "deleting"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_killed_while_it_becomes_final_it_is_final_and_entered_at_the_next_start(
    tmp_path: Path, after: bool
) -> None:
    plug = Plug()
    house = House(tmp_path, wrap=plug.wrap, alone=True)
    house.settings = replace(house.settings, backup_days=1)
    await house.open()
    for step in range(1, 5):
        plug.arm(None)
        recording = await house.recorded(0.06)
        await house.service.delete(house.admin, recording, "error")
        house.clock.move(days=2)
        plug.arm(step, after=after)
        with contextlib.suppress(Power):
            await house.service.sweep()
        plug.arm(None)
        await house.renew()
        await house.service.settle()
        row = await house.service.catalogue.recording(recording)
        assert row.state == "deleted"
        assert row.final_entry is not None
        entered = [one for one in await house.entries("certificate.issue") if one.recording == recording]
        assert entered[-1].index == row.final_entry
        assert entered[-1].detail["sha256"] == hashlib.sha256(row.final_certificate or b"").hexdigest()
    await house.close()


def test_the_greater_age_counts(house: House) -> None:
    now = house.clock.now()
    assert CopyAges(0, 0).effective_after(now) == now
    assert (
        CopyAges(3, 9).effective_after(now)
        == CopyAges(9, 3).effective_after(now)
        == CopyAges(9, 9).effective_after(now)
    )


class Shelf:
    """A place of backups that may still hold keys from before."""

    def __init__(self) -> None:
        self.holds_old = True

    async def copies_left(self) -> bool:
        return self.holds_old


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[tuple[Shelf, House]]:
    """No copy is promised to live on, and yet one does."""
    shelf, house = Shelf(), House(tmp_path)
    house.copies_left = shelf.copies_left
    await house.open()
    yield shelf, house
    await house.close()


async def test_not_even_the_first_is_final_while_a_backup_of_keys_outlives_its_promise(
    shelf: tuple[Shelf, House],
) -> None:
    place, house = shelf
    recording = await house.recorded(0.06)
    shown = await house.service.delete(house.admin, recording, "error")
    assert (shown.state, shown.certificate) == ("deleting", "pending")
    pending, first = await certificate(house, recording)
    assert pending.status == "pending"
    assert any(copy.what == "keys" and copy.place == OVER_AGE for copy in pending.residual)
    house.clock.move(days=1)
    assert (await house.service.sweep()).final == 0
    place.holds_old = False
    assert (await house.service.sweep()).final == 1
    final, _ = await certificate(house, recording)
    assert follows(final, first)
    assert not any(copy.place == OVER_AGE for copy in final.residual)
    assert (await house.service.show(house.admin, recording)).state == "deleted"


async def test_nor_is_a_parts_first(shelf: tuple[Shelf, House]) -> None:
    place, house = shelf
    recording, who = await house.recorded(0.06), house.patient.participant
    await house.service.erasing.destroy_part(house.admin, recording, who, "withdrawal")
    [part] = (await house.service.show(house.admin, recording)).parts
    assert part.certificate == "pending"
    first = await house.service.erasing.part_certificate(house.admin, recording, who)
    assert verify(first, house.service.certificate_public_key).status == "pending"
    house.clock.move(days=1)
    assert (await house.service.sweep()).final == 0
    place.holds_old = False
    assert (await house.service.sweep()).final == 1
    final = await house.service.erasing.part_certificate(house.admin, recording, who)
    assert follows(verify(final, house.service.certificate_public_key), first)


@pytest.mark.parametrize("of_part", [False, True], ids=["recording", "part"])
async def test_one_that_could_only_be_signed_late_becomes_final_by_a_look_for_copies_too(
    shelf: tuple[Shelf, House], of_part: bool
) -> None:
    place, house = shelf
    house.settings = replace(house.settings, backup_days=14)
    await house.renew()
    recording, who, erasing = await house.recorded(0.06), house.patient.participant, house.service.erasing
    real, house.vault.delete = house.vault.delete, _away  # type: ignore[method-assign]
    part = erasing.destroy_part(house.admin, recording, who, "withdrawal") if of_part else None
    with pytest.raises(VaultUnreachable):
        await (part or erasing.delete(house.admin, recording, "error"))
    house.clock.move(days=15)
    house.vault.delete = real  # type: ignore[method-assign]
    assert (await house.service.sweep()).final == 0
    house.clock.move(days=1)
    assert (await house.service.sweep()).final == 0
    place.holds_old = False
    assert (await house.service.sweep()).final == 1
    assert (await house.service.sweep()).final == 0


async def _away(_name: str) -> None:
    raise VaultUnreachable
