"""Prints what the parts of Home Assistant need that it starts by default, and MQTT.

Home Assistant brings these when it first starts; here they are installed before.
"""

import json
import sys
from importlib import import_module
from pathlib import Path


def requirements(components: Path, wanted: set[str]) -> set[str]:
    """Requirements of integrations and of all that they depend on."""
    done: set[str] = set()
    needed: set[str] = set()
    while wanted:
        name = wanted.pop()
        done.add(name)
        manifest = json.loads((components / name / "manifest.json").read_bytes())
        needed |= set(manifest.get("requirements", ()))
        wanted |= set(manifest.get("dependencies", ())) - done
    return needed


if __name__ == "__main__":
    bootstrap = import_module("homeassistant.bootstrap")
    parts = {"homeassistant", "mqtt", *bootstrap.CORE_INTEGRATIONS, *bootstrap.DEFAULT_INTEGRATIONS}
    folder = Path(str(import_module("homeassistant").__file__)).parent / "components"
    sys.stdout.write("\n".join(sorted(requirements(folder, parts))))
