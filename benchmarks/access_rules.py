"""How long one decision takes: roles, objects and contexts as they come in a clinic with every bound set."""

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

from benchmarks.figure import Figure, measured, percentile, wished
from telehealth.access import Action, Caller, Context, Kind, Object, Policy, may
from telehealth.access.bounds import Bounds, parse_span

NOW = datetime(2031, 5, 6, 12, tzinfo=UTC)
BATCH = 1000  # decisions between two looks at the clock
ROLES = ("admin", "clinician", "auditor", "front_desk")


def run(seed: int) -> Iterator[Figure]:
    chance, count = random.Random(seed), wished(300_000)
    bounds = Bounds((parse_span("mon-fri 07:00-19:00"),), (ip_network("10.0.0.0/8"),), frozenset({"DE"}), "purpose")
    policy = Policy(dict.fromkeys(ROLES, bounds))
    asked = [_one(chance, policy) for _ in range(BATCH)]
    each: list[float] = []
    allowed = 0
    for _ in range(max(1, count // BATCH)):
        begun = time.perf_counter()
        allowed += sum(may(*one).allowed for one in asked)
        each.append((time.perf_counter() - begun) / BATCH * 1e6)
    if not 0 < allowed < len(each) * BATCH:
        raise ValueError("all allowed or none: that measures nothing")
    yield measured("access.may", percentile(each, 0.5), "µs per decision", n=len(each) * BATCH, seed=seed, at_most=50)
    yield measured("access.may_p99", percentile(each, 0.99), "µs per decision", n=len(each) * BATCH, seed=seed)


def _one(chance: random.Random, policy: Policy) -> tuple[Caller, Action, Object, Context]:
    who = Caller("user", "usr_me", chance.choice(ROLES))  # type: ignore[arg-type]
    team = frozenset({"usr_me"} if chance.random() < 0.2 else {"usr_x", "usr_y"})
    owner = chance.choice(("usr_me", "usr_other"))
    thing = Object(Kind.RECORDING, "rec_1", owner, team, frozenset(), "vis_1", state="sealed")
    context = Context(
        NOW,
        "10.1.2.3",
        chance.choice(("DE", "FR")),
        chance.random() < 0.8,
        chance.random() < 0.8,
        True,
        timedelta(minutes=3),
        chance.choice((None, "treatment")),
        policy,
    )
    return who, chance.choice(tuple(Action)), thing, context
