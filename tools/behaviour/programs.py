"""Runs the two console programs under a clock that stands still, and notes what they said.

`still_clock.c` is compiled once for a recording and loaded before everything else in each process:
the wall clock shows one second for as long as the process lives, a monotonic clock goes on.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE: Final = Path(__file__).parent
TIMEOUT_S: Final = 1800.0
_SECONDS: Final = re.compile(r"\(\d+\.\d s\)|\b\d+\.\d s in all")
_FREE: Final = re.compile(r'("disk_free_bytes": ?)\d+')
# A message's id ends in a digest of its payload, which for this one holds the free bytes.
_HEALTH: Final = re.compile(r"(health/\d{8}T\d{6}Z-)[0-9a-f]{12}")
_MEGABYTES: Final = re.compile(r"\b[\d,]+ MB free\b")


@dataclass(frozen=True, slots=True)
class Call:
    """A command that has ended.

    Attributes:
        words: Program and arguments.
        code: Exit code.
        out: Standard output as text.
        err: Standard error as text.
    """

    words: tuple[str, ...]
    code: int
    out: str
    err: str


@dataclass(slots=True)
class Programs:
    """Console programs beside this interpreter.

    Args:
        root: Scratch folder of the recording; stands as <ROOT> in every text.
        library: `still_clock.c` as a shared library.
        stand_ins: Text that differs between recordings -> what is written instead.
    """

    root: Path
    library: Path
    stand_ins: dict[str, str] = field(default_factory=dict)

    @classmethod
    def below(cls, root: Path) -> Programs:
        """Programs with a new library in `root`; needs `cc`."""
        library = root / "still_clock.so"
        source = str(HERE / "still_clock.c")
        words = [shutil.which("cc") or "cc", "-shared", "-fPIC", "-O1", "-o", str(library), source]
        subprocess.run(words, check=True)  # noqa: S603 - the compiler, on a file of this folder
        return cls(root, library)

    def environment(self, at: datetime, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """What a process is given: nothing of this one but the search path."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "COLUMNS": "100",
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "LD_PRELOAD": str(self.library),
            "STILL_CLOCK": str(int(at.replace(tzinfo=at.tzinfo or UTC).timestamp())),
            **(more or {}),
        }

    def call(
        self,
        program: str,
        *arguments: str,
        at: datetime,
        cwd: Path,
        env: Mapping[str, str] | None = None,
    ) -> Call:
        """Run a command to its end."""
        done = subprocess.run(  # noqa: S603 - the project's own programs
            [executable(program), *arguments],
            cwd=cwd,
            env=self.environment(at, env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return Call((program, *arguments), done.returncode, done.stdout, done.stderr)

    def plain(self, text: str) -> str:
        """Text without what differs between two recordings of one code."""
        for old in sorted(self.stand_ins, key=len, reverse=True):
            text = text.replace(old, self.stand_ins[old])
        text = text.replace(str(self.root), "<ROOT>").replace(str(HERE.parents[1]), "<REPOSITORY>")
        text = _SECONDS.sub("<SECONDS>", text)
        text = _HEALTH.sub(r"\1<DIGEST>", _FREE.sub(r"\g<1>0", text))
        return _MEGABYTES.sub("<BYTES> MB free", text)

    def told(self, call: Call) -> str:
        """A call as text: command line, exit code, both outputs."""
        return self.plain(
            f"$ {' '.join(call.words)}\nexit {call.code}\n"
            f"--- stdout\n{call.out}--- stderr\n{call.err}\n"
        )


def executable(program: str) -> str:
    """Path of a console program beside this interpreter."""
    return str(Path(sys.executable).with_name(program))
