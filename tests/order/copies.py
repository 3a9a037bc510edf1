"""Requests about a patient's own copy, once it is made and the clinic tells the link."""

import asyncio
from typing import Any

from telehealth.access import command_line
from tests.order import care
from tests.order.cast import root_of
from tests.order.place import Ask, Place, Reply, http


async def _made(place: Place) -> str:
    """The id of a copy that is ready; the patient left no contact, so the clinic tells link and code."""
    copy = await care.asked_copy(place)
    await _done(place, f"/copies/{copy}/approve")
    await place.house.recordings.exports.settle()
    await place.house.copying.copies.look()
    return copy


async def _done(place: Place, path: str) -> dict[str, Any]:
    reply = await (await root_of(place)).ask("POST", path)()
    assert reply.done, reply
    said: dict[str, Any] = reply.said
    return said


async def link(place: Place) -> Ask:
    return (await root_of(place)).ask("POST", f"/copies/{await _made(place)}/link")


async def tell_code(place: Place) -> Ask:
    return (await root_of(place)).ask("POST", f"/copies/{await _made(place)}/code")


async def download(place: Place) -> Ask:
    copy = await _made(place)
    token = (await _done(place, f"/copies/{copy}/link"))["url"].partition("#")[2]
    code = (await _done(place, f"/copies/{copy}/code"))["code"]
    client = place.client()
    reply = await http(client, "POST", "/copy/verify", {"token": token, "code": code})()
    assert reply.done, reply
    ask = http(client, "POST", "/copy/file", {"token": token, "session": reply.said["session"]})

    async def fetched() -> Reply:
        """Until that it was fetched is noted, which comes after the last octet."""
        answer = await ask()
        while answer.done and (await place.house.copying.copies.may_decide(command_line(), copy)).fetched_at is None:
            await asyncio.sleep(0.01)
        return answer

    return fetched
