"""Print the part of the lock file that the agent's binary is built from.

That is the base dependencies of pyproject.toml, what they need in turn as installed here, and
PyInstaller; pins and hashes are those of the one lock file.

Example: python tools/base_lock.py requirements.lock > build/base.lock
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
BUILDER = "pyinstaller"


def closure(wanted: list[str]) -> set[str]:
    """Canonical names of the requirements and of everything they need on this platform."""
    found: set[str] = set()
    queue = [Requirement(text) for text in wanted]
    while queue:
        one = queue.pop()
        extras = one.extras or {""}
        name = canonicalize_name(one.name)
        key = f"{name}[{','.join(sorted(extras))}]"
        if key in found:
            continue
        found |= {name, key}
        try:
            needed = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError:
            continue
        queue += [
            need
            for need in needed
            if need.marker is None or any(need.marker.evaluate({"extra": e}) for e in extras)
        ]
    return found


def main() -> None:
    """Filter the lock file given as the first argument."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = closure([*project["dependencies"], BUILDER])
    blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", Path(sys.argv[1]).read_text("utf-8"))
    kept = [
        b for b in blocks[1:] if canonicalize_name(re.split(r"[=\[ ]", b, maxsplit=1)[0]) in names
    ]
    sys.stdout.write("".join(kept))


if __name__ == "__main__":
    main()
