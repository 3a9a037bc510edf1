"""What the rules remember: bounded for each rule, so that a flood about one thing does not wash away another."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Generic, TypeVar

from telehealth.alerts import judging
from telehealth.alerts.facts import Fact, concerns
from telehealth.alerts.judging import Finding, Hours, Known, Window
from telehealth.alerts.rules import Rule
from telehealth.audit.entry import Code

MOST_SUBJECTS = 4096  # for each rule; the one quiet for longest goes first
Pair = tuple[str, str]  # rule and subject
T = TypeVar("T")


class Lru(Generic[T]):
    """A mapping that forgets who was quiet for longest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[str, T] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, name: str) -> T | None:
        found = self._held.get(name)
        if found is not None:
            self._held.move_to_end(name)
        return found

    def put(self, name: str, value: T) -> T:
        self._held[name] = value
        if len(self._held) > self._most:
            self._held.popitem(last=False)
        return value


class Memory:
    """All windows and habits of one process. `judge` is the whole of the rules' thinking; nothing here waits."""

    def __init__(self, rules: Sequence[Rule], hours: Hours, most: int = MOST_SUBJECTS) -> None:
        self._rules = tuple(rule for rule in rules if rule.kind not in ("gauge", "alarm"))
        self._hours = hours
        self._of_action: dict[str, tuple[Rule, ...]] = {}
        self._windows: dict[str, Lru[Window]] = {rule.name: Lru(most) for rule in self._rules}
        self._known: dict[str, Lru[Known]] = {rule.name: Lru(most) for rule in self._rules}
        self._dirty: dict[Pair, Known] = {}

    @property
    def reach(self) -> timedelta:
        """How far back a restart must read."""
        return timedelta(minutes=max((rule.minutes for rule in self._rules if rule.windowed), default=0))

    @property
    def size(self) -> int:
        """Subjects remembered."""
        return sum(map(len, self._windows.values())) + sum(map(len, self._known.values()))

    def unknown(self, facts: Iterable[Fact]) -> set[Pair]:
        """Whose habits must be read before these can be judged."""
        wanted = set[Pair]()
        for rule, fact, subject in self._matching(facts, ("fresh", "rate")):
            if (rule.of is None or fact.of(rule.of) is not None) and self._known[rule.name].get(subject) is None:
                wanted.add((rule.name, subject))
        return wanted

    def learn(self, habits: Mapping[Pair, Known]) -> None:
        """What was known of them before; nobody stands for nothing known."""
        for (rule, subject), known in habits.items():
            self._known[rule].put(subject, known)

    def judge(self, fact: Fact, *, only_windows: bool = False) -> list[Finding]:
        """Every alert that this entry gives rise to. `only_windows`: it was judged before, in an earlier life."""
        found: list[Finding] = []
        for rule, _, subject in self._matching((fact,), None):
            if only_windows and not rule.windowed:
                continue
            one = self._judged(rule, subject, fact)
            if one is not None:
                found.append(one)
        return found

    def taken(self) -> dict[Pair, Known]:
        """Habits that changed since this was last asked."""
        changed, self._dirty = self._dirty, {}
        return changed

    def _judged(self, rule: Rule, subject: str, fact: Fact) -> Finding | None:
        if rule.windowed:
            windows = self._windows[rule.name]
            window = windows.get(subject) or windows.put(subject, Window())
            return (judging.counted if rule.kind == "count" else judging.distinct)(rule, window, fact)
        if rule.kind not in ("fresh", "rate"):
            return judging.plain(rule, fact, self._hours)
        known = self._known[rule.name].get(subject) or self._known[rule.name].put(subject, Known())
        found = (judging.fresh if rule.kind == "fresh" else judging.rate)(rule, known, fact)
        if known.changed:
            self._dirty[rule.name, subject] = known
        return found

    def concerned(self, action: str, outcome: str, actor_kind: str, detail: Mapping[str, Code]) -> bool:
        """Whether any rule looks at such an entry; the others need not be opened."""
        return any(concerns(rule, action, outcome, actor_kind, detail) for rule in self._rules_of(action))

    def _matching(self, facts: Iterable[Fact], kinds: tuple[str, ...] | None) -> Iterator[tuple[Rule, Fact, str]]:
        for fact in facts:
            for rule in self._rules_of(fact.action):
                if kinds is not None and rule.kind not in kinds:
                    continue
                if concerns(rule, fact.action, fact.outcome, fact.actor_kind, fact.detail):
                    subject = fact.by(rule.by) or ("server" if rule.kind == "each" else None)
                    if subject is not None:
                        yield rule, fact, subject

    def _rules_of(self, action: str) -> tuple[Rule, ...]:
        """The rules that may look at this action; actions are a closed list, so this is bounded."""
        if action not in self._of_action:
            self._of_action[action] = tuple(
                rule for rule in self._rules if not rule.actions or action in (*rule.actions, *rule.learn)
            )
        return self._of_action[action]
