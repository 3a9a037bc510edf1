"""Whole calls from networks that let little through: by TCP, by TURN with TLS, and with an address that changes."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.clinic import Booked, Clinic, clinic
from tests.browser.firewall import Firewall, may_wall, walled
from tests.browser.looking import Looker
from tests.browser.rebinding import Router
from tests.browser.test_check import invited, ran, verdict
from tests.partners.coturn import Coturn
from tests.partners.process import free_port
from tests.stories.people import Patient, Staff

pytestmark = pytest.mark.browser
RELAYED = {"MEDIA__DIRECT": "never"}


def called(at: Clinic, patient: Patient) -> tuple[Booked, Staff]:
    """A relayed call in which both see each other."""
    booked = at.book()
    at.waiting(booked, patient)
    clinician = at.opened(booked)
    clinician.page.click(".admit")
    patient.page.wait_for_selector(".controls")
    clinician.sees()
    patient.sees()
    return booked, clinician


def media(at: Clinic, booked: Booked, ready: Any) -> dict[str, dict[str, Any]]:
    """How everybody's connection does, by role, once `ready` says that all is told."""
    for _ in range(200):
        seen = at.send(at.admin, "GET", f"/visits/{booked.visit}/media").json()
        people = {person["role"]: person for person in seen["people"]}
        if len(people) == 2 and all(person["leg"] and ready(person) for person in people.values()):
            assert seen["topology"] == "relay"
            return people
        at.desk.page.wait_for_timeout(50)
    raise AssertionError(f"not told: {seen}")


def reported(person: dict[str, Any]) -> bool:
    """Both directions of the leg, and what the page says."""
    leg = person["leg"]
    flows = leg["up"]["bitrate"] and leg["down"]["bitrate"] and leg["round_trip"] is not None
    return bool(person["reported"] and flows)


def test_a_call_from_where_udp_is_swallowed_goes_by_tcp_and_staff_can_see_it(tmp_path: Path) -> None:
    with (
        clinic(tmp_path, RELAYED) as at,
        walled(at, tmp_path, {at.house.media_port: at.house.media_port}) as (browser, wall),
    ):
        booked, _ = called(at, at.patient(browser))
        people = media(at, booked, lambda person: reported(person) and person["reported"]["level"] >= 3)
        assert people["patient"]["leg"]["path"] == "tcp4"
        assert people["clinician"]["leg"]["path"] == "udp4"
        assert people["patient"]["reported"]["path"] == "tcp"
        assert people["clinician"]["reported"]["path"] == "udp"
        _tried_udp(wall)
        at.go_home()


def test_a_call_from_where_only_port_443_is_open_goes_through_the_relay_by_tls(tmp_path: Path) -> None:
    coturn = Coturn(tmp_path)
    try:
        with (
            clinic(tmp_path, RELAYED | only_443(coturn)) as at,
            walled(at, tmp_path, {443: coturn.tls_port}) as (browser, wall),
        ):
            _check_says_so(at, browser)
            booked, _ = called(at, at.patient(browser))
            people = media(at, booked, reported)
            assert people["patient"]["reported"]["path"] == "turn_tls"
            assert people["patient"]["leg"]["path"] == "udp4"  # coturn's own
            _tried_udp(wall)
            at.go_home()
    finally:
        coturn.stop()


def only_443(coturn: Coturn) -> dict[str, str]:
    """The relay's TLS port alone: behind a wall that is 443; where there is none, other ways are off at the server."""
    tls = coturn.settings["MEDIA__TURN_URLS"].split(",")[1]
    if may_wall():
        return coturn.settings | {"MEDIA__TURN_URLS": tls.replace(str(coturn.tls_port), "443")}
    return coturn.settings | {"MEDIA__TURN_URLS": tls, "MEDIA__TCP": "false"}


def _tried_udp(wall: Firewall | None) -> None:
    """It was the network that let nothing through, and not the browser that never tried."""
    assert wall is None or wall.swallowed > 0


def _check_says_so(at: Clinic, browser: Browser) -> None:
    """The page /check finds the one way there is, and tells a stranger that there is none for them."""
    patient = invited(at, browser)
    found = ran(patient.page, at)
    assert (found["udp"], found["tcp"], found["turn"], found["turns"]) == ("fails", "fails", "absent", "works")
    assert verdict(patient.page) == ("detour", "turns")
    stranger = at.patient(browser)
    ran(stranger.page, at)
    assert verdict(stranger.page) == ("blocked", "")
    Looker("en")("check-blocked", stranger)
    at.go_home()


def test_an_address_that_changes_in_the_call_needs_no_new_sign_in_and_no_new_leg(tmp_path: Path) -> None:
    port = free_port()
    moved = {"MEDIA__HOST": "127.0.0.2", "MEDIA__PUBLIC_ADDRESSES": "127.0.0.1", "MEDIA__PORT": str(port)}
    with ExitStack() as stack:
        router = Router(("127.0.0.1", port), ("127.0.0.2", port))
        stack.callback(router.close)
        at = stack.enter_context(clinic(tmp_path, RELAYED | moved | {"MEDIA__TCP": "false"}))
        booked, clinician = called(at, patient := at.patient())
        media(at, booked, reported)
        closed = at.house.log.read_text().count('"event": "leg.closed"')
        for host in ("127.0.0.1", "127.0.0.3", "127.0.0.4"):  # another port, as routers do, then another address
            assert len(router.move(host)) >= 2
            clinician.sees()
            patient.sees()
        assert at.house.log.read_text().count('"event": "leg.closed"') == closed
        at.go_home()
