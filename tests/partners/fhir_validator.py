"""Two readers of FHIR R4 that are not ours: npm `fhir` (codes, cardinality) and `fhir.resources` (shapes)."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fhir.resources.R4B import get_fhir_model_class

SCRIPT = Path(__file__).with_name("fhir_validator.cjs")


def faults(resources: Sequence[dict[str, Any]]) -> list[str]:
    """What either of them finds wrong, with the resource's type and id."""
    done = subprocess.run(
        ["node", str(SCRIPT)], input=json.dumps(resources), capture_output=True, text=True, check=True
    )
    told: list[list[str]] = json.loads(done.stdout)
    assert len(told) == len(resources)
    found = [
        f"{resource['resourceType']}/{resource.get('id')}: {text}"
        for resource, texts in zip(resources, told, strict=True)
        for text in texts
    ]
    for resource in resources:
        try:
            get_fhir_model_class(resource["resourceType"]).model_validate(resource)
        except ValueError as error:
            found.append(f"{resource['resourceType']}/{resource.get('id')}: {error}")
    return found
