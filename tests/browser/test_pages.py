"""The whole story in both languages; every page and state looked at on the way."""

from pathlib import Path

import pytest

from tests.browser.looking import Looker
from tests.stories import visit

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("language", ["en", pytest.param("ar", marks=pytest.mark.slow)])
def test_the_visit_story_is_told_and_every_page_is_accessible(language: str, tmp_path: Path) -> None:
    steps = visit.Steps(say=lambda line: None)
    looker = Looker(language)
    visit.run(tmp_path, steps, language=language, look=looker)
    assert steps.failed == 0
    assert looker.looked >= 20
    assert not looker.violations, "\n".join(looker.violations)
