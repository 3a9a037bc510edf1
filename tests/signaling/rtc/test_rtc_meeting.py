"""Pages of a real browser see and hear each other through one port, over good networks and bad ones."""

from functools import partial
from typing import Any

import pytest
from meeting_parts import Meeting, chromium, firefox, open_page, until
from network import Network
from playwright.async_api import Page

from signaling.rtc import MediaPort

pytestmark = pytest.mark.browser
NAMES = ("anna", "ben", "carla")
OUTAGE = 2.0  # seconds


async def received(page: Page, meeting: Meeting, me: str, other: str, source: str) -> dict[str, Any]:
    """What the page says of one section, empty while nobody is on it or nothing came."""
    places = [slot.mid for slot in meeting.slots[me] if (slot.publisher, slot.source) == (other, source)]
    seen = await page.evaluate("window.seen()")
    return seen.get(places[0], {}) if places else {}


async def sees_and_hears(page: Page, meeting: Meeting, me: str, other: str, more_than: int = 15) -> bool:
    """Whether so many pictures are decoded and sound is not silence."""
    picture = await received(page, meeting, me, other, "camera")
    sound = await received(page, meeting, me, other, "audio")
    return (picture.get("framesDecoded") or 0) > more_than and (sound.get("totalAudioEnergy") or 0) > 0.0001


async def shares(page: Page, meeting: Meeting, me: str, other: str) -> bool:
    """Whether the other's screen is decoded, in its own size."""
    screen = await received(page, meeting, me, other, "screen")
    return (screen.get("framesDecoded") or 0) > 5 and screen.get("frameWidth") == 200


async def test_three_pages_see_and_hear_each_other_share_leave_and_take_over(port: MediaPort) -> None:
    async with Meeting(port).serving() as meeting, chromium() as browser:
        pages = {name: await open_page(browser, meeting, name) for name in NAMES}
        for page in pages.values():
            await page.evaluate("window.join(2, 320, 180, 1)")
        for me in NAMES:
            for other in NAMES:
                if me != other:
                    await until(partial(sees_and_hears, pages[me], meeting, me, other))
        await pages["anna"].evaluate("window.share()")
        for me in ("ben", "carla"):
            await until(partial(shares, pages[me], meeting, me, "anna"))
            assert await sees_and_hears(pages[me], meeting, me, "anna")
        await pages["anna"].evaluate("window.unshare()")
        assert all(slot.source != "screen" for slot in meeting.slots["ben"])
        await pages["carla"].evaluate("window.leave()")
        await until(partial(_is_gone, meeting, "ben", "carla"))
        before = await received(pages["ben"], meeting, "ben", "anna", "camera")
        frames = before["framesDecoded"] + 15
        await until(partial(sees_and_hears, pages["ben"], meeting, "ben", "anna", frames))
        again = await open_page(browser, meeting, "anna", "&again=1")
        await again.evaluate("window.join(2, 320, 180, 1)")
        await until(partial(sees_and_hears, again, meeting, "anna", "ben"))
        await pages["anna"].evaluate("window.leave()")
        before = await received(pages["ben"], meeting, "ben", "anna", "camera")
        frames = before["framesDecoded"] + 30
        await until(partial(sees_and_hears, pages["ben"], meeting, "ben", "anna", frames))
        after = await received(pages["ben"], meeting, "ben", "anna", "camera")
        assert after["packetsLost"] <= 0
        assert port.stats().get("dropped_sent_twice", 0) == 0


async def _is_gone(meeting: Meeting, me: str, other: str) -> bool:
    return all(slot.publisher != other for slot in meeting.slots[me])


async def test_firefox_and_chromium_see_and_hear_each_other(open_port: MediaPort) -> None:
    async with (
        Meeting(open_port).serving() as meeting,
        chromium() as browser,
        firefox(f"{meeting.url}?name=fox&alone=1"),
    ):
        page = await open_page(browser, meeting, "anna")
        await page.evaluate("window.join(1)")
        await until(partial(sees_and_hears, page, meeting, "anna", "fox"))

        async def fox_sees() -> bool:
            seen = {report["kind"]: report for report in meeting.told.get("fox", {}).values()}
            picture, sound = seen.get("video", {}), seen.get("audio", {})
            return (picture.get("framesDecoded") or 0) > 15 and (sound.get("packetsReceived") or 0) > 50

        await until(fox_sees)

        async def round_trip_known() -> bool:
            return meeting.legs["fox"].stats().sent_rtt is not None

        await until(round_trip_known)


async def test_a_call_lives_through_loss_and_an_outage(port: MediaPort) -> None:
    networks = {name: Network(port.port, seed) for seed, name in enumerate(("anna", "ben"), 7)}
    async with Meeting(port).serving() as meeting, chromium() as browser:
        meeting.through = {name: network.port for name, network in networks.items()}
        pages = {name: await open_page(browser, meeting, name) for name in networks}
        for page in pages.values():
            await page.evaluate("window.join(1)")
        await until(partial(sees_and_hears, pages["ben"], meeting, "ben", "anna"))
        for network in networks.values():
            network.up.loss = network.down.loss = 0.05
        before = await received(pages["ben"], meeting, "ben", "anna", "camera")
        await until(partial(sees_and_hears, pages["ben"], meeting, "ben", "anna", before["framesDecoded"] + 60))
        sound = await received(pages["ben"], meeting, "ben", "anna", "audio")
        assert networks["anna"].up.dropped > 5
        assert sound["packetsLost"] <= 0.01 * sound["packetsReceived"] + 3
        assert meeting.legs["ben"].stats().retransmitted > 0
        networks["anna"].cut(True)
        frozen = await received(pages["ben"], meeting, "ben", "anna", "camera")
        await pages["ben"].wait_for_timeout(1000 * OUTAGE)
        networks["anna"].cut(False)
        await until(partial(sees_and_hears, pages["ben"], meeting, "ben", "anna", frozen["framesDecoded"] + 20))
    for network in networks.values():
        network.close()
