"""The Chromium that tests drive: the whole browser, or the one CHROMIUM names.

`make test` names its headless shell: the same pages, media and network code without the browser around them, started
in an eighth of the processor time. What the browser itself decides (permissions, its network policy, notifications) is
tested in the whole one; so are the story, the pictures and everything in the long run.
"""

import os
import shutil

WHOLE = shutil.which("chromium")
PATH = shutil.which(os.environ.get("CHROMIUM", "") or "chromium")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream"),
    *("--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required"),
)


def flags(devices: str) -> list[str]:
    """`FLAGS` with the devices that are made up: "fps=30", "device-count=3,fps=20"."""
    return [f"{flag}={devices}" if "fake-device" in flag else flag for flag in FLAGS]
