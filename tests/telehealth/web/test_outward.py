"""The house carries its entries outward by itself, and says on the command line how far it is."""

import json
from pathlib import Path

from telehealth.audit.actions import Action
from telehealth.audit.entry import SYSTEM, Entry, Outcome
from telehealth.clock import SystemClock
from telehealth.commands.run import in_house
from telehealth.config import Config
from telehealth.house import open_house
from telehealth.identity.hashing import Cost


async def test_status_and_resend_on_the_command_line(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    section = config.outward.model_copy(update={"json_file": str(path)})
    async with open_house(config.model_copy(update={"outward": section}), SystemClock(), Cost(1, 64, 1)) as house:
        feed = house.base.outward.find("json")
        assert feed is not None
        assert "outward json" in [name for name, _ in _named(house.base.outward.workers())]
        for _ in range(3):
            await house.log.enter(Entry(Action.AUDIT_READ, Outcome.DONE, SYSTEM))
        size = house.log.head().size
        said = await in_house(house, ["outward", "status"])
        assert said.data["destinations"][0]["entries"] == size
        await feed.step()
        said = await in_house(house, ["outward", "status"])
        assert said.data["destinations"][0]["entries"] == house.log.head().size - size
        assert (await in_house(house, ["outward", "resend", "syslog", "--from", "0"])).data["error"] == "not_configured"
        said = await in_house(house, ["outward", "resend", "json", "--from", "999"])
        assert said.data["error"] == "index_out_of_range"
        said = await in_house(house, ["outward", "resend", "json", "--from", "0"])
        assert said.exit == 0
        newest = (await house.log.entries(limit=1, newest_first=True))[0]
        assert (newest.action, newest.detail["criteria"]) == (Action.AUDIT_EXPORT, "resend")
        await feed.step()
        found = [json.loads(line)["index"] for line in path.read_text().splitlines()]
        assert found == [*range(size), *range(house.log.head().size)]


def _named(workers: list[tuple[str, object]]) -> list[tuple[str, object]]:
    """The names alone are looked at: what was not started is closed."""
    for _, work in workers:
        work.close()  # type: ignore[attr-defined]
    return workers
