"""Single sign-on with a real provider in a real browser, on two sites: there, back, the second factor, and out."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.browser.looking import Looker
from tests.partners.oidc import OidcProvider
from tests.partners.postgres import Postgres
from tests.stories.house import House
from tests.stories.people import Staff, chromium

pytestmark = pytest.mark.browser
PASSWORD = "seven brown otters swim"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def clinic(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[House, OidcProvider]]:
    """Our server under another name than the provider's, so that each is a foreign site to the other."""
    house = House(tmp_path)
    with ExitStack() as stack:
        if request.param == "postgresql":
            server = Postgres()
            stack.callback(server.stop)
            house.settings["PLACES__DATABASE"] = server.database()
        yield from _with_provider(house, tmp_path)


def _with_provider(house: House, tmp_path: Path) -> Iterator[tuple[House, OidcProvider]]:
    here, house.url = house.url, f"http://localhost:{house.port}"
    provider = OidcProvider(tmp_path / "provider", house.url, here)
    house.settings |= {"SERVER__PUBLIC_URL": house.url, **provider.settings}
    try:
        with house:
            yield house, provider
    finally:
        provider.stop()


def forget_the_last_code(house: House) -> None:
    """So that the test need not wait for the authenticator's next one."""
    url = house.settings.get("PLACES__DATABASE", f"sqlite:///{house.folder / 'telehealth.db'}")
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("UPDATE users SET totp_last_step = NULL"))
    engine.dispose()


def at_provider(page: Page, provider: OidcProvider, name: str) -> None:
    """Type a name there, and consent."""
    page.wait_for_url(f"{provider.issuer}/interaction/**", timeout=40_000)
    page.fill("input[name=login]", name)
    page.fill("input[name=password]", "any")
    page.click("button[type=submit]")
    page.get_by_role("button", name="Continue").click()


def test_there_and_back_with_two_factors_and_out_by_either_side(
    clinic: tuple[House, OidcProvider],
) -> None:
    house, provider = clinic
    with sync_playwright() as playwright, chromium(playwright) as browser:
        look = Looker("en")
        who = Staff(browser, house.url)
        page = who.page
        page.goto(f"{house.url}/?next=/account")
        page.wait_for_selector("#sso")
        expect(page.locator("#sso")).to_have_text("Sign in with Hospital login")
        look("signin-sso", who)
        page.click("#sso")
        at_provider(page, provider, "physician-mfa")
        page.wait_for_url(f"{house.url}/account")
        expect(page.locator("#devices li[data-session]")).to_contain_text("single sign-on")
        assert "code=" not in page.evaluate("() => performance.getEntriesByType('navigation')[0].name")
        look("account-sso", who)

        other = who.context.new_page()
        other.goto(f"{provider.issuer}/session/end")
        other.get_by_role("button", name="Yes, sign me out").click()
        expect(other.get_by_text("Sign-out Success")).to_be_visible()
        other.close()
        page.goto(f"{house.url}/account")
        page.wait_for_selector("button#sso")  # the back channel came before we looked

        page.click("#sso")
        at_provider(page, provider, "physician-mfa")
        page.wait_for_url(f"{house.url}/account")
        page.get_by_role("button", name="Sign out", exact=True).click()
        page.wait_for_url(f"{provider.issuer}/session/end**")
        page.get_by_role("button", name="Yes, sign me out").click()
        page.wait_for_url(f"{house.url}/")

        page.click("#sso")
        at_provider(page, provider, "physician-plain")
        expect(page.locator("p.error")).to_contain_text("second factor is needed")
        look("sso-refused", who)
        page.goto(f"{house.url}/visits")
        page.wait_for_selector("input[name=login]")
        assert who.errors == []
        assert not look.violations, "\n".join(look.violations)
        who.close()


def test_an_account_is_tied_by_its_person_and_the_own_code_is_asked(clinic: tuple[House, OidcProvider]) -> None:
    house, provider = clinic
    with sync_playwright() as playwright, chromium(playwright) as browser:
        look = Looker("ar")
        root = Staff(browser, house.url, locale="ar")
        page = root.page
        root.enrol(house.said(r"(http://localhost\S+/setup#\S+)"), PASSWORD, name="Root Example", login="root")
        page.wait_for_url("**/visits")
        page.goto(f"{house.url}/account")
        page.click("#tie")
        at_provider(page, provider, "chief-root")
        page.wait_for_selector("#untie")
        page.wait_for_url(f"{house.url}/account")

        root.context.clear_cookies()
        page.goto(house.url)
        page.wait_for_selector("#sso")
        look("signin-sso", root)
        page.click("#sso")
        at_provider(page, provider, "chief-root")
        page.wait_for_selector("input[name=code]")
        look("sso-code", root)
        assert root.context.cookies(house.url)[0]["name"] == "sso"
        forget_the_last_code(house)
        page.fill("input[name=code]", root.totp.now())
        page.click("button[type=submit]")
        page.wait_for_url("**/visits")
        assert root.errors == []
        assert not look.violations, "\n".join(look.violations)
        root.close()
