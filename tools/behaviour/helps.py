"""`--help` of each command, found by walking the lists of commands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tools.behaviour.central import TRAINED_AT

if TYPE_CHECKING:
    from tools.behaviour.folder import Folder
    from tools.behaviour.programs import Programs

_COMMAND: Final = re.compile(r"^  ([a-z][a-z0-9-]*)(?:  |$)", re.MULTILINE)


def record(programs: Programs, out: Folder) -> None:
    """Write them, a file for each command."""
    for program in ("edge-agent", "trainer"):
        _walk(programs, out, (program,))


def _walk(programs: Programs, out: Folder, words: tuple[str, ...]) -> None:
    call = programs.call(*words, "--help", at=TRAINED_AT, cwd=programs.root)
    out.text(f"help/{' '.join(words)}.txt", programs.told(call))
    _, _, listed = call.out.partition("\nCommands:\n")
    for name in _COMMAND.findall(listed):
        _walk(programs, out, (*words, name))
