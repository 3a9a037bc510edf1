"""What a browser calls itself, in a few words people know. Pure."""

import re

_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("FxiOS", "Firefox"),
    ("Firefox", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Version", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "Mac"),
    ("Linux", "Linux"),
)


def device_name(agent: str | None) -> str:
    """`Firefox 140, Windows`; what is not recognised is left out, empty when nothing is."""
    text = agent or ""
    browser = next((_versioned(text, mark, name) for mark, name in _BROWSERS if f"{mark}/" in text), "")
    system = next((name for mark, name in _SYSTEMS if mark in text), "")
    return ", ".join(part for part in (browser, system) if part)


def _versioned(text: str, mark: str, name: str) -> str:
    found = re.search(rf"{mark}/(\d{{1,4}})", text)
    return f"{name} {found.group(1)}" if found else name
