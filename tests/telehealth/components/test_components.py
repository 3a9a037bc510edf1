"""What the server is made of is told whole, in CycloneDX's shape; what is stale is named without asking anybody."""

import json
import subprocess
import sys
from datetime import date, timedelta
from importlib.metadata import requires
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

from telehealth.commands.doctor_components import components
from telehealth.commands.findings import Finding
from telehealth.components.locks import Component, locked_on, normal, npm_pinned, pinned
from telehealth.components.sbom import bill, shipped
from telehealth.components.stale import MOST_DAYS, SOON_DAYS, installed, others

ROOT: Final = Path(__file__).parents[3]
TODAY: Final = date(2031, 5, 6)
_TEXT: Final = {"type": "string", "minLength": 1}
_LIBRARY: Final = {
    "type": "object",
    "additionalProperties": False,
    "required": ["type", "bom-ref", "name", "version", "purl", "scope", "hashes"],
    "properties": {
        "type": {"const": "library"},
        "bom-ref": _TEXT,
        "name": _TEXT,
        "version": _TEXT,
        "purl": {"pattern": r"^pkg:(pypi|npm)/[A-Za-z0-9.%/_-]+@[A-Za-z0-9.+_-]+$"},
        "scope": {"enum": ["required", "optional"]},
        "hashes": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {
                "oneOf": [
                    {"properties": {"alg": {"const": "SHA-256"}, "content": {"pattern": "^[0-9a-f]{64}$"}}},
                    {"properties": {"alg": {"const": "SHA-512"}, "content": {"pattern": "^[0-9a-f]{128}$"}}},
                ],
                "required": ["alg", "content"],
                "type": "object",
            },
        },
        "licenses": {"type": "array", "items": {"type": "object", "required": ["expression"]}},
        "properties": {"type": "array", "items": {"type": "object", "required": ["name", "value"]}},
    },
}
SHAPE: Final = {  # of CycloneDX 1.6, what we write of it
    "type": "object",
    "additionalProperties": False,
    "required": ["bomFormat", "specVersion", "serialNumber", "version", "metadata", "components", "dependencies"],
    "properties": {
        "bomFormat": {"const": "CycloneDX"},
        "specVersion": {"const": "1.6"},
        "serialNumber": {"pattern": "^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
        "version": {"type": "integer", "minimum": 1},
        "metadata": {"type": "object", "required": ["component", "lifecycles"]},
        "components": {"type": "array", "minItems": 1, "uniqueItems": True, "items": _LIBRARY},
        "dependencies": {"type": "array", "items": {"type": "object", "required": ["ref", "dependsOn"]}},
    },
}


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """As `make sbom` writes it."""
    run = subprocess.run([sys.executable, "-m", "telehealth.components"], cwd=ROOT, capture_output=True, check=True)
    document: dict[str, Any] = json.loads(run.stdout)
    return document


def test_the_bill_of_materials_has_the_shape_of_cyclonedx(told: dict[str, Any]) -> None:
    jsonschema.validate(told, SHAPE)
    refs = [one["bom-ref"] for one in told["components"]]
    assert len(set(refs)) == len(refs)
    ours = told["metadata"]["component"]["bom-ref"]
    assert told["dependencies"] == [{"ref": ours, "dependsOn": refs}]


def test_a_bill_of_another_shape_would_be_seen(told: dict[str, Any]) -> None:
    for broken in (
        {**told, "specVersion": "9"},
        {**told, "components": [{**told["components"][0], "hashes": []}]},
        {**told, "components": [{**told["components"][0], "purl": "aiohttp"}]},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, SHAPE)


def test_nothing_that_is_shipped_is_missing_from_it(told: dict[str, Any]) -> None:
    listed = {one["name"]: one["version"] for one in told["components"]}
    direct = [text for text in requires("telehealth") or () if "extra ==" not in text]
    for text in direct:
        assert normal(text.partition(">")[0].partition("=")[0].strip()) in listed, text
    assert {"socket.io-client", "engine.io-client", "aiobotocore", "psycopg", "python-pkcs11"} <= set(listed)
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert sum("==" in line for line in lines) == len(pinned(ROOT / "requirements.lock"))
    assert not {"pytest", "mypy", "typescript", "moto"} & set(listed)


def test_the_same_locks_give_the_same_bill_and_others_another() -> None:
    found = shipped(ROOT)
    assert bill(found, "1") == bill(found, "1")
    assert bill(found, "1")["serialNumber"] != bill(found[1:], "1")["serialNumber"]


def test_what_is_installed_here_is_what_was_pinned() -> None:
    pins = (*pinned(ROOT / "requirements.lock"), *pinned(ROOT / "requirements-dev.lock"))
    assert others(pins, installed()) == ()
    assert locked_on(ROOT / "requirements.lock") is not None


def test_a_pin_without_a_hash_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("aiohttp==3.14.5\n")
    with pytest.raises(ValueError, match="aiohttp"):
        pinned(lock)


def test_what_is_for_development_alone_is_not_shipped(tmp_path: Path) -> None:
    lock = tmp_path / "package-lock.json"
    one = {"version": "1.0.0", "integrity": "sha512-" + "A" * 86 + "=="}
    packages = {"": {}, "node_modules/@a/b": one, "node_modules/c": {**one, "dev": True}}
    lock.write_text(json.dumps({"packages": packages}))
    assert npm_pinned(lock) == (Component("npm", "@a/b", "1.0.0", (("SHA-512", "0" * 128),)),)
    assert npm_pinned(lock)[0].purl == "pkg:npm/%40a/b@1.0.0"


def look(folder: Path, days: int, present: dict[str, str], dated: bool = True) -> dict[str, Finding]:
    since = TODAY - timedelta(days=days)
    pin = f"ours==1.0 ; python_version >= '3' \\\n    --hash=sha256:{'ab' * 32}\n"
    (folder / "requirements.lock").write_text((f"# locked {since}\n" if dated else "") + pin)
    return {one.what: one for one in components(folder, TODAY, present)}


def test_a_package_that_differs_from_its_pin_is_named(tmp_path: Path) -> None:
    found = look(tmp_path, 1, {"ours": "0.9", "theirs": "7"})["components"]
    assert (found.state, found.code) == ("wrong", "components_differ")
    assert "ours 0.9 (pinned: 1.0)" in found.text
    assert "theirs" not in found.text
    assert look(tmp_path, 1, {"ours": "1.0"})["components"].state == "well"


@pytest.mark.parametrize(
    ("days", "state"), [(0, "well"), (SOON_DAYS, "well"), (SOON_DAYS + 1, "note"), (MOST_DAYS + 1, "wrong")]
)
def test_versions_older_than_the_terms_are_stale(tmp_path: Path, days: int, state: str) -> None:
    found = look(tmp_path, days, {})["components.age"]
    assert found.state == state
    assert (found.code == "components_stale") is (state == "wrong")


def test_a_lock_without_a_day_or_no_lock_at_all_is_told(tmp_path: Path) -> None:
    assert look(tmp_path, 0, {}, dated=False)["components.age"].code == "components_undated"
    (tmp_path / "requirements.lock").unlink()
    assert [one.state for one in components(tmp_path, TODAY, {})] == ["note"]
