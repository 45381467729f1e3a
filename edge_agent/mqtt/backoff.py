"""How long to pause before the next attempt to connect, and what a person can do. Pure.

Pauses have full jitter, and their upper end doubles from the first to the longest one. They start
over only after a connection that stood for a minute: a broker that accepts connections and breaks
them is not flooded. The longest one is short enough for an alert that was raised while the broker
was away to be heard within half a minute of its return. A fleet is spread by the first pause, which
is never cut: when N devices share a broker, about N / first pause come back a second. Refused
logins pause for up to a minute, a taken-over session and an exceeded quota for longer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_agent.system.jitter import backoff, jitter

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 15.0
LOGIN_PAUSE_S: Final = 60.0
STABLE_S: Final = 60.0

_SESSION_TAKEN_OVER: Final = 0x8E
_QUOTA: Final = 0x97
_LOGIN: Final = {0x85, 0x86, 0x87, 0x8A, 0x8C}
_SLOW: Final = {_SESSION_TAKEN_OVER, _QUOTA}
_DUPLICATE: Final = "another client uses the same mqtt.client_id"
_HINTS: Final = {
    0x85: "check mqtt.client_id",
    0x86: "check mqtt.username and mqtt.password_file",
    0x87: "check mqtt.username, mqtt.password_file and the broker's access list",
    _SESSION_TAKEN_OVER: _DUPLICATE,
}


def hint(code: int | None) -> str:
    """What a person can do about an MQTT 5 reason code; empty where nothing is known."""
    return _HINTS.get(code or 0, "")


class Backoff:
    """Pauses of one delivery.

    Args:
        random: Uniform numbers in [0, 1).
        first_s: Upper end of the first pause.
        longest_s: Upper end of the pauses; at least `first_s` is taken.
    """

    def __init__(
        self,
        random: Callable[[], float],
        first_s: float = FIRST_PAUSE_S,
        longest_s: float = LONGEST_PAUSE_S,
    ) -> None:
        self._random = random
        self._first_s = first_s
        self._longest_s = max(first_s, longest_s)
        self._failures = 0

    def broken(self, stood_s: float) -> None:
        """A connection has ended after so many seconds."""
        if stood_s >= STABLE_S:
            self._failures = 0

    def shortest(self) -> float:
        """Seconds to wait after a connection whose end was provoked."""
        return jitter(0.0, self._first_s, self._random)

    def pause(self, code: int | None) -> float:
        """Seconds to wait after an attempt or a connection that ended with this reason code."""
        longest_s = backoff(self._failures, self._first_s, self._longest_s)
        self._failures += 1
        if code in _LOGIN:
            return jitter(longest_s, max(longest_s, LOGIN_PAUSE_S), self._random)
        if code in _SLOW:
            slowest_s = max(self._longest_s, STABLE_S)
            return jitter(slowest_s, 2 * slowest_s, self._random)
        return jitter(0.0, longest_s, self._random)
