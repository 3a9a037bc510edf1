"""An entry in the fields of the Elastic Common Schema 8. Pure."""

from ipaddress import ip_address
from typing import Any

from telehealth.audit.leaf import Stored
from telehealth.clock import rfc3339
from telehealth.outward.codes import meaning
from telehealth.outward.told import Origin, Private, Render, entry, packed

VERSION = "8.17.0"
# Which event.type the schema expects with which event.category, as far as we use them.
TYPES: dict[str, frozenset[str]] = {
    "authentication": frozenset({"start", "end", "info"}),
    "configuration": frozenset({"access", "change", "creation", "deletion", "info"}),
    "database": frozenset({"access", "change", "error", "info"}),
    "file": frozenset({"access", "change", "creation", "deletion", "info"}),
    "host": frozenset({"access", "change", "end", "info", "start"}),
    "iam": frozenset({"admin", "change", "creation", "deletion", "group", "info", "user"}),
    "network": frozenset({"access", "allowed", "connection", "denied", "end", "info", "protocol", "start"}),
    "process": frozenset({"access", "change", "end", "info", "start"}),
    "session": frozenset({"start", "end", "info"}),
}
_DOES = {"C": "creation", "R": "access", "U": "change", "D": "deletion", "E": "info"}
_BEGINS = frozenset({"110120", "110122", "110127"})
_ENDS = frozenset({"110121", "110123"})
_OUTCOMES = {"done": "success", "refused": "failure", "failed": "failure"}


def fields(stored: Stored, origin: Origin, private: Private) -> dict[str, Any]:
    """Fields of the schema, and the entry itself under `telehealth`."""
    means = meaning(stored.action)
    found: dict[str, Any] = {
        "@timestamp": rfc3339(stored.at),
        "ecs": {"version": VERSION},
        "message": f"{stored.action} {stored.outcome}",
        "event": {
            "kind": "alert" if stored.action.startswith("alert.") else "event",
            "category": [means.category],
            "type": [event_type(stored.action)],
            "action": stored.action,
            "outcome": _OUTCOMES.get(stored.outcome, "unknown"),
            "provider": "telehealth",
            "module": "telehealth",
            "dataset": "telehealth.audit",
            "id": f"{origin.log}#{stored.index}",
            "sequence": stored.index,
            "hash": stored.hash.hex(),
            **({"reason": stored.purpose} if stored.purpose else {}),
        },
        "service": {"name": "telehealth", "type": "telehealth"},
        "host": {"name": origin.host},
        "telehealth": entry(stored, origin.log, {}),
    }
    if stored.actor:
        roles = {"roles": [stored.actor_role]} if stored.actor_role else {}
        found["user"] = {"id": stored.actor, **roles}
        found["related"] = {"user": [stored.actor]}
    return {**found, **_detail(private, found)} if private else found


def event_type(action: str) -> str:
    """What the act did, among the types that its category knows."""
    means = meaning(action)
    subtype = means.subtype.code if means.subtype else ""
    wanted = "start" if subtype in _BEGINS else "end" if subtype in _ENDS else _DOES[means.does]
    return wanted if wanted in TYPES[means.category] else "info"


def _detail(private: Private, found: dict[str, Any]) -> dict[str, Any]:
    more: dict[str, Any] = {"telehealth": {**found["telehealth"], "private": dict(private)}}
    address = private.get("address")
    if address:
        more["source"] = {"address": address, **_ip(address)}
        more["related"] = {**found.get("related", {}), **{name: [ip] for name, ip in _ip(address).items()}}
    if private.get("device"):
        more["user_agent"] = {"original": private["device"]}
    return more


def _ip(address: str) -> dict[str, str]:
    try:
        return {"ip": str(ip_address(address))}
    except ValueError:
        return {}


def ecs_line(origin: Origin) -> Render:
    return lambda stored, private: packed(fields(stored, origin, private)) + b"\n"
