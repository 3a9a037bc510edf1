"""Looking at a page as people do: phone and desktop, light and dark, and with axe-core.

Judged always; pictures, of all four, with PICTURES=1 (`make screenshots`).
"""

import os
import re
from pathlib import Path
from typing import Any

from tests.stories.house import ROOT
from tests.stories.people import Person

SCREENSHOTS = ROOT / "build" / "screenshots"
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
SIZES = {"phone": (412, 915), "desktop": (1280, 800)}
JUDGED = {("phone", "light"), ("desktop", "dark")}  # every size and every scheme once
PICTURES = os.environ.get("PICTURES") == "1"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class Looker:
    """Collects what axe finds in every state, and takes pictures of it where they are wanted."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.violations: list[str] = []
        self.looked = 0
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)

    def __call__(self, name: str, who: Person) -> None:
        page = who.page
        before = page.viewport_size or {"width": 1280, "height": 800}
        page.evaluate(AXE.read_text("utf-8"))
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            for scheme in ("light", "dark"):
                judged = (size, scheme) in JUDGED
                if not (judged or PICTURES):
                    continue
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                if judged:
                    self._violations(f"{self.language} {name} {size} {scheme}", page)
                if PICTURES:
                    page.screenshot(path=str(SCREENSHOTS / f"{name}-{self.language}-{size}-{scheme}.png"))
                wide = page.evaluate("() => document.documentElement.scrollWidth > window.innerWidth + 1")
                if wide:
                    self.violations.append(f"{self.language} {name} {size}: scrolls sideways")
        self._direction(name, page)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(before)  # type: ignore[arg-type]
        self.looked += 1

    def _violations(self, where: str, page: Any) -> None:
        found = page.evaluate(
            "(tags) => axe.run(document, { runOnly: tags, resultTypes: ['violations'] }).then((r) => r.violations.map("
            "(v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 120)).join(' | ')}`))",
            TAGS,
        )
        self.violations += [f"{where}: {one}" for one in found]

    def _direction(self, name: str, page: Any) -> None:
        wished = "rtl" if self.language == "ar" else "ltr"
        if page.evaluate("() => document.documentElement.dir") != wished:
            self.violations.append(f"{name}: not {wished}")


def words_missing(page_text: str) -> list[str]:
    """Keys that leaked to the page instead of their words."""
    return re.findall(r"\b(?:call|join|visits|recording|reason|error|state)\.[a-z_.]+\b", page_text)


def clear(folder: Path = SCREENSHOTS) -> None:
    """Drop pictures of an earlier run."""
    for old in folder.glob("*.png") if folder.is_dir() else ():
        old.unlink()
