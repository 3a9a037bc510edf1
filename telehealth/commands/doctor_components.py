"""The part of `telehealth doctor` that looks at what the server is made of."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Final

from telehealth.commands.findings import Finding
from telehealth.components.locks import locked_on, pinned
from telehealth.components.stale import MOST_DAYS, SOON_DAYS, age, installed, others

_NAMED: Final = 5  # packages


def components(root: Path, today: date, present: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Which packages differ from their pins, and how old the pins are. Asks nobody: what has flaws, advisories say."""
    lock, dev = root / "requirements.lock", root / "requirements-dev.lock"
    try:
        pins, since = pinned(lock), locked_on(lock)
    except (OSError, ValueError) as error:
        yield Finding("components", "note", f"no lock file to compare with ({type(error).__name__})", "make setup")
        return
    both = (*pins, *(pinned(dev) if dev.is_file() else ()))  # tests need some in another version
    differing = others(both, installed() if present is None else present)
    if differing:
        names = ", ".join(f"{one.name} {one.installed} (pinned: {one.pinned})" for one in differing[:_NAMED])
        more = f" and {len(differing) - _NAMED} more" if len(differing) > _NAMED else ""
        yield Finding("components", "wrong", f"not as pinned: {names}{more}", "make setup", "components_differ")
    else:
        yield Finding("components", "well", f"{len(pins)} packages as pinned")
    yield _pins(since, today)


def _pins(since: date | None, today: date) -> Finding:
    mend = "make lock, then make test: docs/decisions/0017-attack.md has the terms."
    if since is None:
        return Finding("components.age", "note", "the lock file does not say of when it is", mend, "components_undated")
    days = age(since, today)
    text = f"versions were chosen {days} days ago ({since})"
    if days > MOST_DAYS:
        return Finding("components.age", "wrong", f"{text}; the term is {MOST_DAYS}", mend, "components_stale")
    return Finding("components.age", "note" if days > SOON_DAYS else "well", text, mend if days > SOON_DAYS else "")
