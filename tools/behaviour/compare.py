"""Differences of two recordings as unified diffs, long lines of JSON cut at their commas."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_COMMAND: Final = re.compile(r"^\$ ", re.MULTILINE)


def differences(old: Path, new: Path) -> tuple[list[str], str]:
    """Lines of the diffs, and one line with counts."""
    names = sorted(_files(old) | _files(new))
    lines: list[str] = []
    for name in names:
        before, after = (_read(root / name) for root in (old, new))
        if before != after:
            lines.extend(
                difflib.unified_diff(before, after, f"old/{name}", f"new/{name}", lineterm="")
            )
    messages = sum(
        line.startswith("{")
        for path in new.rglob("mqtt.jsonl")
        for line in path.read_text("utf-8").splitlines()
    )
    answers = len(list(new.glob("web/*")))
    commands = sum(len(_COMMAND.findall(path.read_text("utf-8"))) for path in new.rglob("*.txt"))
    told = "differ" if lines else "are the same"
    summary = (
        f"recordings {told}: {len(names)} files, {messages} messages, "
        f"{answers} web answers, {commands} commands"
    )
    return lines, summary


def _files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def _read(path: Path) -> list[str]:
    if not path.exists():
        return ["<no such file>"]
    text = path.read_text("utf-8")
    return [
        part
        for line in text.splitlines()
        for part in (line.replace(', "', ',\n"').split("\n") if len(line) > 200 else [line])
    ]
