"""Numbers as messages carry them and as people read them: one rounding everywhere. Pure.

A zero has no sign in any of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np

LEAST_CHANCE: Final = 0.01
"""No forecast is certain: a chance is shown from this up to 1 less this."""


def rounded(value: float | None, digits: int = 2) -> float | None:
    """A number rounded for messages; None where it is unknown or not finite."""
    return None if value is None or not math.isfinite(value) else round(float(value), digits) + 0.0


def all_rounded(values: np.ndarray) -> list[float | None]:
    """Each of float64 (N,) as `rounded` gives it."""
    return [round(value, 2) + 0.0 if math.isfinite(value) else None for value in values.tolist()]


def fixed(value: float, digits: int) -> str:
    """A number with as many digits after the point."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def signed(value: float, digits: int) -> str:
    """The same with a sign, `+` as well; a zero has none."""
    text = fixed(value, digits)
    return text if text.startswith("-") or not text.strip("0.") else f"+{text}"


def plain(value: float) -> str:
    """A number of the configuration: as it was written, without digits that say nothing."""
    return f"{value + 0.0:.10g}"


def shown_chance(chance: float | None) -> float | None:
    """A chance as messages carry it: two digits, from 0.01 to 0.99; None where it is unknown."""
    near = rounded(chance)
    return None if near is None else min(max(near, LEAST_CHANCE), 1.0 - LEAST_CHANCE)


def percent(chance: float | None) -> str:
    """`shown_chance` as people read it, such as `62%`; `-` where it is unknown."""
    shown = shown_chance(chance)
    return "-" if shown is None else f"{100 * shown:.0f}%"
