"""Requests about care teams, emergency access, exports, copies, alerts, and what programs read."""

from typing import Any

from telehealth.audit.actions import Action
from telehealth.audit.reading import EntryFilter
from tests.order.cast import ada_of, root_of, second_of
from tests.order.place import PARTIES, Ask, Member, Place, http
from tests.order.recordings import recording_of


async def _visit(place: Place) -> str:
    return str((await place.booked(await ada_of(place)))["visit"]["id"])


async def add_to_team(place: Place) -> Ask:
    bob = await place.member("clinician")
    return (await ada_of(place)).ask("PUT", f"/visits/{await _visit(place)}/team/{bob.id}")


async def remove_from_team(place: Place) -> Ask:
    ada, bob, visit = await ada_of(place), await place.member("clinician"), await _visit(place)
    reply = await ada.ask("PUT", f"/visits/{visit}/team/{bob.id}")()
    assert reply.done, reply
    return ada.ask("DELETE", f"/visits/{visit}/team/{bob.id}")


async def _breaking(place: Place) -> tuple[Member, dict[str, Any]]:
    bob = await place.member("clinician")
    words = "no pulse, and nobody else of the team can be reached"
    body = {"visit": await _visit(place), "reason": "emergency", "words": words}
    return bob, body


async def break_glass(place: Place) -> Ask:
    bob, body = await _breaking(place)
    return bob.ask("POST", "/glasses", **body)


async def broken(place: Place) -> tuple[Member, str]:
    bob, body = await _breaking(place)
    reply = await bob.ask("POST", "/glasses", **body)()
    assert reply.done, reply
    return bob, str(reply.said["id"])


async def approve_glass(place: Place) -> Ask:
    await root_of(place)  # somebody who could approve it is signed in, so it waits
    _, glass = await broken(place)
    return (await ada_of(place)).ask("POST", f"/glasses/{glass}/approve")


async def deny_glass(place: Place) -> Ask:
    await root_of(place)
    _, glass = await broken(place)
    return (await ada_of(place)).ask("POST", f"/glasses/{glass}/deny")


async def close_glass(place: Place) -> Ask:
    bob, glass = await broken(place)
    return bob.ask("DELETE", f"/glasses/{glass}")


EXPORT = {"purpose": "legal", "protection": "passphrase", "passphrase": "a long pass phrase for tests"}


async def begin_export(place: Place) -> Ask:
    return (await root_of(place)).ask("POST", f"/recordings/{await recording_of(place, own=True)}/exports", **EXPORT)


async def finished_export(place: Place) -> str:
    reply = await (await begin_export(place))()
    assert reply.done, reply
    await place.house.recordings.exports.settle()
    return str(reply.said["id"])


async def download_export(place: Place) -> Ask:
    return (await root_of(place)).ask("GET", f"/exports/{await finished_export(place)}/file")


async def remove_export(place: Place) -> Ask:
    return (await root_of(place)).ask("DELETE", f"/exports/{await finished_export(place)}")


async def ask_copy(place: Place) -> Ask:
    recording = await recording_of(place, own=True)
    return (await ada_of(place)).ask("POST", f"/recordings/{recording}/copies", language="en")


async def asked_copy(place: Place) -> str:
    reply = await (await ask_copy(place))()
    assert reply.done, reply
    return str(reply.said["id"])


async def approve_copy(place: Place) -> Ask:
    return (await root_of(place)).ask("POST", f"/copies/{await asked_copy(place)}/approve")


async def decline_copy(place: Place) -> Ask:
    return (await root_of(place)).ask("POST", f"/copies/{await asked_copy(place)}/decline", reason="not_theirs")


async def ask_own_copy(place: Place) -> Ask:
    ada = await ada_of(place)
    made = await place.booked(ada)
    client, _ = await place.verified(made)
    recording = await place.recording(ada, made["visit"]["id"])
    return http(client, "POST", f"/join/recordings/{recording}/copy", {"language": "en"})


async def list_alerts(place: Place) -> Ask:
    return (await root_of(place)).ask("GET", "/alerts")


async def try_alert_rules(place: Place) -> Ask:
    return (await root_of(place)).ask("POST", "/alerts/rules/try", days=1)


async def alert_of(place: Place) -> str:
    """An alert that nobody took on: emergency access raises one."""
    root = await root_of(place)
    await broken(place)
    found: list[dict[str, Any]] = []

    async def look() -> bool:
        found[:] = [one for one in (await root.ask("GET", "/alerts")()).said["items"] if not one["acknowledged_at"]]
        return bool(found)

    while not await look():
        await place.house.alerting.room.look()
    return str(found[0]["id"])


async def acknowledge_alert(place: Place) -> Ask:
    return (await root_of(place)).ask("POST", f"/alerts/{await alert_of(place)}/acknowledge", note="looked at")


async def judge_case(place: Place) -> Ask:
    """By somebody else than who broke the glass."""
    await alert_of(place)
    case = (await place.house.log.entries(limit=200, only=EntryFilter(action=Action.BREAK_GLASS_OPEN)))[-1].index
    await place.house.alerting.room.look()
    return (await root_of(place)).ask(
        "POST", "/reviews/case", case=case, verdict="justified", note="nobody else was there"
    )


async def sign_review(place: Place) -> Ask:
    """A week that nobody signed yet, long before there was anything to count."""
    root, weeks = await root_of(place), (f"2020-W{number:02d}" for number in range(1, 53))
    await place.house.alerting.room.look()
    for week in weeks:
        shown = (await root.ask("GET", f"/reviews/week?week={week}")()).said
        if shown["signed"] is None:
            break
    return root.ask("POST", "/reviews/sign", week=shown["week"], sha256=shown["sha256"])


async def fhir_search(place: Place) -> Ask:
    return (await root_of(place)).ask("GET", "//fhir/AuditEvent")


async def fhir_read(place: Place) -> Ask:
    return (await root_of(place)).ask("GET", "//fhir/AuditEvent/0")


async def part_certificate(place: Place) -> Ask:
    second, recording = await second_of(place), await recording_of(place, own=True)
    path = f"/recordings/{recording}/parts/{PARTIES[0].participant}"
    asked = await (await root_of(place)).ask("DELETE", path, reason="withdrawal")()
    assert asked.done, asked
    approved = await second.ask("POST", f"/deletions/{asked.said['requests'][0]['id']}/approve")()
    assert approved.done, approved
    return (await root_of(place)).ask("GET", f"{path}/certificate")
