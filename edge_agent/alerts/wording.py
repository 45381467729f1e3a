"""Alert texts for people, Korean and English, by template. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edge_agent.agronomy.psychrometrics import VPD
from edge_agent.alerts.rules import Edge
from edge_agent.contract import schema

if TYPE_CHECKING:
    from datetime import datetime, timedelta, tzinfo

    from edge_agent.agronomy.irrigation import Advice
    from edge_agent.alerts.evidence import Evidence
    from edge_agent.config_structs import Rule

_QUANTITY: Final = {
    "ko": {
        schema.AIR_TEMPERATURE: "기온",
        schema.RELATIVE_HUMIDITY: "상대습도",
        VPD: "수증기압차(VPD)",
        schema.WIND_SPEED: "풍속",
        schema.WIND_FROM_DIRECTION: "풍향",
        schema.STATION_PRESSURE: "현지기압",
        schema.SEA_LEVEL_PRESSURE: "해면기압",
        schema.DEW_POINT: "이슬점",
        schema.VAPOUR_PRESSURE: "수증기압",
        schema.RAIN: "강수량",
        schema.SOLAR: "일사량",
        schema.VISIBILITY: "시정",
        schema.GROUND_TEMPERATURE: "지면온도",
        schema.SOIL_MOISTURE: "토양수분",
    },
    "en": {schema.AIR_TEMPERATURE: "air temperature", VPD: "vapour pressure deficit"},
}
_TITLE: Final = {
    "ko": {
        "heat": "고온",
        "dryness": "건조",
        "frost": "서리",
        "frost-watch": "서리 주의",
        "vpd-high": "건조한 공기(VPD)",
        "house-hot": "온실 고온",
        "house-cold": "온실 저온",
    },
    "en": {
        "heat": "Heat",
        "dryness": "Dry air",
        "frost": "Frost",
        "frost-watch": "Frost watch",
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
_TEXT: Final = {
    ("ko", Edge.RAISED, False): "[{severity}] {title}: {time}쯤 {quantity} {value}{unit} 예상, "
    "{threshold}{unit} {side}일 확률 {probability}%.",
    ("ko", Edge.UPDATED, False): "[{severity}] {title} 변경: {time}쯤 {quantity} {value}{unit} "
    "예상, {threshold}{unit} {side}일 확률 {probability}%.",
    ("ko", Edge.CLEARED, False): "[해제] {title}: 앞으로 {within_h}시간 안에 "
    "{quantity} {threshold}{unit} {side} 가능성이 낮아졌습니다({duration} 지속).",
    ("ko", Edge.RAISED, True): "[{severity}] {title}: 지금 {quantity} {value}{unit}, "
    "기준 {threshold}{unit} {side}.",
    ("ko", Edge.CLEARED, True): "[해제] {title}: 지금 {quantity} {value}{unit}({duration} 지속).",
    ("en", Edge.RAISED, False): "[{severity}] {title}: {quantity} {value}{unit} expected around "
    "{time}, chance of {side} {threshold}{unit} is {probability}%.",
    ("en", Edge.UPDATED, False): "[{severity}] {title}, update: {quantity} {value}{unit} expected "
    "around {time}, chance of {side} {threshold}{unit} is {probability}%.",
    ("en", Edge.CLEARED, False): "[Ended] {title}: {quantity} {side} {threshold}{unit} is no "
    "longer likely in the next {within_h} h (it lasted {duration}).",
    ("en", Edge.RAISED, True): "[{severity}] {title}: {quantity} is {value}{unit} now, "
    "limit {side} {threshold}{unit}.",
    ("en", Edge.CLEARED, True): "[Ended] {title}: {quantity} is {value}{unit} now "
    "(it lasted {duration}).",
}
_DRILL: Final = {
    "ko": "[훈련] 실제 상황이 아닙니다. {text}",
    "en": "[Drill] This is only a test. {text}",
}
_RETIRED: Final = {
    "ko": "[해제] {title}: 이 규칙은 설정에서 빠졌습니다.",
    "en": "[Ended] {title}: this rule is no longer configured.",
}


@dataclass(frozen=True, slots=True)
class Speaker:
    """Language ("ko" or "en") and zone in which people are spoken to."""

    language: str
    zone: tzinfo

    def time(self, at: datetime) -> str:
        """A full hour as people say it, in their zone."""
        local = at.astimezone(self.zone)
        if self.language == "ko":
            return f"{local.month}월 {local.day}일 {local.hour}시"
        return f"{local.day} {local:%b} {local:%H}:00"

    def duration(self, length: timedelta) -> str:
        """A length of time in hours, or in minutes below one."""
        minutes = max(int(length.total_seconds() // 60), 0)
        if minutes >= 60:
            return f"{minutes // 60}시간" if self.language == "ko" else f"{minutes // 60} h"
        return f"{minutes}분" if self.language == "ko" else f"{minutes} min"


def unit_of(quantity: str) -> str:
    """Unit of a rule's quantity as shown to people."""
    return "kPa" if quantity == VPD else schema.QUANTITIES[quantity].unit


