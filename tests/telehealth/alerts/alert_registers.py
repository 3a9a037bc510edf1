"""Reminders of registers, as the log has them."""

from alert_people import Story
from alert_tower import Tower

from telehealth.audit.actions import Action as A


def reminded_of(register: str) -> Story:
    async def story(t: Tower) -> None:
        detail = {"register": register, "stage": "due"}
        await t.enter(A.REGISTER_REMIND, who="server", kind="system", subject="reg_a", detail=detail)

    return story


async def changes_a_register(t: Tower) -> None:
    for register in ("incidents", "associates", "findings"):
        await t.enter(A.REGISTER_CHANGE, subject="reg_a", detail={"register": register})
