"""No test waits for a browser without end."""

import pytest
from playwright.sync_api import Error, sync_playwright

from tests.overdue import browsers_end_after
from tests.stories.people import chromium

pytestmark = pytest.mark.browser


def test_a_page_that_never_answers_is_an_error_at_the_line_that_asked() -> None:
    with sync_playwright() as playwright, chromium(playwright) as browser:
        page = browser.new_page()
        with browsers_end_after(1), pytest.raises(Error, match="closed"):
            page.evaluate("() => new Promise(() => {})")
