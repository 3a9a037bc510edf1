"""Requests about recordings: looking, watching, holding, destroying."""

from dataclasses import replace

from tests.order.cast import ada_of, root_of, second_of
from tests.order.place import NAME, PARTIES, Ask, Member, Place, Reply


async def recording_of(place: Place, *, own: bool = False) -> str:
    """A sealed recording; the same for all acts that leave it as it is."""
    if own or not hasattr(place, "recording_id"):
        ada = await ada_of(place)
        made = await place.recording(ada, (await place.booked(ada))["visit"]["id"])
        if own:
            return made
        place.recording_id = made  # type: ignore[attr-defined]
    return place.recording_id  # type: ignore[attr-defined,no-any-return]


async def search_recordings(place: Place) -> Ask:
    await recording_of(place)
    return (await root_of(place)).ask("POST", "/recordings/search", patient=NAME)


async def show_recording(place: Place) -> Ask:
    return (await ada_of(place)).ask("GET", f"/recordings/{await recording_of(place)}")


async def ask_deletion(place: Place) -> Ask:
    """With a second admin in the house, one alone cannot."""
    await second_of(place)
    recording = await recording_of(place, own=True)
    return (await root_of(place)).ask("DELETE", f"/recordings/{recording}", reason="error")


async def asked_deletion(place: Place) -> str:
    reply = await (await ask_deletion(place))()
    assert reply.done, reply
    return str(reply.said["requests"][0]["id"])


async def approve_deletion(place: Place) -> Ask:
    return (await second_of(place)).ask("POST", f"/deletions/{await asked_deletion(place)}/approve")


async def refuse_deletion(place: Place) -> Ask:
    return (await second_of(place)).ask("DELETE", f"/deletions/{await asked_deletion(place)}")


async def destroy_part(place: Place) -> Ask:
    await second_of(place)
    path = f"/recordings/{await recording_of(place, own=True)}/parts/{PARTIES[0].participant}"
    return (await root_of(place)).ask("DELETE", path, reason="withdrawal")


async def set_hold(place: Place) -> Ask:
    recording = await recording_of(place, own=True)
    return (await root_of(place)).ask("PUT", f"/recordings/{recording}/hold", reason="court")


async def release_hold(place: Place) -> Ask:
    assert (await (held := await set_hold(place))()).done, held
    root = await root_of(place)
    found = (await root.ask("GET", "/recordings")()).said["items"]
    recording = next(one["id"] for one in found if one["hold"])
    return root.ask("DELETE", f"/recordings/{recording}/hold")


async def show_certificate(place: Place) -> Ask:
    reply = await (await approve_deletion(place))()
    assert reply.done, reply
    return (await root_of(place)).ask("GET", f"/recordings/{reply.said['id']}/certificate")


async def set_retention(place: Place) -> Ask:
    root = await root_of(place)
    rules = (await root.ask("GET", "/retention")()).said["rules"]
    changed = [{**rule, "days": rule["days"] + 1} for rule in rules]
    return root.ask("PUT", "/retention", rules=changed)


async def grant_playback(place: Place) -> Ask:
    ada = await ada_of(place)
    recording = await recording_of(place)

    async def asked() -> Reply:
        reply = await ada.ask("POST", f"/recordings/{recording}/grants", purpose="treatment")()
        if reply.done:
            await place.house.recordings.close_grant(
                replace(place.caller(ada, "clinician")), reply.said["id"]
            )  # so that a hundred fit
        return reply

    return asked


async def _grant(place: Place) -> tuple[Member, dict[str, object]]:
    ada = await ada_of(place)
    path = f"/recordings/{await recording_of(place)}/grants"
    reply = await ada.ask("POST", path, purpose="treatment")()
    assert reply.done, reply
    return ada, reply.said


async def renew_grant(place: Place) -> Ask:
    ada, grant = await _grant(place)
    return ada.ask("POST", f"/grants/{grant['id']}/renew")


async def close_grant(place: Place) -> Ask:
    ada, grant = await _grant(place)
    return ada.ask("DELETE", f"/grants/{grant['id']}")


async def play_track(place: Place) -> Ask:
    ada, grant = await _grant(place)
    tracks = grant["tracks"]
    assert isinstance(tracks, list)
    return ada.ask("GET", tracks[0]["url"].removeprefix("/api/v1"))
