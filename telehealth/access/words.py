"""The rules in plain words: what a dry run prints, what docs/access.md says."""

from collections.abc import Mapping
from types import MappingProxyType

RULE_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "role": "does the table list this role for the action",
        "token": "does the bearer token hold the scope",
        "circle": "is the thing theirs, their team's, or opened by a broken glass",
        "need_to_know": "beyond one's own patients, is a purpose stated",
        "window": "does the team take part while the visit is held",
        "hours": "is it within the clinic's business hours",
        "network": "does it come from one of the clinic's networks",
        "country": "does it come from one of the clinic's countries",
        "device": "is the browser known to be the person's",
        "mfa": "were two factors proved a little while ago",
        "hold": "does no legal hold stand against it",
    }
)
REASON_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "no_matter": "does not matter here",
        "listed": "listed",
        "role_not_listed": "the role is not listed",
        "action_unknown": "there is no such action",
        "scope_held": "the token holds the scope",
        "scope_missing": "the token lacks the scope",
        "not_by_token": "not for tokens: a person in their own session",
        "every": "this role may for every such thing",
        "own": "their own",
        "team": "they are on the visit's team",
        "glass": "they have broken the glass",
        "some": "a list: they see what is theirs, their team's or opened by a broken glass",
        "own_act": "nobody decides about what they asked themselves",
        "outside_circle": "not theirs, not their team's, no glass broken",
        "in_circle": "needs no purpose: within their own circle",
        "purpose_stated": "a purpose was stated",
        "purpose_missing": "no purpose was stated",
        "in_window": "the visit is held now",
        "outside_window": "the visit is not held now",
        "in_hours": "within business hours",
        "outside_hours": "outside business hours",
        "in_network": "from a network of the clinic",
        "outside_network": "from no network of the clinic",
        "in_country": "from a country of the clinic",
        "outside_country": "from no country of the clinic, or from an unknown one",
        "known_device": "a known browser",
        "unknown_device": "not known to be the person's",
        "proved_lately": "proved a little while ago",
        "proof_too_old": "the last proof is too old",
        "held": "a legal hold stands against it",
    }
)
