"""A limit of memory for a part of the work, by the kernel (RLIMIT_DATA)."""

from __future__ import annotations

import resource
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_agent.contract.errors import BadData

if TYPE_CHECKING:
    from collections.abc import Iterator

FOR_MODELS: Final = 500_000_000
"""Bytes in which models are loaded and golden windows replayed; they take a tenth of it."""
_STATUS: Final = Path("/proc/self/status")


@contextmanager
def limited_memory(more: int, what: str) -> Iterator[None]:
    """Let this process take no more than so many bytes beside those that it has.

    A lower limit of the process stays. Where the system does not say what the process has (other
    than Linux), nothing is limited.

    Args:
        more: Bytes.
        what: What is done, for the error.

    Raises:
        BadData: More was asked for.
    """
    before = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [taken + more for taken in _taken()]
    if before[0] != resource.RLIM_INFINITY:
        limits.append(before[0])
    if limits:
        resource.setrlimit(resource.RLIMIT_DATA, (min(limits), before[1]))
    try:
        yield
    except MemoryError as fault:
        raise BadData(f"{what}: takes more than {more / 1e6:.0f} MB of memory") from fault
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _taken() -> list[int]:
    """Bytes that count against the limit now; empty where they are not known."""
    try:
        lines = _STATUS.read_text("ascii").splitlines()
    except OSError:
        return []
    return [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:")]
