"""A subscription of many filters: sent in several packets, answered as one. No I/O of its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_T = TypeVar("_T")
FILTERS: Final = 8
"""Most filters of one SUBSCRIBE; AWS IoT Core hangs up on more."""


def packets(filters: list[_T]) -> list[list[_T]]:
    """Filters as they go into one packet each."""
    return [filters[start : start + FILTERS] for start in range(0, len(filters), FILTERS)]


class SubscribeAnswers:
    """Collects the SUBACKs of the request that was made last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unanswered: dict[int, int] = {}
        self._refused: list[int] = []

    def ask(self, filters: list[Any], subscribe: Callable[[Any], tuple[int, int | None]]) -> None:
        """Send a request; `subscribe` sends one packet and returns a code and its number."""
        # A SUBACK may come before `subscribe` returns.
        with self._lock:
            self._unanswered, self._refused = {}, []
            for place, part in enumerate(packets(filters)):
                _, number = subscribe(part)
                if number is not None:
                    self._unanswered[number] = place * FILTERS

    def answered(self, number: int, failed: Sequence[bool]) -> tuple[int, ...] | None:
        """Places of the refused filters, once all of the request is answered; else None."""
        with self._lock:
            start = self._unanswered.pop(number, None)
            if start is None:  # of filters that others have taken the place of
                return None
            self._refused += [place for place, bad in enumerate(failed, start) if bad]
            return None if self._unanswered else tuple(sorted(self._refused))
