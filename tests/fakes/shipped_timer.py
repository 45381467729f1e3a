"""When the shipped timer starts the trainer's day: read from its unit file."""

from __future__ import annotations

import re
from datetime import time
from pathlib import Path
from typing import Final

UNIT: Final = Path(__file__).parents[2] / "deploy" / "systemd" / "trainer.timer"
_RUN: Final = re.compile(r"^OnCalendar=\*-\*-\* (\d\d:\d\d:\d\d) Asia/Seoul$", re.MULTILINE)
_DELAY: Final = re.compile(r"^RandomizedDelaySec=(\d+)min$", re.MULTILINE)


def runs() -> tuple[time, ...]:
    """Korean times of the day, ascending."""
    return tuple(sorted(map(time.fromisoformat, _RUN.findall(UNIT.read_text("utf-8")))))


def hours() -> tuple[float, ...]:
    """The same as hours since midnight."""
    return tuple(at.hour + at.minute / 60 for at in runs())


def delay_h() -> float:
    """Hours by which a run is put off at most."""
    (minutes,) = _DELAY.findall(UNIT.read_text("utf-8"))
    return int(minutes) / 60
