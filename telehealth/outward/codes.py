"""What our acts are called elsewhere: DICOM and HL7 codes, and the categories of the Elastic Common Schema. Pure."""

from dataclasses import dataclass

REST = "http://terminology.hl7.org/CodeSystem/audit-event-type"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
INTERACTION = "http://hl7.org/fhir/restful-interaction"
_NAMES = {
    "rest": "RESTful Operation",
    "110100": "Application Activity",
    "110101": "Audit Log Used",
    "110103": "DICOM Instances Accessed",
    "110106": "Export",
    "110110": "Patient Record",
    "110112": "Query",
    "110113": "Security Alert",
    "110114": "User Authentication",
    "110120": "Application Start",
    "110121": "Application Stop",
    "110122": "Login",
    "110123": "Logout",
    "110126": "Node Authentication",
    "110127": "Emergency Override Started",
    "110129": "Security Configuration",
    "110132": "Use of Restricted Function",
    "110133": "Audit Recording Stopped",
    "110135": "Object Security Attributes Changed",
    "110136": "Security Roles Changed",
    "110137": "User Security Attributes Changed",
}


@dataclass(frozen=True, slots=True)
class Code:
    system: str
    code: str

    @property
    def display(self) -> str:
        return _NAMES.get(self.code, self.code)


@dataclass(frozen=True, slots=True)
class Meaning:
    """`kind`: event type; `subtype` may be missing; `does`: C, R, U, D or E; `category`: of ECS."""

    kind: Code
    subtype: Code | None
    does: str
    category: str


def _row(kind: str, subtype: str, does: str, category: str) -> Meaning:
    code = Code(REST if kind == "rest" else DCM, kind)
    more = Code(INTERACTION if kind == "rest" else DCM, subtype) if subtype else None
    return Meaning(code, more, does, category)


# By the whole name, or by what it begins with, up to a dot: the longest that fits counts. A new act of a known family
# therefore has a meaning from its first day; a new family needs a row (tests see to it).
MEANINGS: dict[str, Meaning] = {
    "visit": _row("rest", "update", "U", "session"),
    "visit.create": _row("rest", "create", "C", "session"),
    "visit.read": _row("rest", "read", "R", "session"),
    "link": _row("110113", "110137", "U", "iam"),
    "link.issue": _row("110113", "110137", "C", "iam"),
    "guest.invite": _row("110113", "110137", "C", "iam"),
    "guest.remove": _row("110113", "110137", "D", "iam"),
    "link.open": _row("110114", "110122", "E", "authentication"),
    "link.revoke": _row("110113", "110137", "D", "iam"),
    "code": _row("110113", "110137", "C", "iam"),
    "code.try": _row("110114", "110122", "E", "authentication"),
    "identity": _row("110114", "110122", "E", "authentication"),
    "join": _row("110114", "110122", "E", "session"),
    "admit": _row("110114", "110122", "E", "session"),
    "remove": _row("110114", "110123", "E", "session"),
    "leave": _row("110114", "110123", "E", "session"),
    "break_glass": _row("110113", "110127", "E", "session"),
    "media": _row("110100", "", "E", "network"),
    "screen": _row("110100", "", "E", "session"),
    "chat": _row("110100", "", "E", "session"),
    "file": _row("110100", "", "E", "file"),
    "consent": _row("110110", "", "U", "session"),
    "consent.ask": _row("110110", "", "E", "session"),
    "consent.answer": _row("110110", "", "C", "session"),
    "consent.refuse": _row("110110", "", "C", "session"),
    "recording": _row("110110", "", "U", "file"),
    "recording.start": _row("110110", "", "C", "file"),
    "recording.verify": _row("110110", "", "R", "file"),
    "recording.reconcile": _row("110110", "", "R", "file"),
    "recording.list": _row("110112", "", "E", "file"),
    "recording.read": _row("rest", "read", "R", "file"),
    "recording.download": _row("110106", "", "R", "file"),
    "recording.export": _row("110106", "", "R", "file"),
    "recording.delete": _row("rest", "delete", "D", "file"),
    "copy": _row("110106", "", "E", "file"),
    "export": _row("110106", "", "R", "file"),
    "playback": _row("110103", "", "E", "file"),
    "playback.grant": _row("110103", "", "R", "file"),
    "hold": _row("110113", "110135", "U", "file"),
    "certificate": _row("rest", "create", "C", "file"),
    "certificate.read": _row("rest", "read", "R", "file"),
    "deletion": _row("110110", "", "U", "file"),
    "retention": _row("110100", "110129", "U", "configuration"),
    "retention.sweep": _row("110100", "", "E", "process"),
    "signin": _row("110114", "110122", "E", "authentication"),
    "signin.out": _row("110114", "110123", "E", "authentication"),
    "session": _row("110114", "110123", "E", "authentication"),
    "sso": _row("110114", "110122", "E", "authentication"),
    "mfa": _row("110113", "110137", "U", "iam"),
    "mfa.prove": _row("110114", "110122", "E", "authentication"),
    "device": _row("110113", "110137", "U", "iam"),
    "passkey": _row("110113", "110137", "U", "iam"),
    "password": _row("110113", "110137", "U", "iam"),
    "user": _row("110113", "110137", "U", "iam"),
    "user.create": _row("110113", "110137", "C", "iam"),
    "user.role": _row("110113", "110136", "U", "iam"),
    "user.read": _row("rest", "read", "R", "iam"),
    "token": _row("110113", "110137", "U", "iam"),
    "token.create": _row("110113", "110137", "C", "iam"),
    "token.revoke": _row("110113", "110137", "D", "iam"),
    "token.try": _row("110114", "110126", "E", "authentication"),
    "delegation": _row("110113", "110136", "U", "iam"),
    "team": _row("110113", "110136", "U", "iam"),
    "grant": _row("110113", "110136", "U", "iam"),
    "config": _row("110100", "110129", "U", "configuration"),
    "keys": _row("110100", "110129", "U", "configuration"),
    "backup": _row("110106", "", "R", "host"),
    "restore": _row("110100", "", "E", "host"),
    "access": _row("110113", "110136", "U", "iam"),
    "access.read": _row("rest", "read", "R", "iam"),
    "access.refused": _row("110113", "110132", "E", "iam"),
    "audit": _row("110101", "", "R", "database"),
    "audit.forget": _row("110101", "", "D", "database"),
    "audit.lost": _row("110100", "110133", "E", "database"),
    "alert": _row("110113", "", "E", "configuration"),
    "incident": _row("110113", "", "E", "configuration"),
    "register": _row("110113", "", "U", "configuration"),
    "register.read": _row("110101", "", "R", "database"),
    "register.export": _row("110106", "", "R", "database"),
    "identity.purge": _row("110105", "", "D", "database"),
    "privacy.export": _row("110106", "", "R", "database"),
    "review": _row("110101", "", "E", "database"),
    "drill": _row("110100", "", "E", "host"),
    "report": _row("110101", "", "R", "database"),
    "outward": _row("110106", "", "R", "database"),
    "server.start": _row("110100", "110120", "E", "process"),
    "server.stop": _row("110100", "110121", "E", "process"),
}
_UNKNOWN = _row("110100", "", "E", "host")


def known(action: str) -> Meaning | None:
    """The row for an act's name, or None."""
    name = action
    while name:
        if name in MEANINGS:
            return MEANINGS[name]
        name = name.rpartition(".")[0]
    return None


def meaning(action: str) -> Meaning:
    """Never raises: a log may hold acts of versions to come."""
    return known(action) or _UNKNOWN
