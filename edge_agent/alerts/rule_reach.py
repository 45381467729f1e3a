"""Rules that no value can raise, or that every value raises. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.alerts.windows import CHANGES
from edge_agent.contract import events
from edge_agent.contract.quantity import HourMethod
from edge_agent.contract.schema import QUANTITIES

if TYPE_CHECKING:
    from edge_agent.contract.quantity import Limits
    from edge_agent.settings import Rule


def limits_of(rule: Rule) -> Limits:
    """Smallest and largest value that a rule can be compared with, in the quantity's unit."""
    quantity = QUANTITIES[rule.quantity]
    if not rule.now:
        low, high = quantity.bounds
        if rule.aggregate in CHANGES:
            return low - high, high - low
        hours = (rule.over_h or rule.within_h) if rule.aggregate == "sum" else 1
        return low * hours, high * hours
    if quantity.hourly is HourMethod.COUNTER:
        # Of an hour: the limits of its sensor are those of the running total.
        return quantity.low, quantity.high
    return quantity.limits(rule.role)


def fault_of(rule: Rule) -> str:
    """Why the alert of a rule can never begin, or never end; empty where it can do both."""
    low, high = limits_of(rule)
    largest, smallest = (high, low) if rule.operator in {">", ">="} else (low, high)
    values = f"values are {low:g} to {high:g} {QUANTITIES[rule.quantity].unit}"
    if not events.meets([largest], rule.operator, rule.threshold).all():
        return f"can never be raised: {values}, threshold is {rule.operator} {rule.threshold:g}"
    if events.meets([smallest], rule.operator, rule.threshold).all():
        return f"is always raised: {values}, threshold is {rule.operator} {rule.threshold:g}"
    if rule.clear is not None and events.meets([smallest], rule.operator, rule.clear).all():
        return f"never ends once it is raised: {values}, clear is {rule.clear:g}"
    return ""
