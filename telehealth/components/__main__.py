"""`python -m telehealth.components`: the bill of materials on standard output, as `make sbom` asks for it."""

import json
import sys
from importlib.metadata import version
from pathlib import Path

from telehealth.components.sbom import bill, shipped

if __name__ == "__main__":
    root = Path(__file__).resolve().parents[2]
    json.dump(bill(shipped(root), version("telehealth")), sys.stdout, indent=1)
    sys.stdout.write("\n")
