"""What a command says: data for programs, lines for people, an exit code for both."""

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from telehealth.errors import Refusal

OK = 0
FAILED = 1  # a check found something, or the act was refused
USAGE = 2  # the command or the configuration is wrong


@dataclass(frozen=True, slots=True)
class Said:
    """`data` is JSON; `lines` end with what to do next."""

    data: dict[str, Any]
    lines: Sequence[str] = field(default_factory=tuple)
    exit: int = OK

    def text(self, *, as_json: bool) -> str:
        """What goes to standard output."""
        if as_json:
            return json.dumps(self.data, ensure_ascii=False, indent=2, default=str)
        return "\n".join(map(_harmless, self.lines))


def _harmless(line: str) -> str:
    """What others wrote commands no terminal: control characters but tab and line end are shown, not sent."""
    return "".join(
        letter
        if letter in "\t\n" or unicodedata.category(letter) not in ("Cc", "Cs")
        else letter.encode("unicode_escape").decode()
        for letter in line
    )


class CommandRefused(Exception):
    """A command that cannot be followed; `mend` says what to do."""

    def __init__(self, code: str, message: str, mend: str = "", exit_code: int = FAILED) -> None:
        super().__init__(code)
        self.said = Said(
            {"error": code, "message": message, "mend": mend}, [line for line in (message, mend) if line], exit_code
        )


def refusal_lines(refusal: Refusal) -> list[str]:
    """The refusal's sentence, and what it says about mending."""
    mend = str(refusal)
    return [refusal.message] if mend in (refusal.code, refusal.message) else [refusal.message, mend]


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines with columns as wide as their widest cell."""
    cells = [[str(cell) if cell is not None else "-" for cell in row] for row in rows]
    widths = [max(len(head), *(len(row[place]) for row in cells), 0) for place, head in enumerate(heads)]
    lines = [heads, *cells] if cells else [heads]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
