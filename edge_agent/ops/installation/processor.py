"""Whether this machine's processor can run the libraries that the program brings."""

from __future__ import annotations

from typing import Final

NEEDED: Final = (
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "bmi1",
    "bmi2",
    "movbe",
    "pclmulqdq",
    "popcnt",
    "abm",
)
"""What Polars' usual build for x86-64 is compiled for (Haswell and later), by Linux' names."""


def missing_features(machine: str, cpuinfo: str) -> tuple[str, ...]:
    """Needed features that the processor lacks; other machines need none.

    Args:
        machine: As `uname -m` says.
        cpuinfo: Text of /proc/cpuinfo.
    """
    if machine != "x86_64":
        return ()
    lines = (line.partition(":")[2] for line in cpuinfo.splitlines() if line.startswith("flags"))
    present = set(next(lines, "").split())
    return tuple(name for name in NEEDED if name not in present)
