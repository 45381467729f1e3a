"""Runs the service's update as a child process: this program's `sync`, which ends with the service.

Verifying takes libraries (python-tuf, cryptography, httpx) that would stay in the service's memory
until its end, and reading bundles takes decoders that may abort. Both end with the child, which
stages and switches releases and stores hours as it does when a person calls it.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge_agent.contract.errors import TryLater, of_exit_code

if TYPE_CHECKING:
    from collections.abc import Sequence

_log = logging.getLogger(__name__)

LIMIT_S: Final = 10_800.0
"""Longest run of the child. A source has limits of its own, within which it takes an hour."""
NICENESS: Final = 10
_PR_SET_PDEATHSIG: Final = 1
_FIRST_TO_GO: Final = "500"
"""When memory runs out, this process is killed and not the service."""
_MOST_MEMORY: Final = 1_000_000_000
"""Bytes. An update takes a fifth of it; what a release makes of more is no forecast."""
_ERROR_PREFIX: Final = "\nedge-agent: "


def update(
    config: Path | None,
    state: Path,
    *,
    program: Sequence[str] | None = None,
    limit_s: float = LIMIT_S,
) -> str:
    """Pull from the configured depot in a child process, and wait for its end.

    Args:
        config: The configuration file, found as `locations` says where None.
        state: The service's state folder.
        program: This program by default.
        limit_s: The child is killed after so many seconds.

    Returns:
        What is new, one line for people.

    Raises:
        FarmError: The child's, of the class that its exit code names: `NothingNew`, `Refused`...
        TryLater: Besides the child's own: it was ended by a signal or by the limit.
    """
    arguments = [*(program or _own_program()), "sync", "--for-service", str(state)]
    if config is not None:
        arguments += ["--config", str(config)]
    try:
        done = subprocess.run(  # noqa: S603 - this very program
            arguments,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired as fault:
        raise TryLater(f"took more than {limit_s:.0f} s: ended, it is tried again") from fault
    except OSError as fault:
        raise TryLater(f"cannot be started: {fault.strerror}: check memory and disk") from fault
    if done.returncode > 0:
        lines, _, error = f"\n{done.stderr}".rpartition(_ERROR_PREFIX)
        _log_lines(lines)
        raise of_exit_code(done.returncode, " ".join(error.split()))
    _log_lines(done.stderr)
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise TryLater(f"was ended by {name}: it is tried again")
    return done.stdout.strip()


def work_for_the_service() -> None:
    """Let this process end with its parent, at low priority and within a limit of memory."""
    # The setting lasts, since no account is changed after it and the starting thread waits for us.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # A limit that is lower already stays.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY, _MOST_MEMORY))
    with suppress(OSError):  # The service's sandbox allows none but its own niceness.
        os.nice(NICENESS)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, "ascii")


def _own_program() -> tuple[str, ...]:
    if getattr(sys, "frozen", False):
        return (sys.executable,)
    return (sys.executable, "-m", "edge_agent")


def _log_lines(lines: str) -> None:
    for line in filter(None, map(str.strip, lines.splitlines())):
        _log.warning("update: %s", line)