def title_of(language: str, rule: str) -> str:
    """What people call a rule."""
    return _TITLE[language].get(rule, rule)


def severity_of(language: str, severity: str) -> str:
    """What people call a severity."""
    return _SEVERITY[language][severity]


def quantity_of(language: str, quantity: str) -> str:
    """What people call a quantity."""
    return _QUANTITY[language].get(quantity) or quantity.rpartition("_")[0].replace("_", " ")


def limit_of(language: str, rule: Rule) -> str:
    """Threshold of a rule with its unit and side, such as `30°C 이상`."""
    amount, side = f"{rule.threshold:g}{unit_of(rule.quantity)}", _SIDE[language][rule.operator]
    return f"{amount} {side}" if language == "ko" else f"{side} {amount}"


def alert_text(
    speaker: Speaker,
    rule: Rule,
    edge: Edge,
    evidence: Evidence,
    *,
    now: datetime,
    lasted: timedelta,
) -> str:
    """Text of one alert edge; a rule's own `message` replaces the one for raised and updated."""
    words = _words(speaker, rule, evidence, now)
    if rule.message and edge is not Edge.CLEARED:
        return rule.message.format_map(words)
    words |= {
        "title": title_of(speaker.language, rule.name),
        "side": _SIDE[speaker.language][rule.operator],
        "within_h": str(rule.within_h),
        "duration": speaker.duration(lasted),
    }
    return _TEXT[speaker.language, edge, rule.now].format_map(words)


def drill_text(speaker: Speaker, text: str) -> str:
    """Text of an alert that is sent to try the chain."""
    return _DRILL[speaker.language].format(text=text)


def retired_text(speaker: Speaker, name: str) -> str:
    """Text for the end of an alert whose rule is gone from the configuration."""
    return _RETIRED[speaker.language].format(title=title_of(speaker.language, name))


def _words(speaker: Speaker, rule: Rule, evidence: Evidence, now: datetime) -> dict[str, str]:
    chance = evidence.probability
    hour = evidence.hour
    lead = "-" if hour is None else str(max(round((hour - now).total_seconds() / 3600), 0))
    return {
        "rule": rule.name,
        "severity": severity_of(speaker.language, rule.severity),
        "quantity": quantity_of(speaker.language, rule.quantity),
        "value": "-" if evidence.value is None else f"{evidence.value:.1f}",
        "unit": unit_of(rule.quantity),
        "operator": rule.operator,
        "threshold": f"{rule.threshold:g}",
        "probability": "-" if chance is None else f"{100 * chance:.0f}",
        "time": "-" if hour is None else speaker.time(hour),
        "lead_h": lead,
    }


_ADVICE: Final = {
    ("ko", "none"): "[관수] 지금은 물을 주지 않아도 됩니다. 뿌리층 부족량 {depletion} mm, "
    "허용 {readily} mm.",
    ("ko", "when"): "[관수] {start}~{end}에 {need} mm{volume}를 주세요. 뿌리층 부족량 "
    "{depletion} mm, 허용 {readily} mm, 앞으로 24시간 소비 {demand} mm.",
    ("ko", "now"): "[관수] {need} mm{volume}가 필요하지만 24시간 안에 알맞은 때가 없습니다"
    "(서리, 고온 또는 강한 햇볕).",
    ("en", "none"): "[Water] None needed now: {depletion} mm missing in the root zone, "
    "{readily} mm may be.",
    ("en", "when"): "[Water] Give {need} mm{volume} from {start} to {end}: {depletion} mm missing "
    "in the root zone, {readily} mm may be, the crop will use {demand} mm in 24 h.",
    ("en", "now"): "[Water] {need} mm{volume} are needed, but no hour of the next 24 is good "
    "(frost, heat or strong sun).",
}


def advice_text(speaker: Speaker, advice: Advice) -> str:
    """Watering advice for people."""
    kind = "none" if not advice.need_mm else "when" if advice.start else "now"
    volume = "" if advice.volume_l is None else f" ({advice.volume_l:,.0f} L)"
    return _ADVICE[speaker.language, kind].format(
        need=f"{advice.need_mm:.1f}",
        volume=volume,
        start=speaker.time(advice.start) if advice.start else "",
        end=speaker.time(advice.end) if advice.end else "",
        depletion=f"{advice.depletion_mm:.1f}",
        readily=f"{advice.readily_mm:.1f}",
        demand=f"{advice.demand_mm:.1f}",
    )
