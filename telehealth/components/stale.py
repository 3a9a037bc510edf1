"""Whether what is installed is what was pinned, and whether the pins are older than the terms (decisions/0017)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import distributions
from typing import Final

from telehealth.components.locks import Component, normal

SOON_DAYS: Final = 60
MOST_DAYS: Final = 90  # "others with the next release, at most 90 days"


@dataclass(frozen=True, slots=True)
class Other:
    """Installed in a version that is not pinned."""

    name: str
    installed: str
    pinned: str


def installed() -> Mapping[str, str]:
    """Versions by name, of this interpreter's packages."""
    found = ((one.metadata["Name"], one.version) for one in distributions())
    return {normal(name): version for name, version in found if name}


def others(components: Iterable[Component], present: Mapping[str, str]) -> tuple[Other, ...]:
    """Packages whose installed version is none of those pinned for it; what is not installed here is not missed."""
    versions: dict[str, list[str]] = {}
    for one in components:
        if one.kind == "pypi":
            versions.setdefault(one.name, []).append(one.version)
    return tuple(
        Other(name, present[name], " or ".join(pinned))
        for name, pinned in sorted(versions.items())
        if name in present and present[name] not in pinned
    )


def age(locked: date, today: date) -> int:
    """Days since the versions were chosen."""
    return (today - locked).days
