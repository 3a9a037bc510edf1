"""Passkeys in a real browser with a virtual authenticator: added, used alone, used to prove it again."""

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.looking import Looker
from tests.stories.house import House
from tests.stories.people import Staff, chromium

pytestmark = pytest.mark.browser
PASSWORD = "seven brown otters swim"


def authenticator(who: Staff) -> tuple[Any, str]:
    """A platform authenticator that verifies its user, as phones and laptops have."""
    devtools = who.context.new_cdp_session(who.page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    made = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return devtools, made["authenticatorId"]


def forget_proof(house: House) -> None:
    """As if both factors had been proved long ago."""
    with sqlite3.connect(house.folder / "telehealth.db") as database:
        database.execute("UPDATE sessions SET mfa_at = '2020-01-01 00:00:00.000000'")


def test_a_passkey_signs_in_alone_opens_grave_acts_and_a_copy_is_switched_off(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.url = f"http://localhost:{house.port}"
    house.settings["SERVER__PUBLIC_URL"] = house.url
    with house, sync_playwright() as playwright, chromium(playwright) as browser:
        root = Staff(browser, house.url)
        page = root.page
        devtools, device = authenticator(root)
        root.enrol(house.said(r"(http://localhost\S+/setup#\S+)"), PASSWORD, name="Root Example", login="root")
        page.wait_for_url("**/visits")

        page.goto(f"{house.url}/account")
        page.click("#add-passkey")
        page.fill("dialog input[name=label]", "Test laptop")
        page.click("dialog button[type=submit]")
        expect(page.locator("#passkeys li[data-passkey] h3")).to_have_text("Test laptop")
        expect(page.locator("#devices li[data-session]")).to_have_count(1)
        look = Looker("en")
        look("account", root)

        page.get_by_role("button", name="Sign out", exact=True).click()
        page.wait_for_selector("#passkey")
        page.click("#passkey")
        page.wait_for_url("**/visits")

        forget_proof(house)
        page.goto(f"{house.url}/settings")
        page.wait_for_selector("tbody tr")
        page.click("#add-user")
        page.fill("dialog input[name=name]", "Fran Example")
        page.fill("dialog input[name=login]", "fran")
        page.select_option("dialog select[name=role]", "front_desk")
        page.click("dialog button[type=submit]")
        page.wait_for_selector("#step-up-passkey")
        look("step-up", root)
        page.click("#step-up-passkey")
        page.wait_for_selector("#enrolment-url")

        thief = Staff(browser, house.url)
        thief.context.add_cookies(root.context.cookies())
        page.goto(f"{house.url}/visits")
        heard: list[str] = []
        page.on("websocket", lambda line: line.on("framereceived", lambda frame: heard.append(str(frame))))
        page.reload()
        deadline = time.monotonic() + 15
        while not any('"today"' in frame for frame in heard):
            assert time.monotonic() < deadline, heard
            page.wait_for_timeout(50)
        thief.page.goto(f"{house.url}/visits")
        thief.page.wait_for_selector("input[name=login]")
        thief.close()
        root.page.goto(house.url)
        page.click("#passkey")
        page.wait_for_url("**/visits")

        (kept,) = devtools.send("WebAuthn.getCredentials", {"authenticatorId": device})["credentials"]
        assert kept["isResidentCredential"]
        assert kept["signCount"] >= 3
        devtools.send("WebAuthn.removeCredential", {"authenticatorId": device, "credentialId": kept["credentialId"]})
        devtools.send("WebAuthn.addCredential", {"authenticatorId": device, "credential": {**kept, "signCount": 0}})
        page.goto(f"{house.url}/settings")
        page.get_by_role("button", name="Sign out", exact=True).click()
        page.click("#passkey")
        expect(page.locator("p.error")).to_contain_text("may have been copied")
        page.click("#passkey")
        expect(page.locator("p.error")).to_contain_text("not accepted")
        assert root.errors == []
        assert not look.violations, "\n".join(look.violations)
        root.close()
