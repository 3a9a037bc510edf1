"""Two at once, on both kinds of database: what must happen once happens once."""

import asyncio

from identity_house import ADMIN, PASSWORD, PLACE, House

from telehealth.identity.faults import InvitationOver, LastAdmin
from telehealth.store.tables import participants, users


async def test_first_openings_of_one_link_at_once_make_one_participant(house: House) -> None:
    ada = await house.enrolled()
    link = await house.link(await house.visit(ada.user))
    await asyncio.gather(*(house.joining.open(link.token.reveal(), **PLACE) for _ in range(8)))
    assert len(await house.rows(participants)) == 1


async def test_admins_who_disable_each_other_at_once_leave_one(house: House) -> None:
    first, second = await house.enrolled("ada", "admin"), await house.enrolled("grace", "admin")
    results = await asyncio.gather(
        house.people.change(ADMIN, first.user, disabled=True),
        house.people.change(ADMIN, second.user, disabled=True),
        return_exceptions=True,
    )
    assert sum(isinstance(result, LastAdmin) for result in results) == 1
    assert sum(not row["disabled"] for row in await house.rows(users)) == 1


async def test_two_who_set_up_at_once_make_one_first_admin(house: House) -> None:
    invitation = await house.people.first_admin_invitation()
    assert invitation is not None
    given = {"name": "Dr Somebody", "password": PASSWORD}
    results = await asyncio.gather(
        *(house.finish(invitation.token.reveal(), login=login, **given) for login in ("ada", "grace")),
        return_exceptions=True,
    )
    assert sum(isinstance(result, InvitationOver) for result in results) == 1
    assert len(await house.rows(users)) == 1
