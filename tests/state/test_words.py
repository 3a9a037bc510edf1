"""Whatever the server may say, the pages have words for it, in every language."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TypeGuard

import pytest

import recordings
import signaling
import telehealth
from telehealth.audit.actions import Action
from telehealth.errors import Refusal
from telehealth.visits.ports import EndReason

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "static" / "ui" / "catalogue"
WHY_IT_STOPS = {"finish", "hold", "hold_now", "clear", "_ring", "_not_begun", "_end", "fault", "cut"}
NOT_RECORDINGS = {"leg", "earlier"}  # a leg's own reasons stay in the log
PLAYBACK = "playback.py"  # ends grants, not recordings


def words(language: str) -> dict[str, str]:
    """Every key of one language with its text."""
    found: dict[str, str] = {}
    for file in CATALOGUE.glob(f"{language}.*.js"):
        found |= dict(re.findall(r'^  "([^"]+)": "(.*)",$', file.read_text("utf-8"), re.MULTILINE))
    return found


def modules(*rooms: ModuleType) -> Iterator[ModuleType]:
    for room in rooms:
        for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            if not re.search(r"__main__|migrations", module.name):
                yield importlib.import_module(module.name)


def refusals(kind: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for one in kind.__subclasses__():
        yield one
        yield from refusals(one)


def strings(node: ast.AST) -> Iterator[str]:
    """The texts an expression may be, leaving conditions aside."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from strings(node.body)
        yield from strings(node.orelse)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from strings(value)


def receiver(call: ast.Call) -> str:
    value = call.func.value if isinstance(call.func, ast.Attribute) else None
    return value.id if isinstance(value, ast.Name) else ""


def gives_reason(node: ast.AST) -> TypeGuard[ast.Assign | ast.keyword]:
    if isinstance(node, ast.Assign):
        return any(getattr(one, "attr", "") == "reason" for one in node.targets)
    return isinstance(node, ast.keyword) and node.arg in ("stop_reason", "reason")


def reasons(file: Path) -> Iterator[str]:
    """Codes this source gives as the reason why a recording stops, pauses or never begins."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WHY_IT_STOPS:
            if receiver(node) not in NOT_RECORDINGS:
                yield from (one for argument in node.args for one in strings(argument))
        elif gives_reason(node):
            yield from strings(node.value)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "stop_reason":
                    yield from strings(value)


@pytest.mark.parametrize("language", ["en", "ar"])
def test_every_refusal_has_words(language: str) -> None:
    assert list(modules(telehealth, signaling, recordings))
    known = words(language)
    ours = {one.code for one in refusals() if one.__module__.startswith(("telehealth.", "signaling.", "recordings."))}
    missing = {code for code in ours if not known.get(f"error.{code}")}
    assert not missing


@pytest.mark.parametrize("language", ["en", "ar"])
def test_every_reason_of_a_recording_has_words(language: str) -> None:
    files = [*(ROOT / "telehealth" / "visits").glob("*.py"), *(ROOT / "recordings").glob("*.py")]
    codes = {code for file in files if file.name != PLAYBACK for code in reasons(file)}
    given = {code for code in codes if re.fullmatch(r"[a-z_]+", code)}
    assert {"declined", "withdrawn", "starter_lost", "starter_left", "stopped", "failed", "start_timeout"} <= given
    known = words(language)
    assert not {code for code in given if not known.get(f"reason.{code}")}


@pytest.mark.parametrize("language", ["en", "ar"])
def test_every_way_out_of_a_visit_has_words(language: str) -> None:
    known = words(language)
    assert not {reason for reason in EndReason.__args__ if not known.get(f"over.{reason}")}  # type: ignore[attr-defined]


@pytest.mark.parametrize("language", ["en", "ar"])
def test_every_act_of_the_log_has_words(language: str) -> None:
    known = words(language)
    assert not {str(action) for action in Action if not known.get(f"act.{action}")}
