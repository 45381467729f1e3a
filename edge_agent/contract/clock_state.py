"""How far the device's clock can be trusted, as messages and records name it."""

from __future__ import annotations

from typing import Literal

ClockState = Literal["trusted", "holdover", "untrusted"]
"""`trusted`: a time service confirms it; `holdover`: possible, but no service confirms it now;
`untrusted`: it cannot be right."""
