"""Requests about visits, links and patients' way in."""

from tests.order.cast import ada_of, root_of
from tests.order.place import NAME, Ask, Member, Place, http


async def create_visit(place: Place) -> Ask:
    return (await ada_of(place)).ask("POST", "/visits", patient={"name": NAME})


async def list_visits(place: Place) -> Ask:
    await place.booked(await ada_of(place))
    return (await root_of(place)).ask("GET", "/visits")


async def show_visit(place: Place) -> Ask:
    made = await place.booked(await ada_of(place))
    return (await root_of(place)).ask("GET", f"/visits/{made['visit']['id']}")


async def edit_visit(place: Place) -> Ask:
    ada = await ada_of(place)
    return ada.ask("PATCH", f"/visits/{(await place.booked(ada))['visit']['id']}", minutes=20)


async def cancel_visit(place: Place) -> Ask:
    ada = await ada_of(place)
    return ada.ask("PATCH", f"/visits/{(await place.booked(ada))['visit']['id']}", state="cancelled")


async def end_visit(place: Place) -> Ask:
    ada = await ada_of(place)
    made = await place.booked(ada)
    browser = await place.browser(ada.staff, made["visit"]["id"])
    assert (await browser.enter())["ok"]
    return ada.ask("POST", f"/visits/{made['visit']['id']}/end")


async def issue_link(place: Place) -> Ask:
    ada = await ada_of(place)
    return ada.ask("POST", f"/visits/{(await place.booked(ada))['visit']['id']}/links", channel="passcode")


async def revoke_link(place: Place) -> Ask:
    ada = await ada_of(place)
    made = await place.booked(ada)
    return ada.ask("DELETE", f"/visits/{made['visit']['id']}/links/{made['link']['id']}")


async def renew_budget(place: Place) -> Ask:
    ada = await ada_of(place)
    made = await place.booked(ada)
    return ada.ask("POST", f"/visits/{made['visit']['id']}/links/{made['link']['id']}/code")


async def list_guests(place: Place) -> Ask:
    made = await place.booked(await ada_of(place))
    return (await root_of(place)).ask("GET", f"/visits/{made['visit']['id']}/guests")


async def invite_guest(place: Place) -> Ask:
    ada = await ada_of(place)
    path = f"/visits/{(await place.booked(ada))['visit']['id']}/guests"
    return ada.ask("POST", path, role="interpreter", name="Ingrid Interpreter")


async def invited(place: Place) -> tuple[Member, str]:
    """Ada, and the path of a guest of hers."""
    ada = await ada_of(place)
    path = f"/visits/{(await place.booked(ada))['visit']['id']}/guests"
    made = (await ada.ask("POST", path, role="relative", name="Rita Relative")()).said
    return ada, f"{path}/{made['guest']['id']}"


async def issue_guest_link(place: Place) -> Ask:
    ada, guest = await invited(place)
    return ada.ask("POST", f"{guest}/links", channel="passcode")


async def remove_guest(place: Place) -> Ask:
    ada, guest = await invited(place)
    return ada.ask("DELETE", guest)


async def open_link(place: Place) -> Ask:
    made = await place.booked(await ada_of(place))
    return http(place.client(), "POST", "/join", {"token": made["link"]["url"].partition("#")[2]})


async def mint_code(place: Place) -> Ask:
    made = await place.booked(await ada_of(place), channel="spoken")
    return http(await place.opened(made), "POST", "/join/code")


async def verify_code(place: Place) -> Ask:
    made = await place.booked(await ada_of(place))
    return http(await place.opened(made), "POST", "/join/verify", {"code": made["link"]["passcode"]})


async def try_code(place: Place) -> Ask:
    made = await place.booked(await ada_of(place))
    return http(await place.opened(made), "POST", "/join/verify", {"code": "wrong-code"})


async def give_up(place: Place) -> Ask:
    client, _ = await place.verified(await place.booked(await ada_of(place)))
    return http(client, "DELETE", "/join")
