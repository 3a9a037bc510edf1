"""What the documents say is tried, is there to be tried."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`([\w./-]+/(?:[\w.-]+)?)`")
ROWS = re.compile(r"^\|.*\|$", re.M)


def named(document: str) -> dict[str, list[str]]:
    """The last cell of every row of every table, and the paths in it."""
    rows = [row.strip("|").split("|") for row in ROWS.findall((ROOT / "docs" / document).read_text())]
    rows = [row for row in rows if set(row[-1].strip()) - set("-") and row[-1].strip() != "tried in"]
    return {"|".join(row): NAMED.findall(row[-1]) for row in rows}


@pytest.mark.parametrize("document", ["threats.md", "asvs.md"])
def test_every_test_that_a_document_names_exists(document: str) -> None:
    found = named(document)
    assert len(found) > 40
    missing = [path for paths in found.values() for path in paths if not _there(path)]
    assert missing == []


def _there(path: str) -> bool:
    return (ROOT / ("" if path.startswith("benchmarks/") else "tests") / path).exists()


def test_every_threat_names_its_test() -> None:
    assert [row for row, paths in named("threats.md").items() if not paths] == []


def test_every_row_of_the_standard_names_its_test_or_why_not() -> None:
    text = (ROOT / "docs" / "asvs.md").read_text()
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in ROWS.findall(text)]
    rows = [row for row in rows if row[0] and row[0][0].isdigit()]
    assert len(rows) > 200
    assert {row[0].split(".")[0] for row in rows} == {str(chapter) for chapter in range(1, 18)}
    assert [row[0] for row in rows if row[3] == "met" and not NAMED.findall(row[4])] == []
    assert [row[0] for row in rows if row[3].startswith("**operator**") and not NAMED.findall(row[4])] == []
    assert [row[0] for row in rows if row[3] != "met" and ":" not in row[3]] == []
    assert {row[3].partition(":")[0] for row in rows} <= {"met", "**operator**", "**partly**", "**gap**", "n/a"}


def test_the_counts_that_the_table_begins_with_are_its_own() -> None:
    text = (ROOT / "docs" / "asvs.md").read_text()
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in ROWS.findall(text)]
    low, high = Counter[str](), Counter[str]()
    for row in rows:
        if row[0] and row[0][0].isdigit():
            (high if row[1] == "3" else low)[row[3].partition(":")[0].strip("*")] += 1
    assert (low["partly"], low["gap"]) == (0, 0)
    assert f"{low['met']} met, {low['operator']} the operator's, none partly, no gaps, {low['n/a']} without" in text
    assert f"{high['met']} met, {high['partly']} partly, {high['gap']} gaps" in text
