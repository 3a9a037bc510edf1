"""Who besides the visit's clinician may play: the team, and whoever has broken the glass, as long as it is broken."""

from datetime import timedelta
from typing import Any

import pytest
from recordings_house import House
from sqlalchemy import insert

from recordings.refusals import GrantNeeded
from recordings.rows import Filter
from telehealth.access import Caller, PurposeNeeded
from telehealth.errors import NotFound
from telehealth.ids import Kind, new_id
from telehealth.store import care
from telehealth.store.tables import users


async def colleague(house: House) -> Caller:
    user = new_id(Kind.USER)
    async with house.store.begin() as connection:
        await connection.execute(
            insert(users).values(
                id=user,
                role="clinician",
                login_lookup=user.encode()[-32:].ljust(32),
                login_sealed=b"",
                name_sealed=b"",
                recovery_hashes=[],
                disabled=False,
                created_at=house.clock.now(),
            )
        )
    return Caller("user", user, "clinician", session="ses_c")


async def break_glass(house: House, user: str, minutes: int) -> None:
    now = house.clock.now()
    async with house.store.begin() as connection:
        await care.insert_glass(
            connection,
            id=new_id(Kind.GLASS),
            visit_id=house.visit,
            user_id=user,
            reason="emergency",
            words_sealed=b"",
            asked_at=now,
            opens_at=now,
            expires_at=now + timedelta(minutes=minutes),
        )


async def test_a_colleague_on_the_team_plays_until_taken_off(house: House) -> None:
    recording = await house.recorded(0.1)
    who = await colleague(house)
    with pytest.raises(NotFound):
        await house.service.grant(who, recording, "treatment")
    async with house.store.begin() as connection:
        await care.join(connection, house.visit, who.id, house.clinician, house.clock.now())
    assert [row.id for row in (await house.service.find(who, Filter())).items] == [recording]
    grant = await house.service.grant(who, recording, "treatment")
    await house.service.renew(who, grant.id)
    async with house.store.begin() as connection:
        await care.part(connection, house.visit, who.id)
    with pytest.raises(NotFound):
        await house.service.renew(who, grant.id)
    await house.service.end_grants(who.id, visit=house.visit)
    with pytest.raises(GrantNeeded):
        house.service.size(who, grant.id, grant.tracks[0])


async def test_a_broken_glass_plays_for_its_time_and_the_entry_says_so(house: House) -> None:
    recording = await house.recorded(0.1)
    who = await colleague(house)
    await break_glass(house, who.id, minutes=2)
    grant = await house.service.grant(who, recording, "treatment")
    entry = (await house.entries("playback.grant"))[0]
    assert (entry.detail["circle"], entry.detail["break_glass"]) == ("glass", True)
    house.clock.move(seconds=50)
    await house.service.renew(who, grant.id)
    house.clock.move(seconds=50)
    await house.service.renew(who, grant.id)
    house.clock.move(seconds=30)
    with pytest.raises(NotFound):
        await house.service.renew(who, grant.id)
    with pytest.raises(NotFound):
        await house.service.grant(who, recording, "treatment")


async def test_an_admin_states_a_purpose_from_the_list_and_it_is_entered(house: House) -> None:
    recording = await house.recorded(0.1)
    with pytest.raises(PurposeNeeded):
        await house.service.grant(house.admin, recording, "curiosity")
    assert await house.entries("playback.grant") == []
    await house.service.grant(house.admin, recording, "legal")
    entry = (await house.entries("playback.grant"))[0]
    assert (entry.purpose, entry.detail["circle"]) == ("legal", "every")


class LateKeys:
    """The key store, asked just after the clinic took the asker off the team."""

    def __init__(self, house: House, who: Caller) -> None:
        self._house, self._who, self._keys = house, who, house.service._playback._keys

    async def open(self, file: str, **how: Any) -> Any:
        async with self._house.store.begin() as connection:
            await care.part(connection, self._house.visit, self._who.id)
        await self._house.service.end_grants(self._who.id, visit=self._house.visit)
        return await self._keys.open(file, **how)


async def test_a_grant_that_was_in_the_making_when_access_ended_is_none(house: House) -> None:
    recording = await house.recorded(0.1)
    who = await colleague(house)
    async with house.store.begin() as connection:
        await care.join(connection, house.visit, who.id, house.clinician, house.clock.now())
    house.service._playback._keys = LateKeys(house, who)  # type: ignore[assignment]
    with pytest.raises(NotFound):
        await house.service.grant(who, recording, "treatment")
    assert house.service._playback._live == {}
