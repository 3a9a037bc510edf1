"""What is shipped, as a software bill of materials: CycloneDX 1.6 (ECMA-424), the same for the same lock files."""

import hashlib
import json
import tomllib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from telehealth.components.locks import Component, normal, npm_pinned, pinned


def shipped(root: Path) -> tuple[Component, ...]:
    """Everything a set-up of the server installs, and by name what its extras add. Raises OSError, ValueError."""
    always = pinned(root / "requirements.lock")
    extras = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    wanted = {_name(text) for extra, texts in extras.items() if extra not in ("dev", "build") for text in texts}
    more = (one for one in pinned(root / "requirements-dev.lock") if one.name in wanted)
    return (*always, *(replace(one, optional=True) for one in more), *npm_pinned(root / "package-lock.json"))


def bill(components: Iterable[Component], version: str) -> dict[str, Any]:
    """The document. Its serial number is a hash of its content, so that two of the same are one."""
    rows = [_component(one) for one in components]
    ours = f"pkg:pypi/telehealth@{version}"
    digest = hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid5(NAMESPACE_URL, f"{ours}#{digest}").urn,
        "version": 1,
        "metadata": {
            "lifecycles": [{"phase": "pre-build"}],
            "component": {
                "type": "application",
                "bom-ref": ours,
                "name": "telehealth",
                "version": version,
                "purl": ours,
            },
        },
        "components": rows,
        "dependencies": [{"ref": ours, "dependsOn": [row["bom-ref"] for row in rows]}],
    }


def _component(one: Component) -> dict[str, Any]:
    row: dict[str, Any] = {
        "type": "library",
        "bom-ref": one.purl,
        "name": one.name,
        "version": one.version,
        "purl": one.purl,
        "scope": "optional" if one.optional else "required",
        "hashes": [{"alg": algorithm, "content": digits} for algorithm, digits in one.hashes],
    }
    if one.licence:
        row["licenses"] = [{"expression": one.licence}]
    if one.marker:
        row["properties"] = [{"name": "telehealth:marker", "value": one.marker}]
    return row


def _name(requirement: str) -> str:
    """`psycopg[binary]>=3.3` is psycopg."""
    for sign in "[<>=!~; ":
        requirement = requirement.partition(sign)[0]
    return normal(requirement)
