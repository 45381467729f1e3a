"""What people are told of topics that the broker refuses: one text a cause, and what to do."""

from __future__ import annotations

import logging
import math
import re
from typing import TYPE_CHECKING, Final

from edge_agent.mqtt.outbox_refusals import RefusedTopic

if TYPE_CHECKING:
    from collections.abc import Iterable

_log = logging.getLogger(__name__)

TRIED: Final = "the agent tries again by itself, cmd/republish at once"
LOG_S: Final = 2.0
"""Refusals within this time are logged together."""
_NAMED: Final = 3
_RIGHTS: Final = "let this client write there (the broker's access list)"
_LENGTH: Final = "raise the broker's limit of length"
_ADVICE: Final = (
    ("Not authorized", _RIGHTS),
    ("it ends the connection", "check the broker's access list and its limit of length"),
    ("Packet too large", _LENGTH),
    ("longer than the broker takes", _LENGTH),
    ("the broker drops it", _LENGTH),
)


def by_cause(refusals: Iterable[RefusedTopic]) -> tuple[str, ...]:
    """Texts for people; causes that differ in a number alone are one.

    Args:
        refusals: Topics with the broker's reason.
    """
    groups: dict[str, list[RefusedTopic]] = {}
    for refusal in refusals:
        groups.setdefault(re.sub(r"\d+", "0", refusal.reason), []).append(refusal)
    return tuple(map(_text, groups.values()))


def _text(group: list[RefusedTopic]) -> str:
    reason = group[0].reason
    advice = next((advice for part, advice in _ADVICE if part in reason), "")
    parts = filter(None, (f"broker refuses {_topics(group)}: {reason}", advice, TRIED))
    return "; ".join(parts)


def _topics(group: list[RefusedTopic]) -> str:
    names = [refusal.topic for refusal in group]
    if len(names) == 1:
        return names[0]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    alike = len({refusal.reason for refusal in group}) == 1
    example = "" if alike else ", the first one"
    return f"{len(names)} topics ({', '.join(names[:_NAMED])}{more}){example}"


class RefusalLog:
    """Logs refusals that come together as one line a cause. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._new: dict[str, RefusedTopic] = {}
        self._at = math.inf

    def add(self, topic: str, reason: str, moment: float) -> None:
        """The broker refuses a topic."""
        self._at = min(self._at, moment + LOG_S)
        self._new[topic] = RefusedTopic(topic, reason)

    def write(self, moment: float) -> None:
        """Log what is due."""
        if moment < self._at:
            return
        for text in by_cause(self._new.values()):
            _log.warning("mqtt: %s", text)
        self._new.clear()
        self._at = math.inf

    def due_in(self, moment: float) -> float:
        """Seconds until `write` has something to do; infinite without."""
        return max(self._at - moment, 0.0)
