"""Requests about people: signing in, accounts, tokens."""

from telehealth.ids import Kind, new_id
from telehealth.store import sso
from tests.order.cast import root_of
from tests.order.place import PASSWORD, Ask, Member, Place, http
from tests.telehealth.identity.software_key import SoftwareKey


async def sign_in(place: Place) -> Ask:
    ada = await place.member("clinician")
    body = {"login": ada.login, "password": PASSWORD, "code": ada.recovery[0]}
    return http(place.client(), "POST", "/session", body)


async def sign_in_wrong(place: Place) -> Ask:
    ada = await place.member("clinician")
    body = {"login": ada.login, "password": "wrong", "code": "000000"}
    return http(place.client(), "POST", "/session", body)


async def ask_lost_link(place: Place) -> Ask:
    return http(place.client(), "POST", "/join/lost", {"contact": "nobody@example.org"})


async def _passkey(place: Place, member: Member) -> tuple[SoftwareKey, dict[str, object]]:
    """A key on the member's device, and what adding it sends."""
    key = SoftwareKey(place.url.replace("127.0.0.1", "localhost"), "localhost")
    options = (await member.ask("POST", "/passkeys/options")()).said["options"]
    return key, {"credential": key.make(options), "label": "laptop"}


async def passkey_sign_in(place: Place) -> Ask:
    ada = await place.member("clinician")
    key, body = await _passkey(place, ada)
    assert (await ada.ask("POST", "/passkeys", **body)()).done
    browser = place.client()
    options = (await http(browser, "POST", "/session/passkey/options")()).said["options"]
    return http(browser, "POST", "/session/passkey", {"credential": key.use(options)})


async def add_passkey(place: Place) -> Ask:
    ada = await place.member("clinician")
    _, body = await _passkey(place, ada)
    return ada.ask("POST", "/passkeys", **body)


async def sso_sign_out(place: Place) -> Ask:
    return (await place.member("clinician")).ask("POST", "/session/sso/sign-out")


async def sso_unlink(place: Place) -> Ask:
    """Of an account that was tied, as if by its person."""
    ada = await place.member("clinician")
    async with place.house.base.store.begin() as connection:
        await sso.insert(connection, ada.id.encode().ljust(32), ada.id, place.house.clock.now())
    return ada.ask("DELETE", "/sso/link")


async def remove_passkey(place: Place) -> Ask:
    ada = await place.member("clinician")
    _, body = await _passkey(place, ada)
    made = (await ada.ask("POST", "/passkeys", **body)()).said
    return ada.ask("DELETE", f"/passkeys/{made['id']}")


async def sign_out(place: Place) -> Ask:
    return (await place.member("clinician")).ask("DELETE", "/session")


async def _second_session(place: Place, ada: Member) -> str:
    body = {"login": ada.login, "password": PASSWORD, "code": ada.recovery[1]}
    assert (await http(place.client(), "POST", "/session", body)()).done
    found = (await ada.ask("GET", "/sessions")()).said["items"]
    return str(next(one["id"] for one in found if one["id"] != ada.staff.session))


async def end_sessions(place: Place) -> Ask:
    ada = await place.member("clinician")
    await _second_session(place, ada)
    return ada.ask("DELETE", "/sessions")


async def end_session(place: Place) -> Ask:
    ada = await place.member("clinician")
    return ada.ask("DELETE", f"/sessions/{await _second_session(place, ada)}")


async def lose_device(place: Place) -> Ask:
    ada = await place.member("clinician")
    return ada.ask("POST", f"/sessions/{await _second_session(place, ada)}/lost")


async def step_up(place: Place) -> Ask:
    ada = await place.member("clinician")
    return ada.ask("POST", "/session/step-up", password=PASSWORD, code=ada.recovery[0])


async def change_password(place: Place) -> Ask:
    ada = await place.member("clinician")
    return ada.ask("PUT", "/password", password=PASSWORD, new_password="another long pass phrase")


async def finish_enrolment(place: Place) -> Ask:
    import pyotp

    root, browser = await root_of(place), place.client()
    name = new_id(Kind.USER)[4:12]
    made = (await root.ask("POST", "/users", login=name, name="New", role="clinician")()).said
    token = made["enrolment_url"].partition("#")[2]
    offer = (await http(browser, "POST", "/enrolment", {"token": token})()).said
    code = pyotp.TOTP(offer["totp_secret"]).now()
    return http(browser, "POST", "/enrolment/finish", {"token": token, "password": PASSWORD, "code": code})


async def add_user(place: Place) -> Ask:
    login = new_id(Kind.USER)[4:12]
    return (await root_of(place)).ask("POST", "/users", login=login, name="New", role="clinician")


async def change_role(place: Place) -> Ask:
    ada = await place.member("clinician")
    return (await root_of(place)).ask("PATCH", f"/users/{ada.id}", role="auditor")


async def disable_user(place: Place) -> Ask:
    ada = await place.member("clinician")
    return (await root_of(place)).ask("PATCH", f"/users/{ada.id}", disabled=True)


async def enable_user(place: Place) -> Ask:
    ada, root = await place.member("clinician"), await root_of(place)
    assert (await root.ask("PATCH", f"/users/{ada.id}", disabled=True)()).done
    return root.ask("PATCH", f"/users/{ada.id}", disabled=False)


async def reset_user(place: Place) -> Ask:
    ada = await place.member("clinician")
    return (await root_of(place)).ask("POST", f"/users/{ada.id}/reset")


async def ask_reset(place: Place) -> Ask:
    """Of another admin: it takes a second one."""
    other, _ = await place.member("admin"), await place.member("admin")
    return (await root_of(place)).ask("POST", f"/users/{other.id}/reset")


async def _asked_reset(place: Place) -> str:
    asked = await ask_reset(place)
    assert (await asked()).done
    found = (await (await root_of(place)).ask("GET", "/resets")()).said["items"]
    return str(found[-1]["id"])


async def approve_reset(place: Place) -> Ask:
    second = await place.member("admin")
    return second.ask("POST", f"/resets/{await _asked_reset(place)}/approve")


async def refuse_reset(place: Place) -> Ask:
    request = await _asked_reset(place)
    return (await root_of(place)).ask("DELETE", f"/resets/{request}")


async def create_token(place: Place) -> Ask:
    return (await root_of(place)).ask("POST", "/tokens", label="x", scopes=["metrics"])


async def token(place: Place, *scopes: str) -> dict[str, str]:
    reply = await (await root_of(place)).ask("POST", "/tokens", label="x", scopes=list(scopes or ["metrics"]))()
    assert reply.done, reply
    return reply.said  # type: ignore[no-any-return]


async def rotate_token(place: Place) -> Ask:
    made = await token(place)
    return (await root_of(place)).ask("POST", f"/tokens/{made['id']}/rotate", overlap_hours=1)


async def revoke_token(place: Place) -> Ask:
    made = await token(place)
    return (await root_of(place)).ask("DELETE", f"/tokens/{made['id']}")
