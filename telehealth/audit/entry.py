"""What is written down about one act: who, what, on what, from where and why."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from telehealth.audit.actions import Action
from telehealth.audit.faults import EntryTooLarge

ActorKind = Literal["user", "participant", "token", "system", "cli", "stranger"]
Code = str | int | bool

MAX_FIELDS = 32
MAX_PRIVATE_CHARS = 512
MAX_PRIVATE_TEXT = 32_768  # bytes of JSON; a letter takes up to 12
_CODE = re.compile(r"[A-Za-z0-9_.:+/@=-]{0,128}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_WHOLE = 2**53  # integers that every JSON reader keeps


class EntryInvalid(ValueError):
    """An entry that may not be written as it is; names the field, never its value."""


class Outcome(StrEnum):
    INTENT = "intent"  # about to happen; durable before it does
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `address` and `device` are sealed beside the log; participants and strangers stand under pseudonyms."""

    kind: ActorKind
    id: str = ""
    role: str = ""
    address: str | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        _check_code("actor.kind", self.kind)
        _check_code("actor.role", self.role)
        if not isinstance(self.id, str):
            raise EntryInvalid("actor.id")
        if self.kind in ("user", "token", "system", "cli"):
            _check_code("actor.id", self.id)


@dataclass(frozen=True, slots=True)
class Entry:
    """One act.

    `detail`: codes and numbers, in clear: nothing that identifies. `private`: identifying text, sealed beside the
    log, each value cut at 512 characters, 32 KiB in all. `patient` is an id, written as a pseudonym; `subject` is the
    id of another thing (link, user, participant). Raises EntryInvalid, EntryTooLarge.
    """

    action: Action
    outcome: Outcome
    actor: Actor
    visit: str | None = None
    recording: str | None = None
    patient: str | None = None
    subject: str | None = None
    purpose: str | None = None
    detail: Mapping[str, Code] = field(default_factory=dict)
    private: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("visit", "recording", "subject", "purpose"):
            value = getattr(self, name)
            if value is not None:
                _check_code(name, value)
        if self.patient is not None and not isinstance(self.patient, str):
            raise EntryInvalid("patient")
        if not all(isinstance(text, str) for text in self.private.values()):
            raise EntryInvalid("private")
        if len(self.detail) > MAX_FIELDS or len(self.private) > MAX_FIELDS:
            raise EntryInvalid("too many fields")
        for name in (*self.detail, *self.private):
            if not _NAME.fullmatch(name):
                raise EntryInvalid("a field's name")
        for name, value in self.detail.items():
            _check_detail(name, value)
        text = self.private_text()
        if sum(map(len, text.values())) > MAX_PRIVATE_TEXT // 12 and len(json.dumps(text)) > MAX_PRIVATE_TEXT:
            raise EntryTooLarge

    def private_text(self) -> dict[str, str]:
        """All that is sealed: `private`, and the actor's address and device."""
        found = dict(self.private)
        if self.actor.address:
            found["address"] = self.actor.address
        if self.actor.device:
            found["device"] = self.actor.device
        return {name: text[:MAX_PRIVATE_CHARS] for name, text in found.items()}


def _check_code(name: str, value: str) -> None:
    if not isinstance(value, str) or not _CODE.fullmatch(value):
        raise EntryInvalid(name)


def _check_detail(name: str, value: Code) -> None:
    if isinstance(value, str):
        _check_code(f"detail.{name}", value)
    elif not isinstance(value, int) or abs(value) >= _WHOLE:
        raise EntryInvalid(f"detail.{name}")


SYSTEM = Actor("system", id="server")
