"""Running totals, such as a rain gauge's -> what was added. Pure.

N1  A fall of less than a tenth, or within the quantity's noise, is neither a reset nor an amount:
    the highest total before it stays. So does Home Assistant for `total_increasing`. A larger fall,
    or one to zero, is a reset: the new total was added since.
N2  A total that rises faster than the largest hour allows is no amount. What may be added is
    bounded by the time since the reading before, of a minute at least.
N3  A reset or a rise of N2 needs the next reading to bear it out, once that is there: where it is
    nearer to the total before, the reading between is left out.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.contract.quantity import Quantity

Total = tuple[datetime, float]
"""When a total was read, and the total."""

FALL_SHARE: Final = 0.1
_HOUR: Final = timedelta(hours=1)
_SHORTEST: Final = timedelta(minutes=1)


def increments(row: Quantity, totals: Sequence[Total]) -> list[float]:
    """What was added up to each reading, in the quantity's unit; 0 with the first.

    Args:
        row: The counter's quantity.
        totals: Readings, oldest first.
    """
    if not totals:
        return []
    base, added = totals[0], [0.0]
    for reading, following in zip(totals[1:], [*totals[2:], None], strict=False):
        amount = _amount(row, base, reading)
        unsure = too_fast(row, base, reading) or _reset(row, base[1], reading[1])
        if unsure and following is not None and _nearer(base, reading, following):
            amount = 0.0
        else:
            lower = reading[1] < base[1] and not unsure
            base = (reading[0], base[1]) if lower else reading
        added.append(amount)
    return added


def too_fast(row: Quantity, before: Total, reading: Total) -> bool:
    """Whether more was added between two readings than can be (N2)."""
    hours = max(reading[0] - before[0], _SHORTEST) / _HOUR
    return rise(row, before[1], reading[1]) > row.high * hours + row.noise


def _amount(row: Quantity, before: Total, reading: Total) -> float:
    return 0.0 if too_fast(row, before, reading) else rise(row, before[1], reading[1])


def rise(row: Quantity, before: float, total: float) -> float:
    """What was added between two totals, however fast (N1)."""
    return total if _reset(row, before, total) else max(total - before, 0.0)


def _reset(row: Quantity, before: float, total: float) -> bool:
    fall = before - total
    return fall > 0.0 and (total == 0.0 or fall > max(FALL_SHARE * before, row.noise))


def _nearer(base: Total, reading: Total, following: Total) -> bool:
    """Whether the reading after is nearer to the total before than to the reading between."""
    return abs(following[1] - base[1]) <= abs(following[1] - reading[1])
