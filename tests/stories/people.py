"""People in front of real browsers: what they click, and what they see."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyotp
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

from tests.chromium import FLAGS, PATH
from tests.stories.scenes import READ_VIDEO

# Frames shown since the first look. A stream that changes its way counts its frames anew.
MOVES = """([frames, look]) => {
  const now = document.querySelector('#far')?.getVideoPlaybackQuality().totalVideoFrames ?? 0;
  if (window.moves?.look !== look) window.moves = { look, last: now, more: 0 };
  window.moves.more += now < window.moves.last ? now : now - window.moves.last;
  window.moves.last = now;
  return window.moves.more > frames;
}"""
# The page's own copy of a module: the address that it was loaded from says which.
PROOF = """async () => {
  const page = document.querySelector("script[type=module]").src;
  return (await import(new URL("../net/proof.js", page))).proof();
}"""
LOOKS = itertools.count()


@contextmanager
def chromium(
    playwright: Playwright,
    picture: Path | None = None,
    tone: Path | None = None,
    flags: Sequence[str] = FLAGS,
    program: str | None = PATH,
) -> Iterator[Browser]:
    """The system's Chromium with a file as camera and a file as microphone."""
    flags = list(flags)
    if picture:
        flags.append(f"--use-file-for-fake-video-capture={picture}")
    if tone:
        flags.append(f"--use-file-for-fake-audio-capture={tone}")
    browser = playwright.chromium.launch(executable_path=program, args=flags)
    try:
        yield browser
    finally:
        browser.close()


class Person:
    """One person, one browser context, one page; every error their page throws is kept."""

    def __init__(self, browser: Browser, url: str, **context: Any) -> None:
        self.url = url
        self.look: Callable[[str, Person], None] = lambda name, who: None  # called at every page worth a picture
        self.context: BrowserContext = browser.new_context(**{"permissions": ["camera", "microphone"]} | context)
        self.context.set_default_timeout(15_000)
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda line: self.errors.append(line.text) if "Content Security" in line.text else None)

    def see(self, selector: str, video: bool = True) -> dict[str, Any] | None:
        """What a <video> shows now."""
        found: dict[str, Any] | None = self.page.locator(selector).first.evaluate(READ_VIDEO)
        return found

    def wait_for(self, script: str, argument: object = None, seconds: float = 15) -> Any:
        """Wait until a page function gives something true, and return it."""
        return self.page.wait_for_function(script, arg=argument, timeout=seconds * 1000, polling=50).json_value()

    def sees(self, frames: int = 10, seconds: float = 20) -> None:
        """The far picture moves, from now on."""
        self.wait_for(MOVES, [frames, next(LOOKS)], seconds)

    def close(self) -> None:
        self.context.close()


class Staff(Person):
    """Somebody with an account."""

    def enrol(self, link: str, password: str, *, name: str = "", login: str = "") -> None:
        """Open a set-up link, choose a password, add the authenticator, keep the recovery codes."""
        page = self.page
        page.goto(link)
        page.wait_for_selector("input[name=password]")
        secret = page.locator("#totp-secret").text_content() or ""
        self.totp = pyotp.TOTP(secret.strip())
        if name:
            page.fill("input[name=name]", name)
            page.fill("input[name=login]", login)
        page.fill("input[name=password]", password)
        page.fill("input[name=code]", self.totp.now())
        self.look("setup-first" if name else "setup", self)
        page.click("button[type=submit]")
        expect(page.locator(".codes li")).to_have_count(10)
        self.look("setup-codes", self)
        page.check("#kept")
        page.click("button.primary")

    def add_person(self, name: str, login: str, role: str) -> str:
        """An admin invites somebody; gives the set-up link."""
        page = self.page
        page.goto(f"{self.url}/settings")
        page.wait_for_selector("tbody tr")
        self.look("settings", self)
        page.click("#add-user")
        page.fill("dialog input[name=name]", name)
        page.fill("dialog input[name=login]", login)
        page.select_option("dialog select[name=role]", role)
        self.look("settings-add", self)
        page.click("dialog button[type=submit]")
        page.wait_for_selector("#enrolment-url")
        self.look("settings-link", self)
        return page.input_value("#enrolment-url")

    def book(self, patient: str, *, channel: str = "passcode", planned: bool = True) -> tuple[str, str]:
        """Book a visit for now; gives link and passcode, which are shown once."""
        page = self.page
        page.goto(f"{self.url}/visits")
        page.click("#new-visit")
        page.fill("dialog input[name=name]", patient)
        page.select_option("dialog select[name=channel]", channel)
        if planned:
            page.check("dialog input[name=planned]")
        self.look("visits-book", self)
        page.click("dialog button[type=submit]")
        link = page.input_value("#link-url")
        self.look("visits-link-once", self)
        passcode = page.input_value("#link-passcode") if channel == "passcode" else ""
        page.locator("dialog .actions button").last.click()
        return link, passcode

    def headers(self) -> dict[str, str]:
        """Of a request as this page makes one: our origin, and the proof that its browser holds the session's key."""
        proof = self.page.evaluate(PROOF)
        return {"Origin": self.url, "Session-Proof": proof}

    def ask_to_record(self) -> None:
        self.page.click("#record")
        self.page.click("#ask-go")


class Patient(Person):
    """Somebody with a link."""

    def open_link(self, link: str) -> None:
        self.page.goto(link)
        self.page.wait_for_selector("#code")

    def type_code(self, code: str) -> None:
        self.page.fill("#code", code)
        self.page.click("form button[type=submit]")

    def get_ready(self, where: str = "At home", callback: str = "+1 555 0100") -> None:
        page = self.page
        page.wait_for_selector("#where")
        page.fill("#where", where)
        page.fill("#callback-number", callback)
        page.click("#ready")
