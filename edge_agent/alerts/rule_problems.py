"""Rules as they are written, and their errors: what, where, what to do. Pure."""

from __future__ import annotations

from string import Formatter
from typing import TYPE_CHECKING, Any, Final

from edge_agent.alerts.windows import CHANGES
from edge_agent.contract import schema
from edge_agent.contract.official_warnings import ALERT_PREFIX
from edge_agent.system.struct_decoder import Problem, one_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Protocol

    import msgspec

    from edge_agent.settings import Condition, Rule

    class Readable(Protocol):
        """Whether these keys of a table were read."""

        def __call__(self, table: msgspec.Struct, at: str, *keys: str) -> bool:
            """See `problems_of`."""


LIVE_QUANTITIES: Final = (*schema.SENSED, *schema.DERIVED)
PLACEHOLDERS: Final = (
    "rule",
    "severity",
    "quantity",
    "value",
    "value_time",
    "unit",
    "operator",
    "threshold",
    "probability",
    "time",
    "lead_h",
)
"""Names that a rule's own `message` may use in braces."""


def name_first_conditions(document: dict[str, Any]) -> None:
    """Make the first of `all` the rule's own condition, where a rule has none of its own."""
    rules = document.get("rules")
    for rule in rules if isinstance(rules, list) else ():
        conditions = rule.get("all") if isinstance(rule, dict) else None
        if (
            not isinstance(conditions, list)
            or not conditions
            or not isinstance(conditions[0], dict)
        ):
            continue
        if not rule.keys() & {"quantity", "operator", "threshold"}:
            rule.update(conditions[0], all=conditions[1:])


def problems_of(rule: Rule, at: str, readable: Readable) -> Iterator[Problem]:
    """Errors of one rule.

    Args:
        rule: A rule; a key with a fault has its default.
        at: Its path, such as `rules[0]`.
        readable: Tells which keys have the value of the file.
    """
    if readable(rule, at, "name") and rule.name.startswith(ALERT_PREFIX):
        yield Problem(f"{at}.name", f"{ALERT_PREFIX}* are KMA's official warnings: take another")
    allowed = LIVE_QUANTITIES if rule.now else schema.FORECAST
    if rule.quantity not in allowed and readable(rule, at, "quantity", "now"):
        yield Problem(f"{at}.quantity", one_of(rule.quantity, allowed))
    too_long = not rule.now and rule.for_h > rule.within_h
    if too_long and readable(rule, at, "for_h", "within_h", "now"):
        yield Problem(f"{at}.for_h", f"must not exceed within_h = {rule.within_h}")
    if rule.clear is not None and readable(rule, at, "clear", "threshold", "operator"):
        upwards = rule.operator in {">=", ">"}
        if rule.clear > rule.threshold if upwards else rule.clear < rule.threshold:
            side = "below" if upwards else "above"
            yield Problem(f"{at}.clear", f"must lie {side} threshold = {rule.threshold:g}")
    if readable(rule, at, "now", "aggregate", "over_h", "all"):
        yield from _joined(rule, at, readable)
    yield from template_problems(rule.message, f"{at}.message", PLACEHOLDERS)


def _joined(rule: Rule, at: str, readable: Readable) -> Iterator[Problem]:
    """Errors of its conditions together, and of each."""
    if rule.now:
        for key in ("aggregate", "over_h", "all"):
            if getattr(rule, key):
                yield Problem(f"{at}.{key}", "is for forecasts: leave it out, or now = true")
        return
    if rule.aggregate and rule.for_h > 1:
        yield Problem(f"{at}.for_h", "is for single hours: with aggregate say over_h instead")
    yield from _condition(rule, at, rule.within_h)
    for index, condition in enumerate(rule.all):
        place = f"{at}.all[{index}]"
        if condition.quantity not in schema.FORECAST and readable(condition, place, "quantity"):
            yield Problem(f"{place}.quantity", one_of(condition.quantity, schema.FORECAST))
        yield from _condition(condition, place, rule.within_h)


def _condition(condition: Condition, at: str, within_h: int) -> Iterator[Problem]:
    kind, over = condition.aggregate, condition.over_h
    quantity = schema.QUANTITIES.get(condition.quantity)
    if not kind:
        if over:
            yield Problem(f"{at}.over_h", 'needs aggregate: say which, such as aggregate = "max"')
        return
    if kind in CHANGES and not 0 < over < within_h:
        yield Problem(
            f"{at}.over_h", f"must be 1 to {within_h - 1}: hours of a {kind}, below within_h"
        )
    elif over > within_h:
        yield Problem(f"{at}.over_h", f"must not exceed within_h = {within_h}")
    if kind in CHANGES and condition.threshold <= 0:
        yield Problem(f"{at}.threshold", f"must be above 0: by how much it has to {kind}")
    if quantity is None:
        return
    if quantity.code or quantity.turn is not None:
        yield Problem(f"{at}.aggregate", f"{condition.quantity} has none: compare single hours")
    elif kind == "sum" and not quantity.sums:
        amounts = ", ".join(n for n in schema.FORECAST if schema.QUANTITIES[n].sums)
        yield Problem(f"{at}.aggregate", f'"sum" is for amounts ({amounts}); take "mean" or "max"')


def template_problems(text: str, at: str, allowed: Sequence[str]) -> Iterator[Problem]:
    """What a text may not hold: other names, attributes, widths and conversions."""
    try:
        fields = [field for _, *field in Formatter().parse(text)]
    except ValueError:
        yield Problem(at, "has a brace that belongs to no name: write {{ or }} for a brace")
        return
    for name, form, conversion in fields:
        if name is None:
            continue
        if name not in allowed:
            yield Problem(at, f"{{{name}}}: {one_of(name, allowed)}")
        if form or conversion:
            yield Problem(at, f"{{{name}}}: its form is fixed: write no more than the name")
