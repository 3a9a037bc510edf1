"""The lock files: which packages, which versions, which artefacts by their hashes. Reads files, asks nobody."""

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?: ; ([^\\]+))?")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_DATE = re.compile(r"^# locked (\d{4}-\d{2}-\d{2})$", re.MULTILINE)

Kind = Literal["pypi", "npm"]


@dataclass(frozen=True, slots=True)
class Component:
    """One package as it is pinned. `hashes`: of every artefact that may be installed, as (algorithm, hex digits).

    `marker`: where it is installed (PEP 508); empty: everywhere. `optional`: with an extra of this project alone.
    """

    kind: Kind
    name: str
    version: str
    hashes: tuple[tuple[str, str], ...]
    marker: str = ""
    licence: str = ""
    optional: bool = False

    @property
    def purl(self) -> str:
        """As package-url spells it: a scope's @ is escaped."""
        return f"pkg:{self.kind}/{self.name.replace('@', '%40')}@{self.version}"


def normal(name: str) -> str:
    """A Python package's name in its one form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(path: Path) -> tuple[Component, ...]:
    """What a lock file with hashes pins. Raises OSError, ValueError for a pin without a hash."""
    found: list[Component] = []
    for block in re.split(r"\n(?=[A-Za-z0-9])", path.read_text("utf-8")):
        pin = _PIN.match(block.removeprefix("\n"))
        if pin is None:
            continue
        hashes = tuple(("SHA-256", digits) for digits in sorted(set(_HASH.findall(block))))
        if not hashes:
            raise ValueError(f"{pin[1]} is pinned without a hash")
        found.append(Component("pypi", normal(pin[1]), pin[2], hashes, (pin[3] or "").strip()))
    return tuple(found)


def locked_on(path: Path) -> date | None:
    """The day on which the versions were chosen, as `make lock` writes it. Raises OSError."""
    found = _DATE.search(path.read_text("utf-8"))
    return date.fromisoformat(found[1]) if found else None


def npm_pinned(path: Path) -> tuple[Component, ...]:
    """What a package-lock.json (version 3) pins beyond development. Raises OSError, ValueError."""
    packages: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8"))["packages"]
    return tuple(_npm(packages))


def _npm(packages: dict[str, dict[str, Any]]) -> Iterator[Component]:
    for place, package in sorted(packages.items()):
        if not place or package.get("dev") or package.get("link"):
            continue
        algorithm, _, digest = str(package["integrity"]).partition("-")
        hashes = ((algorithm.upper().replace("SHA", "SHA-"), b64decode(digest, validate=True).hex()),)
        name = place.rpartition("node_modules/")[2]
        yield Component("npm", name, package["version"], hashes, licence=str(package.get("license", "")))
