"""Items as entries of the log see them, and as rows of a table that a spreadsheet reads. Pure."""

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from telehealth.audit.entry import Code
from telehealth.registers.clock import Deadline, Standing, standing
from telehealth.registers.forms import FORMS, Form

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet would run


def codes(form: Form) -> dict[str, Code]:
    """Every field as a code; of words only whether there are any."""
    found: dict[str, Code] = {"state": standing(form).state}
    for name in type(form).model_fields:
        value = getattr(form, name)
        if name in form.WORDS:
            found[name] = value is not None
        elif name == "notices":
            found[name] = _notices(value)
        elif name == "alert" or value is None:
            found[name] = value or ""
        else:
            found[name] = value.isoformat() if isinstance(value, date) else value
    return found


def _notices(sent: Iterable[Any]) -> str:
    """How many, and the first of each kind: fits a code."""
    given = list(sent)
    first = {one.to: min(other.on for other in given if other.to == one.to) for one in given}
    told = "+".join(f"{to}={on:%Y%m%d}" for to, on in sorted(first.items()))
    return f"{len(given)}:{told}" if given else "0"


def changes(before: Form | None, after: Form) -> dict[str, Code]:
    """What an entry says: every code that changes as `<field>_before` and `<field>_after`; of words, that they do."""
    now, was = codes(after), {} if before is None else codes(before)
    found: dict[str, Code] = {}
    for name, value in now.items():
        if name in after.WORDS:
            if before is not None and getattr(before, name) != getattr(after, name):
                found[name] = "changed"
        elif before is None and value != "":
            found[f"{name}_after"] = value
        elif before is not None and was[name] != value:
            found[f"{name}_before"], found[f"{name}_after"] = was[name], value
    return found


def plain(item: str, form: Form, stands: Standing) -> dict[str, Any]:
    """One item as JSON."""
    return {
        "id": item,
        **form.model_dump(mode="json"),
        "state": stands.state,
        "due": None if stands.due_on is None else stands.due_on.isoformat(),
        "deadlines": [_deadline(one) for one in stands.deadlines],
    }


def _deadline(one: Deadline) -> dict[str, Any]:
    return {
        "what": one.what,
        "by": one.by.isoformat(),
        "met_on": None if one.met_on is None else one.met_on.isoformat(),
    }


def as_csv(register: str, items: Iterable[Mapping[str, Any]]) -> str:
    """RFC 4180 with a header; a cell that a spreadsheet would take for a formula begins with an apostrophe."""
    heads = ["id", *FORMS[register].model_fields, "state", "due", "deadlines"]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(heads)
    writer.writerows([_cell(one.get(head)) for head in heads] for one in items)
    return stream.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        value = "; ".join(" ".join(str(part) for part in one.values() if part is not None) for one in value)
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
