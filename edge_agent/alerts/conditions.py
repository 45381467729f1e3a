"""Words for what a rule compares with what, Korean and English. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_agent.contract import numbers, schema

if TYPE_CHECKING:
    from edge_agent.settings import Condition, Rule

_SIDE: Final = {
    "ko": {">=": "이상", ">": "초과", "<=": "이하", "<": "미만"},
    "en": {">=": "at or above", ">": "above", "<=": "at or below", "<": "below"},
}
_AGGREGATE: Final = {
    "ko": {
        "": "{quantity}",
        "sum": "{hours}시간 {quantity} 합계",
        "max": "{hours}시간 최고 {quantity}",
        "min": "{hours}시간 최저 {quantity}",
        "mean": "{hours}시간 평균 {quantity}",
        "rise": "{hours}시간 {quantity} 오름폭",
        "fall": "{hours}시간 {quantity} 내림폭",
    },
    "en": {
        "": "{quantity}",
        "sum": "{quantity} summed over {hours} h",
        "max": "highest {quantity} of {hours} h",
        "min": "lowest {quantity} of {hours} h",
        "mean": "mean {quantity} of {hours} h",
        "rise": "rise of {quantity} within {hours} h",
        "fall": "fall of {quantity} within {hours} h",
    },
}
_TOGETHER: Final = {"ko": "이면서 ", "en": " with "}


def amount_of(quantity: str, value: float) -> str:
    """A value with its unit, as finely as people read it."""
    row = schema.QUANTITIES[quantity]
    return with_unit(numbers.fixed(value, row.digits), row.unit)


def with_unit(number: str, unit: str) -> str:
    """A number and its unit, with a blank where people write one."""
    return f"{number}{unit}" if unit in {"%", "°C", "°", ""} else f"{number} {unit}"


def quantity_of(language: str, quantity: str) -> str:
    """What people call a quantity."""
    return schema.QUANTITIES[quantity].label(language).text


def compared_of(language: str, condition: Condition, within_h: int) -> str:
    """What a condition compares, such as `12시간 강수량 합계`.

    Args:
        language: "ko" or "en".
        condition: The condition.
        within_h: Hours of the rule's window.
    """
    return _AGGREGATE[language][condition.aggregate].format(
        quantity=quantity_of(language, condition.quantity), hours=condition.over_h or within_h
    )


def limit_of(language: str, condition: Condition) -> str:
    """Threshold of a condition with its unit and side, such as `30°C 이상`."""
    amount = with_unit(
        numbers.plain(condition.threshold), schema.QUANTITIES[condition.quantity].unit
    )
    side = _SIDE[language][condition.operator]
    return f"{amount} {side}" if language == "ko" else f"{side} {amount}"


def limits_of(language: str, rule: Rule) -> str:
    """Threshold of a rule, then what else has to hold in the same hour."""
    others = [
        f"{compared_of(language, each, rule.within_h)} {limit_of(language, each)}"
        for each in rule.all
    ]
    return _TOGETHER[language].join((limit_of(language, rule), *others))
