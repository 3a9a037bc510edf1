"""A link scanner, as gateways of mail and messengers run them."""

from tests.browser.clinic import Booked, Clinic

CLICK_ALL = """async () => {
  for (const link of document.querySelectorAll("a[href]")) await (await fetch(link.href)).text();
  for (const one of document.querySelectorAll("button, summary, input[type=submit], [role=button]")) one.click();
  return document.body.innerText;
}"""


def scan(at: Clinic, booked: Booked, times: int) -> None:
    """As mail gateways do: HEAD, many GETs, then a whole browser that clicks on everything."""
    request, page = at.playwright.request.new_context(), booked.url.split("#")[0]
    assert request.head(page).status == 200
    for _ in range(times):
        assert request.get(page).ok
    request.dispose()
    scanner = at.browser.new_context()
    opened = scanner.new_page()
    opened.goto(booked.url)
    opened.wait_for_selector("#code")
    for _ in range(3):
        assert "Sca Nned" not in opened.evaluate(CLICK_ALL)
    step = scanner.request.get(f"{at.house.url}/api/v1/join").json()  # whoever holds the cookie reads no more than this
    assert (step["step"], step["scheduled_at"]) == ("code", None)
    assert opened.locator("#where").count() == 0
    scanner.close()
