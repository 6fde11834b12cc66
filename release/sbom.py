"""`python3 release/sbom.py FILE`: completes the bill of materials that cyclonedx-py wrote of requirements/run.txt.

A list of requirements tells neither this program's version nor that the program is what needs them.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def completed(bill: dict[str, Any], version: str) -> dict[str, Any]:
    """The bill with the root's version, and all components as what the root depends on."""
    root = bill["metadata"]["component"] | {"version": version}
    needs = {"ref": root["bom-ref"], "dependsOn": sorted(each["bom-ref"] for each in bill["components"])}
    others = [each for each in bill["dependencies"] if each["ref"] != root["bom-ref"]]
    return bill | {"metadata": bill["metadata"] | {"component": root}, "dependencies": [needs, *others]}


if __name__ == "__main__":
    place = Path(sys.argv[1])
    (said,) = re.findall(r'^__version__ = "(.+)"$', (ROOT / "vnicheck" / "__init__.py").read_text(), re.MULTILINE)
    place.write_text(json.dumps(completed(json.loads(place.read_text()), said), indent=2) + "\n")
