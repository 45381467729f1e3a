"""Alert texts for people, Korean and English, by template. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from edge_agent.alerts import conditions, what_to_do
from edge_agent.alerts.state_machine import Edge
from edge_agent.contract import events, numbers, schema

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from edge_agent.agronomy.irrigation import Advice
    from edge_agent.agronomy.soil_water import SoilWater
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
        "strong-wind": "강한 바람",
        "heavy-snow": "많은 눈",
        "heavy-rain": "많은 비",
        "rain-soon": "곧 비",
        "cold-snap": "갑작스러운 추위",
        "dew-at-sunrise": "해 뜰 때 열매에 이슬",
    },
    "en": {
        "heat": "Heat",
        "dryness": "Dry air",
        "frost": "Frost",
        "frost-watch": "Frost watch",
        "bud-frost": "Bud frost",
        "vpd-high": "High VPD",
        "house-hot": "Hot house",
        "house-cold": "Cold house",
        "strong-wind": "Strong wind",
        "heavy-snow": "Heavy snow",
        "heavy-rain": "Heavy rain",
        "rain-soon": "Rain soon",
        "cold-snap": "Sudden cold",
        "dew-at-sunrise": "Dew on the fruit at sunrise",
    },
}
_SEVERITY: Final = {
    "ko": {"info": "알림", "warning": "주의", "critical": "경보"},
    "en": {"info": "Notice", "warning": "Warning", "critical": "Alarm"},
}
_EXTREME: Final = {
    "ko": {">=": "최고", ">": "최고", "<=": "최저", "<": "최저"},
    "en": {">=": "highest", ">": "highest", "<=": "lowest", "<": "lowest"},
}
_AS_FAR_AS: Final = {">=": "up to", ">": "up to", "<=": "down to", "<": "down to"}
_PLACE: Final = {
    "ko": {"outdoor": "바깥", "indoor": "온실", "soil": "밭"},
    "en": {"outdoor": "outdoor", "indoor": "indoor", "soil": "field"},
}
_HEAD: Final = {
    ("ko", Edge.RAISED): "[{severity}] {title}: ",
    ("ko", Edge.UPDATED): "[{severity}] {title}(예보 변경): ",
    ("ko", Edge.CLEARED): "[해제] {title}: ",
    ("en", Edge.RAISED): "[{severity}] {title}: ",
    ("en", Edge.UPDATED): "[{severity}] {title}, update: ",
    ("en", Edge.CLEARED): "[Ended] {title}: ",
}
_FORESEEN: Final = {
    "ko": "{when} {quantity} {event} 가능성 {chance}, {at}쯤 {extreme} {amount} 예상.",
    "en": "{when} {quantity} {event} with a chance of {chance}, {reach} {amount} at about {at}.",
}
_EXPECTED: Final = {
    "ko": "{when} {quantity} {event} 것으로 예상됩니다({at}쯤 {extreme} {amount}).",
    "en": "{when} {quantity} {event} is expected, {reach} {amount} at about {at}.",
}
_OVER: Final = {
    "ko": "앞으로 {within_h}시간 안에 {quantity} {event} 때가 예보에 없습니다. "
    "{duration} 만에 알림을 끝냅니다.",
    "en": "{quantity} {event} is no longer expected in the next {within_h} h "
    "(it lasted {duration}).",
}
"""Where the forecast has no spread, so that nobody says how sure it is."""
_BY_CHANCE: Final = {
    "ko": "예상 {extreme}는 {value_time}쯤 {amount}이지만, {when} {quantity} {event} 가능성이 "
    "{chance} 있습니다.",
    "en": "the forecast's {extreme} is {amount} at about {value_time}, but {when} the chance of "
    "{quantity} {event} is {chance}.",
}
"""Where the point forecast itself does not meet the rule."""
_UNLIKELY: Final = {
    "ko": "앞으로 {within_h}시간 안에 {quantity} {event} 가능성이 {chance}로 낮아졌습니다. "
    "{duration} 만에 해제합니다.",
    "en": "the chance of {quantity} {event} in the next {within_h} h has fallen to {chance} "
    "(it lasted {duration}).",
}
_MEASURED: Final = {
    ("ko", False): "지금 {place} {quantity} {amount}, 기준 {limit}입니다.",
    ("ko", True): "지금 {place} {quantity} {amount}. {duration} 만에 해제합니다.",
    ("en", False): "{place} {quantity} is {amount} now, limit {limit}.",
    ("en", True): "{place} {quantity} is {amount} now (it lasted {duration}).",
}
_WHEN: Final = {
    ("ko", True): "{time}쯤부터",
    ("ko", False): "앞으로 {within_h}시간 안에",
    ("en", True): "from about {time}",
    ("en", False): "within {within_h} h",
}
"""With and without a first hour: an alert may stand on its clear level alone."""
_EVENT: Final = {
    ("ko", False): "{limit}일",
    ("ko", True): "{limit}인 상태가 {hours}시간 이상 이어질",
    ("en", False): "{limit}",
    ("en", True): "{limit} for {hours} h",
}
_SOURCE: Final = {
    "ko": {"station": " 관측소 {} 기준.", "cell": " 격자 {} 기준."},
    "en": {"station": " By station {}.", "cell": " By grid cell {}."},
}
_DRILL: Final = {
    "ko": "[훈련] 실제 상황이 아닙니다. {text}",
    "en": "[Drill] This is only a test. {text}",
}
_RETIRED: Final = {
    "ko": "[해제] {title}: 이 규칙은 설정에서 빠졌습니다.",
    "en": "[Ended] {title}: this rule is no longer configured.",
}
_CHANGED: Final = {
    "ko": "[해제] {title}: 이 규칙의 설정이 바뀌어 지금까지의 알림을 끝냅니다.",
    "en": "[Ended] {title}: this rule was changed, so its alert so far ends.",
}

_RENAMED: Final = {
    "ko": "[해제] {title}: 장치 이름이 바뀌었습니다. 이어지는 경보는 새 이름으로 다시 알립니다.",
    "en": "[Ended] {title}: the device was renamed. What still holds is told under its new name.",
}


def title_of(language: str, rule: str) -> str:
    """What people call a rule."""
    return _TITLE[language].get(rule, rule)


def severity_of(language: str, severity: str) -> str:
    """What people call a severity."""
    return _SEVERITY[language][severity]


def extreme_of(language: str, rule: Rule) -> str:
    """What people call the extreme of a rule's window: lowest or highest."""
    return _EXTREME[language][rule.operator]


