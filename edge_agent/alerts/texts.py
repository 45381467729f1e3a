"""Alert texts for people, Korean and English, by template. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge_agent.alerts.state_machine import Edge
from edge_agent.contract import schema

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from edge_agent.agronomy.irrigation import Advice
    from edge_agent.alerts.evidence import Evidence
    from edge_agent.messages.locale import Locale
    from edge_agent.settings import Rule

_TITLE: Final = {
    "ko": {
        "heat": "고온",
        "dryness": "건조",
        "frost": "서리",
        "frost-watch": "서리 주의",
        "bud-frost": "꽃눈 서리 피해",
        "vpd-high": "건조한 공기(VPD)",
        "house-hot": "온실 고온",
        "house-cold": "온실 저온",
    },
    "en": {
        "heat": "Heat",
        "dryness": "Dry air",
        "frost": "Frost",
        "frost-watch": "Frost watch",
        "bud-frost": "Bud frost",
        "vpd-high": "Thirsty air (VPD)",
        "house-hot": "Hot house",
        "house-cold": "Cold house",
    },
}
_SEVERITY: Final = {
    "ko": {"info": "알림", "warning": "주의", "critical": "경보"},
    "en": {"info": "Notice", "warning": "Warning", "critical": "Alarm"},
}
_SIDE: Final = {
    "ko": {">=": "이상", ">": "초과", "<=": "이하", "<": "미만"},
    "en": {">=": "at or above", ">": "above", "<=": "at or below", "<": "below"},
}
_EXTREME: Final = {
    "ko": {">=": "최고", ">": "최고", "<=": "최저", "<": "최저"},
    "en": {">=": "up to", ">": "up to", "<=": "down to", "<": "down to"},
}
_PLACE: Final = {
    "ko": {"outdoor": "바깥", "indoor": "온실", "soil": "밭"},
    "en": {"outdoor": "outdoor", "indoor": "indoor", "soil": "field"},
}
_TEXT: Final = {
    ("ko", Edge.RAISED, False): "[{severity}] {title}: {time}쯤부터 {quantity} {event} "
    "가능성 {probability}%, {extreme} {amount} 예상.",
    ("ko", Edge.UPDATED, False): "[{severity}] {title}(예보 변경): {time}쯤부터 {quantity} "
    "{event} 가능성 {probability}%, {extreme} {amount} 예상.",
    ("ko", Edge.CLEARED, False): "[해제] {title}: 앞으로 {within_h}시간 안에 {quantity} {limit}일 "
    "가능성이 낮아졌습니다. {duration} 만에 해제합니다.",
    ("ko", Edge.RAISED, True): "[{severity}] {title}: 지금 {place} {quantity} {amount}, "
    "기준 {limit}입니다.",
    ("ko", Edge.CLEARED, True): "[해제] {title}: 지금 {place} {quantity} {amount}. "
    "{duration} 만에 해제합니다.",
    ("en", Edge.RAISED, False): "[{severity}] {title}: from about {time} {quantity} {event} "
    "with a chance of {probability}%, {extreme} {amount}.",
    ("en", Edge.UPDATED, False): "[{severity}] {title}, update: from about {time} {quantity} "
    "{event} with a chance of {probability}%, {extreme} {amount}.",
    ("en", Edge.CLEARED, False): "[Ended] {title}: {quantity} {limit} is no longer likely in the "
    "next {within_h} h (it lasted {duration}).",
    ("en", Edge.RAISED, True): "[{severity}] {title}: {place} {quantity} is {amount} now, "
    "limit {limit}.",
    ("en", Edge.CLEARED, True): "[Ended] {title}: {place} {quantity} is {amount} now "
    "(it lasted {duration}).",
}
_EVENT: Final = {
    ("ko", False): "{limit}일",
    ("ko", True): "{limit}인 상태가 {hours}시간 이상 이어질",
    ("en", False): "{limit}",
    ("en", True): "{limit} for {hours} h",
}
_DRILL: Final = {
    "ko": "[훈련] 실제 상황이 아닙니다. {text}",
    "en": "[Drill] This is only a test. {text}",
}
_RETIRED: Final = {
    "ko": "[해제] {title}: 이 규칙은 설정에서 빠졌습니다.",
    "en": "[Ended] {title}: this rule is no longer configured.",
}


def amount_of(quantity: str, value: float) -> str:
    """A value with its unit, as finely as it matters to people."""
    digits = min(schema.QUANTITIES[quantity].digits, 1)
    # + 0.0: a zero has no sign.
    return _with_unit(f"{round(value, digits) + 0.0:.{digits}f}", schema.QUANTITIES[quantity].unit)


def _with_unit(number: str, unit: str) -> str:
    return f"{number}{unit}" if unit in {"%", "°C"} else f"{number} {unit}"


def title_of(language: str, rule: str) -> str:
    """What people call a rule."""
    return _TITLE[language].get(rule, rule)


def severity_of(language: str, severity: str) -> str:
    """What people call a severity."""
    return _SEVERITY[language][severity]


def quantity_of(language: str, quantity: str) -> str:
    """What people call a quantity."""
    return schema.QUANTITIES[quantity].label(language).text


def limit_of(language: str, rule: Rule) -> str:
    """Threshold of a rule with its unit and side, such as `30°C 이상`."""
    amount = _with_unit(f"{rule.threshold:g}", schema.QUANTITIES[rule.quantity].unit)
    side = _SIDE[language][rule.operator]
    return f"{amount} {side}" if language == "ko" else f"{side} {amount}"


def alert_text(
    locale: Locale,
    rule: Rule,
    edge: Edge,
    evidence: Evidence,
    *,
    now: datetime,
    lasted: timedelta,
) -> str:
    """Text of one alert edge; a rule's own `message` replaces the one for raised and updated."""
    words = _words(locale, rule, evidence, now)
    if rule.message and edge is not Edge.CLEARED:
        return rule.message.format_map(words)
    language = locale.language
    words |= {
        "title": title_of(language, rule.name),
        "limit": limit_of(language, rule),
        "event": _EVENT[language, rule.for_h > 1].format(
            limit=limit_of(language, rule), hours=rule.for_h
        ),
        "extreme": _EXTREME[language][rule.operator],
        "place": _PLACE[language][rule.role],
        "amount": "-" if evidence.value is None else amount_of(rule.quantity, evidence.value),
        "within_h": str(rule.within_h),
        "duration": locale.duration(lasted),
    }
    return _TEXT[language, edge, rule.now].format_map(words)


