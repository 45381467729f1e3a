"""How far the device's clock can be trusted, as messages and records say it."""

from __future__ import annotations

from typing import Literal

ClockState = Literal["trusted", "holdover", "untrusted"]
"""`trusted`: set by a time service; `holdover`: kept since then; `untrusted`: nobody vouches."""