def place_of(language: str, role: str) -> str:
    """What people call the place of a sensor, before the name of a quantity."""
    return _PLACE[language][role]


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
    language = locale.language
    basis = source_text(language, evidence.source)
    words = _words(locale, rule, evidence, now)
    if rule.message and edge is not Edge.CLEARED:
        return rule.message.format_map(words) + basis
    if edge is not Edge.CLEARED and (advice := what_to_do.advice_of(language, rule.name)):
        basis = f"{basis} {advice}"
    limit = conditions.limits_of(language, rule)
    words |= {
        "title": title_of(language, rule.name),
        "limit": limit,
        "event": _EVENT[language, rule.for_h > 1].format(limit=limit, hours=rule.for_h),
        "extreme": extreme_of(language, rule),
        "reach": _AS_FAR_AS[rule.operator],
        "at": _hour_of_extreme(locale, evidence, now),
        "when": _WHEN[language, evidence.hour is not None].format(
            time=words["time"], within_h=rule.within_h
        ),
        "place": place_of(language, rule.role),
        "amount": _amount(rule, evidence),
        "chance": numbers.percent(evidence.probability),
        "within_h": str(rule.within_h),
        "duration": locale.duration(lasted),
    }
    return (_HEAD[language, edge] + _body(language, rule, edge, evidence)).format_map(words) + basis


def source_text(language: str, source: str) -> str:
    """Sentence that names the relayed source of an alert; empty for own sensors."""
    kind, _, name = source.partition(":")
    return _SOURCE[language][kind].format(name) if source else ""


def _body(language: str, rule: Rule, edge: Edge, evidence: Evidence) -> str:
    """Template of what comes after the title."""
    if rule.now:
        return _MEASURED[language, edge is Edge.CLEARED]
    if evidence.probability is None:
        return (_OVER if edge is Edge.CLEARED else _EXPECTED)[language]
    if edge is Edge.CLEARED:
        return _UNLIKELY[language]
    return (_FORESEEN if _shown_to_meet(rule, evidence) else _BY_CHANCE)[language]


def _shown_to_meet(rule: Rule, evidence: Evidence) -> bool:
    """Whether the value as people read it meets the rule."""
    if evidence.value is None:
        return False
    shown = round(evidence.value, schema.QUANTITIES[rule.quantity].digits)
    return bool(events.meets(shown, rule.operator, rule.threshold))


def _amount(rule: Rule, evidence: Evidence) -> str:
    if evidence.value is None:
        return "-"
    if rule.now and evidence.met and not _shown_to_meet(rule, evidence):
        # 29.96 is below 30, and 30.0 is not.
        unit = schema.QUANTITIES[rule.quantity].unit
        return conditions.with_unit(numbers.plain(evidence.value), unit)
    return conditions.amount_of(rule.quantity, evidence.value)


