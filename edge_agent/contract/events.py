"""Whether an event happened: a value meets a limit for some hours in a row. Pure.

E1  An hour without a value neither meets a limit nor counts as not meeting it.
E2  The event of a window is a run of `for_h` hours in a row that all meet the limit. A missing
    hour ends a run.
E3  A window with such a run has the event, whatever else is missing in it. Without a run it has no
    event if every hour is known; otherwise nobody knows.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    import numpy.typing as npt

    from edge_agent.contract.forecast import Operator

_COMPARE: Final[Mapping[Operator, np.ufunc]] = {
    ">=": np.greater_equal,
    ">": np.greater,
    "<=": np.less_equal,
    "<": np.less,
}
_HOUR: Final = timedelta(hours=1)


def meets(values: npt.ArrayLike, sign: Operator, threshold: float) -> np.ndarray:
    """Whether each value meets `sign threshold`: booleans of the same shape, false for NaN."""
    return np.asarray(_COMPARE[sign](np.asarray(values, np.float64), threshold))


def hours_met(values: np.ndarray, sign: Operator, threshold: float) -> list[bool | None]:
    """Whether each hour of float64 (N,) meets `sign threshold`; None where it is NaN (E1)."""
    met = meets(values, sign, threshold).tolist()
    known = np.isfinite(values).tolist()
    return [yes if there else None for yes, there in zip(met, known, strict=True)]


def happened(met: Iterable[bool | None], for_h: int) -> bool | None:
    """Whether a window has the event (E2, E3); None = not known.

    Args:
        met: Hour by hour, without gaps, whether the limit is met; None = missing.
        for_h: Hours in a row that make the event.
    """
    run, missing = 0, False
    for hour in met:
        run = run + 1 if hour else 0
        if run >= for_h:
            return True
        missing = missing or hour is None
    return None if missing else False


def runs(times: Sequence[datetime], known: np.ndarray, for_h: int) -> Iterator[slice]:
    """Every `for_h` hours in a row without a missing one, as slices, oldest first.

    Args:
        times: Ascending, shape (N,); a gap between two of them ends a run.
        known: Booleans, shape (N,).
        for_h: Hours of a run.
    """
    for start in range(len(times) - for_h + 1):
        run = slice(start, start + for_h)
        if times[run.stop - 1] - times[start] == (for_h - 1) * _HOUR and known[run].all():
            yield run
