"""Callers and events as they go from node to node: JSON, parsed into the same frozen values on the other side."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter

from telehealth.access import Caller
from telehealth.access.facts import Context, Policy
from telehealth.clock import parse_rfc3339
from telehealth.events import (
    CircleLeft,
    CodeMinted,
    CodeVoided,
    Event,
    IdentitySeen,
    LinkRevoked,
    ParticipantSignedOut,
    SessionEnded,
    VisitChanged,
)
from telehealth.secret import Secret

_CALLER: Final = TypeAdapter(Caller)
_CONTEXT: Final = TypeAdapter(Context)
_EVENTS: Final[Mapping[str, type[Any]]] = {
    kind.__name__: kind
    for kind in (
        SessionEnded,
        LinkRevoked,
        ParticipantSignedOut,
        CodeMinted,
        CodeVoided,
        VisitChanged,
        CircleLeft,
        IdentitySeen,
    )
}


def caller_said(caller: Caller) -> dict[str, Any]:
    """A caller without the clinic's rules, which every node has itself."""
    said: dict[str, Any] = _CALLER.dump_python(caller, mode="json", exclude={"context"})
    said["context"] = _CONTEXT.dump_python(caller.context, mode="json", exclude={"policy"})
    return said


def caller_heard(said: Mapping[str, Any], policy: Policy) -> Caller:
    """The caller, under this node's rules. Raises pydantic.ValidationError."""
    context = _CONTEXT.validate_python({**said["context"], "policy": policy})
    return _CALLER.validate_python({**said, "context": context})


def event_said(event: Event) -> dict[str, Any]:
    """An event of the house."""
    facts: dict[str, Any] = {}
    for field in fields(event):
        value = getattr(event, field.name)
        if isinstance(value, Secret):
            value = value.reveal()
        facts[field.name] = value.isoformat() if isinstance(value, datetime) else value
    return {"name": type(event).__name__, "facts": facts}


def event_heard(said: Mapping[str, Any]) -> Event | None:
    """The event; None for one that this release does not know."""
    kind = _EVENTS.get(said["name"])
    if kind is None:
        return None
    facts = dict(said["facts"])
    if kind is CodeMinted:
        facts |= {"code": Secret(facts["code"]), "expires_at": parse_rfc3339(facts["expires_at"])}
    event: Event = kind(**facts)
    return event
