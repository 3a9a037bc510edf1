"""The breach drill finds what it stole, names what a notice needs, and leaves nothing behind."""

import json
from pathlib import Path

import pytest

from telehealth.drill import PATIENTS, STOLEN, THIEF, missing, rehearse
from tests.stories.house import House


async def test_the_drill_detects_contains_and_reports(tmp_path: Path) -> None:
    found = await rehearse(tmp_path)
    assert found.problems == []
    assert [step.name for step in found.steps] == ["server", "office", "theft", "detection", "containment", "report"]
    report = found.report
    assert report["what_happened"]["addresses"] == ["192.0.2.10", THIEF]
    assert report["what_happened"]["acts"]["playback.grant"] == STOLEN
    assert len(report["what_data"]["recordings"]) == STOLEN
    assert {one["name"] for one in report["whose"]["patients"]} == {
        f"Invented Patient {number + 1}" for number in range(PATIENTS)
    }
    assert {"token.revoke", "alert.acknowledge", "incident.open"} <= {one["action"] for one in report["done"]}


def test_a_report_that_lacks_something_says_what() -> None:
    empty = {
        "what_happened": {"acts": {}, "addresses": []},
        "what_data": {"types": [], "recordings": []},
        "whose": {"patients": []},
        "discovered": {"at": ""},
        "done": [],
    }
    assert set(missing(empty)) == {
        "what happened",
        "from where",
        "what data",
        "whose",
        "when discovered",
        "what was done",
    }


@pytest.mark.slow
def test_the_commands_work_beside_a_running_server_and_the_drill_touches_nothing_of_it(tmp_path: Path) -> None:
    kept = tmp_path / "report.json"
    with House(tmp_path) as house:
        house.command("user", "add", "ada", "--name", "Ada Example", "--role", "admin")
        for _ in range(60):  # the server raises one for the new administrator: only then is its log at rest
            listed = house.command("alerts", "list", check=False)
            if listed["items"]:
                break
        assert listed["exit"] == 1
        before = house.command("audit", "verify")["size"]
        drilled = house.command("drill", "breach", "--report", str(kept))
        assert drilled["ok"] is True
        after = house.command("audit", "verify")["size"]
        assert after == before
        tried = house.command("alerts", "try", "--days", "1")
        assert isinstance(tried["entries"], int)
        assert any(rule["name"] == "bulk_export" for rule in house.command("alerts", "rules")["items"])  # type: ignore[attr-defined]
        assert house.command("alerts", "review")["signed"] is None
    assert json.loads(kept.read_text())["incident"]["rule"] == "token_new_country"