def drill_text(locale: Locale, text: str) -> str:
    """Text of an alert that is sent to try the chain."""
    return _DRILL[locale.language].format(text=text)


def retired_text(locale: Locale, name: str) -> str:
    """Text for the end of an alert whose rule is gone from the configuration."""
    return _RETIRED[locale.language].format(title=title_of(locale.language, name))


def _words(locale: Locale, rule: Rule, evidence: Evidence, now: datetime) -> dict[str, str]:
    chance = evidence.probability
    hour = evidence.hour
    lead = "-" if hour is None else str(max(round((hour - now).total_seconds() / 3600), 0))
    return {
        "rule": rule.name,
        "severity": severity_of(locale.language, rule.severity),
        "quantity": quantity_of(locale.language, rule.quantity),
        "value": "-" if evidence.value is None else f"{evidence.value:.1f}",
        "unit": schema.QUANTITIES[rule.quantity].unit,
        "operator": rule.operator,
        "threshold": f"{rule.threshold:g}",
        # A chance is never shown as 0 or 100 %: no forecast is certain.
        "probability": "-" if chance is None else f"{min(max(100 * chance, 1), 99):.0f}",
        "time": "-" if hour is None else locale.time(hour, now),
        "lead_h": lead,
    }


_ADVICE: Final = {
    (
        "ko",
        "none",
    ): "[관수] 오늘은 물을 주지 않아도 됩니다. 뿌리 둘레에 부족한 물은 "
    "{depletion} mm로, {readily} mm까지는 괜찮습니다.{rain}",
    ("ko", "when"): "[관수] {start}부터 {end}까지 물 {need} mm{volume}를 주세요. 뿌리 둘레에 "
    "{depletion} mm가 부족하고, 앞으로 24시간 동안 {demand} mm가 더 쓰입니다.{rain}",
    ("ko", "now"): "[관수] 물 {need} mm{volume}가 필요하지만 앞으로 24시간 안에는 알맞은 때가 "
    "없습니다(서리, 더위, 강한 햇볕 또는 비).{rain}",
    ("en", "none"): "[Water] None needed today: {depletion} mm missing around the roots, up to "
    "{readily} mm may be.{rain}",
    ("en", "when"): "[Water] Give {need} mm{volume} from {start} to {end}: {depletion} mm missing "
    "around the roots, and the crop will use {demand} mm in the next 24 h.{rain}",
    ("en", "now"): "[Water] {need} mm{volume} are needed, but no hour of the next 24 is good "
    "(frost, heat, strong sun or rain).{rain}",
}
_RAIN: Final = {
    ("ko", "unknown"): " 비 예보는 들어 있지 않습니다.",
    ("ko", "likely"): " 비 예보 {rain} mm를 셈에 넣었습니다.",
    ("en", "unknown"): " No forecast of rain is in this.",
    ("en", "likely"): " {rain} mm of likely rain are reckoned in.",
}


def advice_text(locale: Locale, advice: Advice, now: datetime) -> str:
    """Watering advice for people."""
    language = locale.language
    kind = "none" if not advice.need_mm else "when" if advice.start else "now"
    about = "약 " if language == "ko" else "about "
    volume = "" if advice.volume_l is None else f"({about}{_litres(advice.volume_l)} L)"
    rain = "" if advice.rain_mm == 0 else "unknown" if advice.rain_mm is None else "likely"
    return _ADVICE[language, kind].format(
        need=f"{advice.need_mm:.0f}",
        volume=volume if language == "ko" or not volume else f" {volume}",
        start=locale.time(advice.start, now) if advice.start else "",
        end=_end(locale, advice, now),
        depletion=f"{advice.depletion_mm:.0f}",
        readily=f"{advice.readily_mm:.0f}",
        demand=f"{advice.demand_mm:.1f}",
        rain=_RAIN[language, rain].format(rain=f"{advice.rain_mm or 0.0:.0f}") if rain else "",
    )


def _end(locale: Locale, advice: Advice, now: datetime) -> str:
    """End of the best hours; its day only where it is another than the start's."""
    if advice.start is None or advice.end is None:
        return ""
    days = [at.astimezone(locale.zone).date() for at in (advice.start, advice.end)]
    return locale.hour(advice.end) if days[0] == days[1] else locale.time(advice.end, now)


def _litres(volume: float) -> str:
    """Rounded to ten litres."""
    return f"{round(volume, -1):,.0f}"