def _hour_of_extreme(locale: Locale, evidence: Evidence, now: datetime) -> str:
    """Hour of the value; its day only where it is another than the first hour's."""
    at, first = evidence.value_at, evidence.hour
    if at is None:
        return "-"
    days = {None if each is None else each.astimezone(locale.zone).date() for each in (at, first)}
    return locale.hour(at) if len(days) == 1 else locale.time(at, now)


def drill_text(locale: Locale, text: str) -> str:
    """Text of an alert that is sent to try the chain."""
    return _DRILL[locale.language].format(text=text)


def retired_text(locale: Locale, name: str) -> str:
    """Text for the end of an alert whose rule is gone from the configuration."""
    return _RETIRED[locale.language].format(title=title_of(locale.language, name))


def changed_text(locale: Locale, name: str) -> str:
    """Text for the end of an alert whose rule has another meaning now."""
    return _CHANGED[locale.language].format(title=title_of(locale.language, name))


def renamed_text(locale: Locale, name: str) -> str:
    """Text for the end of an alert of a device that has another name now."""
    return _RENAMED[locale.language].format(title=title_of(locale.language, name))


def _words(locale: Locale, rule: Rule, evidence: Evidence, now: datetime) -> dict[str, str]:
    hour, row = evidence.hour, schema.QUANTITIES[rule.quantity]
    # `round` would make 0 of half an hour, and 2 of an hour and a half.
    ahead = None if hour is None else math.floor((hour - now).total_seconds() / 3600 + 0.5)
    return {
        "rule": rule.name,
        "severity": severity_of(locale.language, rule.severity),
        "quantity": conditions.compared_of(locale.language, rule, rule.within_h),
        "value": "-" if evidence.value is None else numbers.fixed(evidence.value, row.digits),
        "value_time": "-" if evidence.value_at is None else locale.time(evidence.value_at, now),
        "unit": row.unit,
        "operator": rule.operator,
        "threshold": numbers.plain(rule.threshold),
        "probability": numbers.percent(evidence.probability).removesuffix("%"),
        "time": "-" if hour is None else locale.time(hour, now),
        "lead_h": "-" if ahead is None else str(max(ahead, 0)),
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
_WATER: Final = {
    ("ko", "given"): " 마지막으로 보고된 관수는 {time}, {mm} mm입니다.",
    ("ko", "assumed"): " {since}에는 흙이 충분히 젖어 있었다고 가정했고, 그 뒤 관수 보고가 "
    "없습니다(보고 방법: edge-agent water 또는 cmd/irrigated).",
    ("ko", "measured"): " {since}부터 관수 보고가 없습니다"
    "(보고 방법: edge-agent water 또는 cmd/irrigated).",
    ("en", "given"): " Water last reported: {time}, {mm} mm.",
    ("en", "assumed"): " No water was reported since {since}, when the soil is assumed to have "
    "been full (report it: edge-agent water, or cmd/irrigated).",
    ("en", "measured"): " No water was reported since {since} "
    "(report it: edge-agent water, or cmd/irrigated).",
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
    text = _ADVICE[language, kind].format(
        need=numbers.fixed(advice.need_mm, 0),
        volume=volume if language == "ko" or not volume else f" {volume}",
        start=locale.time(advice.start, now) if advice.start else "",
        end=_end(locale, advice, now),
        depletion=numbers.fixed(advice.water.depletion_mm, 0),
        readily=numbers.fixed(advice.readily_mm, 0),
        demand=numbers.fixed(advice.demand_mm, 1),
        rain=_RAIN[language, rain].format(rain=f"{advice.rain_mm or 0.0:.0f}") if rain else "",
    )
    return text + _water_text(locale, advice.water, now)


def _water_text(locale: Locale, water: SoilWater, now: datetime) -> str:
    """When water was last reported, or that it was not."""
    since = locale.time(water.since, now)
    if water.last_given_at is None or water.last_given_mm is None:
        kind = "assumed" if water.start_assumed else "measured"
        return _WATER[locale.language, kind].format(since=since)
    time, amount = locale.time(water.last_given_at, now), f"{water.last_given_mm:.0f}"
    return _WATER[locale.language, "given"].format(time=time, mm=amount)


def _end(locale: Locale, advice: Advice, now: datetime) -> str:
    """End of the best hours; its day only where it is another than the start's."""
    if advice.start is None or advice.end is None:
        return ""
    days = [at.astimezone(locale.zone).date() for at in (advice.start, advice.end)]
    return locale.hour(advice.end) if days[0] == days[1] else locale.time(advice.end, now)


def _litres(volume: float) -> str:
    """Rounded to ten litres."""
    return f"{round(volume, -1):,.0f}"
