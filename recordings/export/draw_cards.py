"""Draws the words of the cards anew: `python -m recordings.export.draw_cards`, with Chromium and the fonts below.

White on black, so that a picture is its own mask. Needs the development packages; a server only reads what is drawn.
"""

from pathlib import Path

from recordings.export.cards import FOLDER

TEXTS = {
    "en": {
        "not_begun": "Not in the recording yet",
        "no_consent": "No consent: nothing was recorded",
        "paused": "Recording paused",
        "no_media": "Connection lost",
        "no_picture": "Sound only",
        "ended": "No longer in the recording",
        "role_patient": "Patient",
        "role_clinician": "Clinician",
        "role_guest": "Guest",
    },
    "ar": {
        "not_begun": "لم يبدأ تسجيله بعد",
        "no_consent": "لا توجد موافقة: لم يُسجَّل شيء",
        "paused": "التسجيل متوقف مؤقتًا",
        "no_media": "انقطع الاتصال",
        "no_picture": "صوت فقط",
        "ended": "انتهى تسجيله",
        "role_patient": "المريض",
        "role_clinician": "الطبيب",
        "role_guest": "ضيف",
    },
}
_PAGE = """<body style="margin:0;background:#000"><span id="word" dir="auto" style="display:inline-block;
padding:4px 6px;color:{colour};background:#000;white-space:nowrap;
font:{weight} {size}px 'Noto Sans Arabic','DejaVu Sans',sans-serif">{text}</span></body>"""


def draw(folder: Path) -> int:
    """One PNG for each language and word; how many."""
    from playwright.sync_api import sync_playwright

    count = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium")
        page = browser.new_page()
        for language, texts in TEXTS.items():
            for name, text in texts.items():
                is_role = name.startswith("role_")
                colour, size = ("#e8e8e8", 26) if is_role else ("#a8a8a8", 21)
                page.set_content(_PAGE.format(colour=colour, weight=600 if is_role else 400, size=size, text=text))
                page.locator("#word").screenshot(path=folder / f"{language}.{name}.png")
                count += 1
        browser.close()
    return count


if __name__ == "__main__":
    draw(FOLDER)
