"""What rules see of an entry: codes, keyed hashes, and the little that its sealed text says about where from. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address, ip_network

from telehealth.alerts.rules import By, Of, Rule
from telehealth.audit.entry import Code, Outcome
from telehealth.audit.leaf import Stored
from telehealth.identity.devices import device_name

Hashed = Callable[[str, str], str]  # purpose and text to 32 hex digits that mean nothing elsewhere
CountryOf = Callable[[str], str | None]
_VERSION = re.compile(r"[ /][\d.]+")


@dataclass(frozen=True, slots=True)
class Fact:
    """One entry. `weight`: how many acts it stands for. `about`: sealed text, for people who may read the log."""

    index: int
    at: datetime
    action: str
    outcome: str
    actor_kind: str
    actor: str
    visit: str | None = None
    recording: str | None = None
    patient: str | None = None
    subject: str | None = None
    detail: Mapping[str, Code] = field(default_factory=dict)
    weight: int = 1
    address: str | None = None  # keyed hash
    network: str | None = None  # keyed hash of its /24 or /48
    country: str | None = None  # ISO 3166, two letters
    device: str | None = None  # keyed hash of browser and system, without version
    owner: str | None = None  # the clinician whose visit or recording it is; None: not known
    about: Mapping[str, str] = field(default_factory=dict, repr=False)

    def by(self, by: By) -> str | None:
        """Whose count this goes on; None: nobody's."""
        match by:
            case "all":
                return "server"
            case "actor":
                return self.actor or None
            case "subject":
                return self.subject
            case "address":
                return self.address
            case "visit":
                return self.visit
            case "recording":
                return self.recording

    def of(self, of: Of) -> str | None:
        """The value that a rule tells apart."""
        found: str | None = getattr(self, of)
        return found


def fact_of(stored: Stored, text: Mapping[str, str], hashed: Hashed, country_of: CountryOf) -> Fact:
    """`text`: the entry's sealed text, as far as it could be opened."""
    address, device = text.get("address"), text.get("device")
    named = device_name(device) or device
    count = stored.detail.get("count")
    return Fact(
        index=stored.index,
        at=stored.at,
        action=stored.action,
        outcome=stored.outcome,
        actor_kind=stored.actor_kind,
        actor=stored.actor,
        visit=stored.visit,
        recording=stored.recording,
        patient=stored.patient,
        subject=stored.subject,
        detail=stored.detail,
        weight=count if stored.detail.get("aggregated") is True and isinstance(count, int) and count > 0 else 1,
        address=hashed("alert-address", address) if address else None,
        network=hashed("alert-network", network_of(address)) if address else None,
        country=country_of(address) if address else None,
        device=hashed("alert-device", _VERSION.sub("", named)) if named else None,
        about={name: value for name, value in (("address", address), ("device", named)) if value},
    )


def network_of(address: str) -> str:
    """The /24 (IPv4) or /48 (IPv6) an address lies in; what is no address stands for itself."""
    try:
        place = ip_address(address)
    except ValueError:
        return address
    mapped = getattr(place, "ipv4_mapped", None) or place
    return str(ip_network(f"{mapped}/{24 if mapped.version == 4 else 48}", strict=False))


def concerns(rule: Rule, action: str, outcome: str, actor_kind: str, detail: Mapping[str, Code]) -> bool:
    """Whether an entry is of the sort that a rule looks at, as far as its clear part tells."""
    if action.startswith("alert."):
        return False  # alerts never feed on themselves
    if rule.actions and action not in rule.actions:
        return action in rule.learn and outcome == Outcome.DONE
    if outcome not in rule.outcomes or (rule.actors and actor_kind not in rule.actors):
        return False
    return all(str(detail.get(name, "")) == value for name, value in rule.detail.items())
