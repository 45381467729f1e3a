"""What stands in files: defaults, JSON Schemas, exit codes by class."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tools.behaviour.programs import HERE

if TYPE_CHECKING:
    from tools.behaviour.folder import Folder

REPOSITORY: Final = HERE.parents[1]
_CODE: Final = re.compile(
    r"^class (\w+)\(.*?\n    exit_code(?::[^=\n]*)? = (\d+)$", re.MULTILINE | re.DOTALL
)


def record(out: Folder) -> None:
    """Copy them."""
    out.text("defaults/config.example.toml", _read("config.example.toml"))
    schemas = [*(REPOSITORY / "docs" / "mqtt").glob("*.json"), REPOSITORY / "docs/openapi.json"]
    for path in sorted(schemas):
        out.text(f"schemas/{path.name}", path.read_text("utf-8"))
    codes = {
        f"{code:>3} {name}"
        for package in ("edge_agent", "trainer")
        for path in sorted((REPOSITORY / package).rglob("*.py"))
        for block in re.split(r"\n\n\n", path.read_text("utf-8"))
        for name, code in _CODE.findall(block)
    }
    out.lines("exit codes.txt", sorted(codes))


def _read(name: str) -> str:
    return (REPOSITORY / name).read_text("utf-8")
