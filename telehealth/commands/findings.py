"""What a look at the machine found, and how it is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from telehealth.commands.said import FAILED, OK, Said

State = Literal["well", "note", "wrong"]
MARKS: dict[State, str] = {"well": "ok  ", "note": "note", "wrong": "BAD "}


@dataclass(frozen=True, slots=True)
class Finding:
    """One look. `mend` says what to do; it is empty where all is well. `code`: stable, where programs tell faults."""

    what: str
    state: State
    text: str
    mend: str = ""
    code: str = ""


def told(findings: Sequence[Finding], well: str) -> Said:
    """Every finding with its mark, then `well` or how many there are to mend."""
    wrong = sum(finding.state == "wrong" for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{MARKS[finding.state]}  {finding.what}: {finding.text}")
        if finding.mend:
            lines.append(f"      → {finding.mend}")
    lines.append(f"{wrong} to mend." if wrong else well)
    return Said({"ok": not wrong, "findings": [_data(finding) for finding in findings]}, lines, FAILED if wrong else OK)


def _data(finding: Finding) -> dict[str, str]:
    found = {"what": finding.what, "state": finding.state, "text": finding.text, "mend": finding.mend}
    return found | ({"code": finding.code} if finding.code else {})
