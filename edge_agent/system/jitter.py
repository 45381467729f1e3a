"""Random pauses, so that many devices do not ask one server at the same moment. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_DOUBLINGS: Final = 16


def jitter(low_s: float, high_s: float, random: Callable[[], float]) -> float:
    """Pause in seconds, uniform between `low_s` and `high_s`.

    With `low_s` 0 this is full jitter, with half of `high_s` it is equal jitter (M. Brooker,
    "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).

    Args:
        low_s: Lower end.
        high_s: Upper end.
        random: Uniform numbers in [0, 1).
    """
    return low_s + (high_s - low_s) * random()


def backoff(failures: int, first_s: float, longest_s: float) -> float:
    """Upper end of the pause after so many earlier failures: it doubles from `first_s`."""
    return min(longest_s, first_s * 2.0 ** min(failures, _MOST_DOUBLINGS))
