"""A recording begins whole or leaves nothing, whatever fails at whichever step, also once what failed works again."""

import asyncio
from pathlib import Path

import pytest
from recordings_house import House
from unplugged import Plug

from telehealth.errors import Refusal

SOON = 5.0


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_what_could_not_begin_leaves_nothing_once_database_and_keys_answer_again(
    tmp_path: Path, after: bool
) -> None:
    plug = Plug()
    house = House(tmp_path, wrap=plug.wrap, alone=True)
    await house.open()
    step, begun = 0, False
    while not begun:
        step += 1
        plug.arm(step, after=after)
        try:
            recording = await house.begin()
            begun = not plug.dead
        except Refusal:
            begun = False
        plug.arm(None)
        if not begun:
            await nothing_is_left(house)
    assert step > 3, "hardly anything was tried"
    house.speak(recording, 0.1)
    await house.service.stop(recording, "clinician")
    await house.service.settle()
    await house.close()


async def nothing_is_left(house: House) -> None:
    """No row that passes for a running recording, no claim. A share that never got its row is left to reconciling."""
    async with asyncio.timeout(SOON):
        while await house.service.catalogue.in_states(["capturing"]) or house.service._recorder._claims._taken:
            await asyncio.sleep(0.01)
    assert house.service._recorder._live == {}
