"""Whether an alert that stands is told again, since its evidence has changed. Pure.

U1  The chance rose by 0.2 or more since the last edge, or the first hour came three hours nearer or
    more. Of an event that is more than three hours away the opposite is news as well.
U2  Evidence without a chance is also news where its value is graver than at the last edge by a
    fifth of the threshold, and at least by ten units of the last digit that people read (1 m/s,
    1 mm, 1 °C, 10 %): near a threshold of 0 a fifth is nothing. Graver is lower for < and <=, else
    higher; of a direction neither is.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from edge_agent.contract.numbers import rounded
from edge_agent.contract.schema import QUANTITIES

if TYPE_CHECKING:
    from datetime import datetime

    from edge_agent.alerts.evidence import Evidence
    from edge_agent.settings import Rule

CHANCE_STEP: Final = 0.2
HOUR_STEP: Final = timedelta(hours=3)
VALUE_STEP: Final = 0.2
"""Of the threshold."""


def are_due(rule: Rule, told: Evidence, evidence: Evidence, now: datetime) -> bool:
    """Whether the evidence differs enough from that of the last edge (U1, U2).

    Args:
        rule: A forecast rule.
        told: Chance, first hour and value at the last edge; a value of None: unknown, as where an
            earlier agent sent it.
        evidence: Evidence now, which meets the rule.
        now: UTC.
    """
    return _moved(told, evidence, now) or _graver(rule, told, evidence)


def _moved(told: Evidence, evidence: Evidence, now: datetime) -> bool:
    if told.hour is None or (told.probability is None) != (evidence.probability is None):
        return True
    assert evidence.hour is not None
    # A forecast without a spread has no chance; its first hour may move all the same.
    rise = (evidence.probability or 0.0) - (told.probability or 0.0)
    later = evidence.hour - told.hour
    if rise >= CHANCE_STEP or later <= -HOUR_STEP:
        return True
    away = evidence.hour - now > HOUR_STEP
    return away and (rise <= -CHANCE_STEP or later >= HOUR_STEP)


def _graver(rule: Rule, told: Evidence, evidence: Evidence) -> bool:
    """Whether a value without a chance is so much graver than what people heard that it is news."""
    quantity = QUANTITIES[rule.quantity]
    if evidence.probability is not None or evidence.value is None or quantity.turn is not None:
        return False
    if told.value is None:
        # Nobody knows what people heard: rather once too often than never.
        return True
    change = evidence.value - told.value
    graver = rounded(-change if rule.operator in {"<", "<="} else change)
    least = rounded(max(VALUE_STEP * abs(rule.threshold), 10.0 ** (1 - quantity.digits)))
    return graver is not None and least is not None and graver >= least
