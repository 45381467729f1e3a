"""What is not asked of a broker that refuses a last will, or hangs up without a reason. Pure.

A Mosquitto without retained messages, or with QoS 0 alone, hangs up under MQTT 3.1.1 on a last will
that needs them, and later on each such message. Rules (tests name the numbers):

1. A reason code (MQTT 5) says what is too much: it is not asked for any more.
2. Where the broker was reached and hung up on CONNECT `ENDS` times in a row without a reason, the
   next attempts ask for less, one step of `STEPS` after the other, and then for all again.
3. An accepted step proves nothing: the broker may have just started. That connection is given up,
   and all is asked for once more. Where the broker hangs up on that, the step is right.
4. Each later connection asks for all at first, and after one such end for the step that was right.
"""

from __future__ import annotations

from typing import Final

from edge_agent.mqtt.reason_codes import NO_QOS_1, NO_RETAIN

ENDS: Final = 2
STEPS: Final = (
    frozenset[int](),
    frozenset({NO_RETAIN}),
    frozenset({NO_QOS_1}),
    frozenset({NO_RETAIN, NO_QOS_1}),
)


class Lessening:
    """State over all attempts to connect to one broker."""

    def __init__(self) -> None:
        self._codes: frozenset[int] = frozenset()
        self._asked_less = self._unproven = False
        self._ends = 0
        self._step = 0
        self._found = 0

    @property
    def without(self) -> frozenset[int]:
        """Codes of what the next attempt is not to ask for."""
        return self._codes | STEPS[self._step]

    @property
    def guessed(self) -> bool:
        """Whether the broker gave no reason for what is not asked for."""
        return self._step > 0

    def accepted(self, *, retains: bool, acknowledges: bool) -> bool:
        """The broker accepts; whether the connection is to be used (rule 3)."""
        self._asked_less, self._ends = False, 0
        if self._step not in {0, self._found}:
            self._found, self._step, self._unproven = self._step, 0, True
            return False
        if self._step == 0:
            self._found = 0
            missing = {NO_RETAIN: retains, NO_QOS_1: acknowledges}
            self._codes = frozenset(code for code, takes in missing.items() if not takes)
        return True

    def hung_up(self) -> bool:
        """The broker hung up on CONNECT without a reason; whether to try again at once."""
        if self._step == 0:
            self._ends += 1
            if not self._found and self._ends < ENDS:
                return False
            self._step = self._found or 1
            return True
        self._found = 0
        self._ends = 0
        self._step = (self._step + 1) % len(STEPS)
        return self._step > 0

    def ended(self, code: int | None, *, was_up: bool) -> bool:
        """An attempt or a connection ended otherwise; whether to try again at once."""
        self._ends = self._step = 0
        unproven, self._unproven = self._unproven, False
        less = not was_up and code in {NO_RETAIN, NO_QOS_1} and not self._asked_less
        if code is not None and not was_up:
            self._codes |= {code} & {NO_RETAIN, NO_QOS_1}
        self._asked_less = less
        return less or unproven
