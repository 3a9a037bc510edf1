"""An entry as other systems get it: our own stable JSON, and the syslog message around it. Pure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from telehealth.audit.leaf import Stored
from telehealth.clock import rfc3339
from telehealth.syslog import NOTICE, WARNING, message

SCHEMA = "telehealth.audit/1"
ELEMENT = "telehealth@32473"  # RFC 5612: the enterprise number for documents, until there is one of our own


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose entries these are. `log`: the log's name; `host`: this machine's."""

    log: str
    host: str
    process: str


Private = Mapping[str, str]
Render = Callable[[Stored, Private], bytes]


def entry(stored: Stored, log: str, private: Private) -> dict[str, Any]:
    """Everything that the leaf says; `private` is there only where details may leave. `hash`: of the leaf, in hex."""
    told = {
        "schema": SCHEMA,
        "log": log,
        "index": stored.index,
        "hash": stored.hash.hex(),
        "at": rfc3339(stored.at),
        "action": stored.action,
        "outcome": stored.outcome,
        "actor": {"kind": stored.actor_kind, "id": stored.actor, "role": stored.actor_role},
        "visit": stored.visit,
        "recording": stored.recording,
        "patient": stored.patient,
        "subject": stored.subject,
        "purpose": stored.purpose,
        "detail": dict(stored.detail),
        "late": stored.late,
    }
    return {**told, "private": dict(private)} if private else told


def packed(value: Mapping[str, Any]) -> bytes:
    """One line of ASCII, without its end."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def json_line(origin: Origin) -> Render:
    return lambda stored, private: packed(entry(stored, origin.log, private)) + b"\n"


def syslog_message(origin: Origin) -> Render:
    """RFC 5424: index, outcome and leaf hash as structured data, the whole entry as JSON behind them."""

    def render(stored: Stored, private: Private) -> bytes:
        return message(
            stored.at,
            "telehealth",
            origin.process,
            stored.action,
            packed(entry(stored, origin.log, private)),
            severity=NOTICE if stored.outcome in ("done", "intent") else WARNING,
            host=origin.host,
            structured={
                "log": origin.log,
                "index": str(stored.index),
                "outcome": stored.outcome,
                "hash": stored.hash.hex(),
            },
            element=ELEMENT,
        )

    return render
