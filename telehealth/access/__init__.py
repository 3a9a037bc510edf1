"""Who may do what: one pure decision, one table, the clinic's own bounds. docs/access.md tells it to people."""

from telehealth.access.asking import (
    PurposeNeeded,
    Reach,
    Refused,
    Unseen,
    decide,
    only_own,
    reach,
    refusal_of,
    refused_entry,
    require,
    told,
    unusual_entry,
)
from telehealth.access.caller import STRANGER, SYSTEM, Caller, CallerKind, Role, command_line, recently_proven
from telehealth.access.facts import NOTHING, PURPOSES, Context, Kind, Object, Policy, Verdict
from telehealth.access.rules import RULE_IDS, Finding, circle, judged, may
from telehealth.access.table import LISTS, RULES, SCOPES, Action, Rule

__all__ = [
    "LISTS",
    "NOTHING",
    "PURPOSES",
    "RULES",
    "RULE_IDS",
    "SCOPES",
    "STRANGER",
    "SYSTEM",
    "Action",
    "Caller",
    "CallerKind",
    "Context",
    "Finding",
    "Kind",
    "Object",
    "Policy",
    "PurposeNeeded",
    "Reach",
    "Refused",
    "Role",
    "Rule",
    "Unseen",
    "Verdict",
    "circle",
    "command_line",
    "decide",
    "judged",
    "may",
    "only_own",
    "reach",
    "recently_proven",
    "refusal_of",
    "refused_entry",
    "require",
    "told",
    "unusual_entry",
]
