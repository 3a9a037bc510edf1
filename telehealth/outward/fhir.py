"""An entry as a FHIR R4 AuditEvent, in the patterns of IHE BALP where the event fulfils them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from telehealth.audit.leaf import Stored
from telehealth.clock import rfc3339
from telehealth.outward.codes import DCM, INTERACTION, REST, Code, Meaning, meaning

Json = dict[str, Any]
OURS = "urn:telehealth:"  # begins our own code and identifier systems: action, actor, patient, visit, …
ENTITY = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
OBJECT_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
SOURCE_TYPE = "http://terminology.hl7.org/CodeSystem/security-source-type"
BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
OUTCOMES = {"done": "0", "refused": "4", "failed": "8"}
PERSON, THING, OTHER = "1", "2", "4"
_SENDS = Code(DCM, "110153"), Code(DCM, "110152")
# What BALP calls the two machines: client, server. A reader's client is the destination; the data flows to it.
_MACHINES: Mapping[str, tuple[Code, Code]] = {
    "read": (Code(DCM, "110152"), Code(DCM, "110153")),
    "create": _SENDS,
    "update": _SENDS,
    "delete": (
        Code(DCM, "110150"),
        Code("http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian"),
    ),
}
_CLIENTS = {"cli": "command line", "system": "telehealth", "token": "program"}


@dataclass(frozen=True, slots=True)
class Site:
    """Whose events: the log's name, and the host's name as people know it."""

    log: str
    host: str


def audit_event(stored: Stored, site: Site, private: Mapping[str, str]) -> Json:
    """The resource; its id is the entry's index. `private`: sealed text, only where it may be shown."""
    means = meaning(stored.action)
    found: Json = {
        "resourceType": "AuditEvent",
        "id": str(stored.index),
        "meta": _meta(stored, means),
        "type": _coding(means.kind),
        "subtype": [*([_coding(means.subtype)] if means.subtype else []), _ours("action", stored.action)],
        "action": means.does,
        "recorded": rfc3339(stored.at),
        "outcomeDesc": stored.outcome,
        "agent": _agents(stored, means, site, private),
        "source": {
            "observer": {"type": "Device", "identifier": _identifier("log", site.log), "display": site.host},
            "type": [{"system": SOURCE_TYPE, "code": "4", "display": "Application Server"}],
        },
        "entity": _entities(stored),
    }
    if stored.outcome in OUTCOMES:  # an intent has none yet
        found["outcome"] = OUTCOMES[stored.outcome]
    if stored.purpose:
        found["purposeOfEvent"] = [{"coding": [_ours("purpose", stored.purpose)], "text": stored.purpose}]
    return found


def profile(stored: Stored) -> str | None:
    """The BALP profile that the event fulfils: a RESTful act that succeeded, on something named."""
    means = meaning(stored.action)
    if means.kind.system != REST or means.subtype is None or stored.outcome != "done" or _thing(stored) is None:
        return None
    about = "Patient" if stored.patient else ""
    return f"{BALP}{about}{means.subtype.code.title()}"


def _meta(stored: Stored, means: Meaning) -> Json:
    claimed = profile(stored)
    return {"lastUpdated": rfc3339(stored.at), **({"profile": [claimed]} if claimed else {})}


def _agents(stored: Stored, means: Meaning, site: Site, private: Mapping[str, str]) -> list[Json]:
    """Who asked; and the two machines where the act was a RESTful one."""
    who: Json = {"identifier": _identifier("actor", stored.actor)} if stored.actor else {"display": stored.actor_kind}
    asking: Json = {"who": who, "requestor": True}
    rest = means.kind.system == REST
    if rest:
        kind = "IRCP" if means.does == "R" else "AUT"
        asking["type"] = {"coding": [{"system": PARTICIPATION, "code": kind}]}
    elif private.get("address"):
        asking["network"] = {"address": private["address"], "type": "2"}
    if stored.actor_role:
        asking["role"] = [{"coding": [_ours("role", stored.actor_role)], "text": stored.actor_role}]
    return [asking, *(_machines(stored, means, site, private) if rest else [])]


def _machines(stored: Stored, means: Meaning, site: Site, private: Mapping[str, str]) -> list[Json]:
    client, server = _MACHINES[means.subtype.code if means.subtype else "read"]
    address = private.get("address")
    told = {"address": address, "type": "2"} if address else _masked(stored)
    return [
        {
            "type": {"coding": [_coding(client)]},
            "who": {"display": _CLIENTS.get(stored.actor_kind, "browser")},
            "requestor": False,
            "network": told,
        },
        {
            "type": {"coding": [_coding(server)]},
            "who": {"type": "Device", "identifier": _identifier("log", site.log)},
            "requestor": False,
            "network": {"address": site.host, "type": "1"},
        },
    ]


def _masked(stored: Stored) -> Json:
    """There is an address, sealed beside the log; or there was none."""
    return {"extension": [{"url": ABSENT, "valueCode": "masked" if stored.sealed else "unknown"}]}


def _entities(stored: Stored) -> list[Json]:
    """The patient, the thing itself (one, as BALP wants it), what else it is about, and the entry in the log."""
    found: list[Json] = []
    if stored.patient:
        found.append(_entity("Patient", "patient", stored.patient, PERSON, "1"))
    thing = _thing(stored)
    for kind, system, value in _things(stored):
        found.append(_entity(kind, system, value, THING if value == thing else OTHER, "4"))
    detail = {**stored.detail, "leaf_hash": stored.hash.hex(), **({"late": True} if stored.late else {})}
    said = [{"type": name, "valueString": _text(value)} for name, value in detail.items() if _text(value)]
    found.append({**_entity(None, "entry", str(stored.index), OTHER, "13"), "detail": said})
    return found


def _things(stored: Stored) -> list[tuple[str | None, str, str]]:
    """What the act was about, the most particular first: kind of resource, our system, id."""
    named = (
        ("Media", "recording", stored.recording),
        ("Encounter", "visit", stored.visit),
        (None, "subject", stored.subject),
    )
    return [(kind, system, value) for kind, system, value in named if value]


def _thing(stored: Stored) -> str | None:
    return next((value for _, _, value in _things(stored)), None)


def _entity(kind: str | None, system: str, value: str, sort: str, role: str) -> Json:
    what: Json = {"identifier": _identifier(system, value)}
    if kind:
        what["type"] = kind
    return {"what": what, "type": {"system": ENTITY, "code": sort}, "role": {"system": OBJECT_ROLE, "code": role}}


def _coding(code: Code) -> Json:
    """Displays only where they are ours to know."""
    shown = {} if code.system == INTERACTION or code.display == code.code else {"display": code.display}
    return {"system": code.system, "code": code.code, **shown}


def _ours(system: str, code: str) -> Json:
    return {"system": OURS + system, "code": code}


def _identifier(system: str, value: str) -> Json:
    return {"system": OURS + system, "value": value}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
