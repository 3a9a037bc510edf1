"""The connection test and the figures of a visit over HTTP: who gets what, and what nobody gets."""

import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import ClientSession

from signaling.rtc.probe import Probe, destinations
from telehealth.app import open_server
from telehealth.clock import SystemClock
from telehealth.config import Config
from telehealth.identity.faults import SlowDown
from telehealth.reach.trials import OF_ONE_ADDRESS
from tests.order.conftest import CHEAP
from tests.order.place import NAME, Place, http


async def test_a_stranger_may_test_the_way_to_the_server(place: Place) -> None:
    client, probe = place.client(), Probe()
    begun = await http(client, "POST", "/connection-test", {"sdp": probe.offer, "transports": ["udp"]})()
    assert begun.done, begun
    probed = await probe.run(begun.said["sdp"], destinations(begun.said["sdp"])[0], seconds=0.1)
    assert (probed.fault, probed.lost) == ("", 0)
    assert begun.said["seconds"] <= 20


async def test_too_many_tests_of_one_address_are_told_to_wait(place: Place) -> None:
    client, offer = place.client(), Probe().offer
    ask = http(client, "POST", "/connection-test", {"sdp": offer, "transports": ["udp", "tcp"]})
    assert all([(await ask()).done for _ in range(OF_ONE_ADDRESS)])
    refused = await ask()
    assert (refused.code, refused.said["status"]) == ("tests_full", 503)


async def test_what_is_no_offer_is_refused(place: Place) -> None:
    client = place.client()
    for body, code in (
        ({"sdp": "v=0\r\n", "transports": ["udp"]}, "offer_refused"),
        ({"sdp": Probe().offer, "transports": ["carrier pigeon"]}, "malformed"),
        ({"sdp": Probe().offer, "transports": []}, "malformed"),
        ({"sdp": "x" * 50_000, "transports": ["udp"]}, "malformed"),
    ):
        assert (await http(client, "POST", "/connection-test", body)()).code == code


async def test_relay_servers_are_for_staff_and_the_invited_alone(place: Place) -> None:
    stranger = place.client()
    assert (await http(stranger, "GET", "/connection-test")()).said == {"turn": True, "turns": True}
    assert (await http(stranger, "GET", "/connection-test/servers")()).code == "unauthenticated"
    assert (await http(stranger, "GET", "/join/test-servers")()).code == "unauthenticated"
    ada = await place.member("clinician")
    invited = await place.opened(await place.booked(ada))
    for client, path in ((ada.client, "/connection-test/servers"), (invited, "/join/test-servers")):
        (server,) = (await http(client, "GET", path)()).said["ice_servers"]
        expires = int(server["username"].partition(":")[0])
        assert 0 < expires - place.house.clock.now().timestamp() <= 120


async def test_a_link_that_was_revoked_gets_no_relay_servers(place: Place) -> None:
    ada = await place.member("clinician")
    made = await place.booked(ada)
    invited = await place.opened(made)
    assert (await ada.ask("DELETE", f"/visits/{made['visit']['id']}/links/{made['link']['id']}")()).done
    assert (await http(invited, "GET", "/join/test-servers")()).code == "unauthenticated"


async def test_the_figures_of_a_visit_are_for_its_circle_and_hold_no_name(place: Place) -> None:
    ada, bob, root = [await place.member(role) for role in ("clinician", "clinician", "admin")]
    made = await place.booked(ada)
    visit = made["visit"]["id"]
    browser = await place.browser(ada.staff, visit)
    assert (await browser.enter())["ok"]
    report = {"level": 3, "rtt_ms": 40, "loss": 0.01, "jitter_ms": 5, "freezes": 2, "frozen_ms": 700.5, "path": "tcp"}
    assert await browser.send("quality", report) == {"ok": True}
    path = f"/visits/{visit}/media"
    for client in (ada.client, root.client):
        seen = (await http(client, "GET", path)()).said
        (person,) = seen["people"]
        assert (seen["topology"], person["role"], person["online"]) == ("alone", "clinician", True)
        assert person["reported"] == report
        assert person["leg"] is None
        assert NAME not in json.dumps(seen)
        assert "Clinician" not in json.dumps(seen)
    assert (await http(bob.client, "GET", path)()).code == "not_found"
    desk, auditor = await place.member("front_desk"), await place.member("auditor")
    assert {(await http(who.client, "GET", path)()).code for who in (desk, auditor)} == {"forbidden"}
    patient: ClientSession = await place.opened(made)
    assert (await http(patient, "GET", path)()).code == "unauthenticated"


async def test_a_visit_that_does_not_run_has_nobody_in_it(place: Place) -> None:
    ada = await place.member("clinician")
    visit = (await place.booked(ada))["visit"]["id"]
    assert (await http(ada.client, "GET", f"/visits/{visit}/media")()).said["people"] == []


async def test_a_look_at_figures_from_outside_of_a_bound_that_only_alerts_is_entered(
    tmp_path: Path, config: Config
) -> None:
    bound = Config.model_validate(config.model_dump() | {"access": {"networks": ["10.0.0.0/8"], "outside": "alert"}})
    async with open_server(bound, SystemClock(), CHEAP) as server, AsyncExitStack() as stack:
        place = Place(server, tmp_path, stack)
        visit = (await place.booked(await place.member("clinician")))["visit"]["id"]
        boss = await place.member("admin")
        assert (await http(boss.client, "GET", f"/visits/{visit}/media")()).done
        unusual = [one for one in await place.house.log.entries() if one.action == "access.unusual"]
        assert (unusual[-1].actor, unusual[-1].detail["action"]) == (boss.id, "visits.media")
        assert unusual[-1].detail["outside_network"] is True


async def test_tests_of_one_address_are_counted_and_hold_up_no_other(place: Place) -> None:
    door = place.house.limiting.door
    for _ in range(24):
        await door.check("203.0.113.9")
    with pytest.raises(SlowDown):
        await door.check("203.0.113.9")
    await door.check("203.0.113.10")
