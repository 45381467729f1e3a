"""Texts and messages about official warnings. Pure.

The words are KMA's own, and each text begins with who announced it, so that nobody takes a rule of
the farm for a warning of KMA or the other way round.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from edge_agent.alerts.messages import EVENT_VALID
from edge_agent.alerts.state_machine import Edge
from edge_agent.contract.official_warnings import KINDS, LEVELS, WarningLevel
from edge_agent.contract.warning_zones import name_of
from edge_agent.messages import envelope
from edge_agent.messages.message import Kind
from edge_agent.messages.official_payloads import OfficialWarningEvent, OfficialWarningState
from edge_agent.messages.payloads import fill

if TYPE_CHECKING:
    from datetime import datetime, timedelta, tzinfo

    from edge_agent.alerts.official import OfficialLatch
    from edge_agent.contract.official_warnings import OfficialWarning
    from edge_agent.messages.envelope import MessageContext
    from edge_agent.messages.locale import Locale
    from edge_agent.messages.message import Message

_NO_WARNING: Final = {
    "severity": "warning",
    "kma_level": None,
    "title": "",
    "announced_at": None,
    "effective_at": None,
    "ends_at": None,
    "text": "",
    "text_ko": "",
    "text_en": "",
}
"""What messages say of the warnings of a kind where there is none."""
_STANDS: Final = {
    "ko": "기상청 발표: {region} {title} ({announced} 발표{times}).",
    "en": "KMA, the Korea Meteorological Administration: {title} for {region}, issued "
    "{announced}{times}.",
}
_CHANGED: Final = {
    "ko": "기상청 발표: {region} {title}로 바뀌었습니다 ({announced} 발표{times}).",
    "en": "KMA, the Korea Meteorological Administration: changed to {title} for {region}, issued "
    "{announced}{times}.",
}
_FROM: Final = {"ko": ", {time}부터", "en": ", in effect from {time}"}
_UNTIL: Final = {"ko": ", {time} 해제 예정", "en": ", announced to end at {time}"}
_ENDED: Final = {
    ("ko", "lifted"): "기상청 발표: {region} {title} 해제 ({time}).",
    ("en", "lifted"): "KMA, the Korea Meteorological Administration: {title} for {region} lifted "
    "({time}).",
    ("ko", "expired"): "기상청 특보 소식이 {age}시간 넘게 오지 않았습니다. {region} {title}가 "
    "이어지는지 이 기기는 알 수 없습니다. 기상청 날씨누리(weather.go.kr)를 확인하세요.",
    ("en", "expired"): "No news of KMA's warnings for more than {age} h: whether {title} for "
    "{region} still stands is not known here. Look at weather.go.kr.",
    ("ko", "zone_changed"): "설정에서 특보 구역이 바뀌어 {region} {title} 알림을 끝냅니다.",
    ("en", "zone_changed"): "The zone was changed in the configuration: {title} for {region} is "
    "no longer told here.",
    ("ko", "renamed"): "장치 이름이 바뀌었습니다. {region} {title}는 새 이름으로 다시 알립니다.",
    ("en", "renamed"): "The device was renamed: {title} for {region} is told under its new name.",
}


def state_messages(
    context: MessageContext, latch: OfficialLatch, as_of: datetime | None, max_age: timedelta
) -> tuple[Message, Message]:
    """State of a kind, retained: as an alert, and on the topic of the kind."""
    topics = context.topics
    places = (
        (f"alert/{latch.rule}/state", topics.alert_state(latch.rule)),
        (f"warning/{latch.kind}", topics.official(latch.kind)),
    )
    facts = _facts(context, latch, as_of, max_age)
    first, second = (
        envelope.state(
            topic,
            fill(OfficialWarningState, envelope.base(context, "official-state", key), facts),
            Kind.STATE,
        )
        for key, topic in places
    )
    return first, second


def event_message(
    context: MessageContext,
    latch: OfficialLatch,
    edge: Edge,
    as_of: datetime | None,
    max_age: timedelta,
) -> Message:
    """An edge of a kind, never retained."""
    ends = edge is Edge.CLEARED
    began = envelope.digest([latch.since, latch.told, latch.ended_at if ends else None])
    lasted = None
    if ends and latch.since is not None and latch.ended_at is not None:
        lasted = max(int((latch.ended_at - latch.since).total_seconds()), 0)
    payload = fill(
        OfficialWarningEvent,
        envelope.base(
            context,
            "official-event",
            f"alert/{latch.rule}/{edge}/{began}",
            valid=EVENT_VALID,
        ),
        _facts(context, latch, as_of, max_age, edge),
        {
            "event_type": edge.value,
            "ended_by": latch.ended_by if ends else None,
            "lasted_s": lasted,
            "action": None,
            "drill": False,
        },
    )
    event = envelope.passing(context.topics.alert_event(latch.rule), payload, Kind.ALERT)
    return replace(event, collapse=f"{event.topic}/news") if edge is Edge.UPDATED else event


def text_of(
    language: str, zone: tzinfo, latch: OfficialLatch, max_age: timedelta, edge: Edge
) -> str:
    """What people are told of the warnings of a kind."""
    announced, effective = latch.announced_at, latch.effective_at
    values = {
        "region": _region(latch),
        "title": title_of(language, latch),
        "announced": _time(language, zone, announced),
        "times": "",
        "age": f"{max_age.total_seconds() / 3600:g}",
        "time": "",
    }
    if edge is Edge.CLEARED:
        if latch.ended_at is not None:
            values["time"] = _time(language, zone, latch.ended_at)
        return _ENDED[language, latch.ended_by].format_map(values)
    if effective > announced:
        values["times"] = _FROM[language].format(time=_time(language, zone, effective))
    if latch.ends_at is not None:
        values["times"] += _UNTIL[language].format(time=_time(language, zone, latch.ends_at))
    return (_CHANGED if edge is Edge.UPDATED else _STANDS)[language].format_map(values)


def severity_of(latch: OfficialLatch) -> str:
    """Severity of what was told: critical where the level is above an advisory."""
    return "critical" if latch.level.rank > WarningLevel.ADVISORY.rank else "warning"


def _facts(
    context: MessageContext,
    latch: OfficialLatch,
    as_of: datetime | None,
    max_age: timedelta,
    edge: Edge | None = None,
) -> dict[str, Any]:
    """Values of either payload; `edge` is None for a state."""
    warnings = _NO_WARNING | {"since": latch.ended_at, "region": name_of(latch.zone)}
    if latch.told and (latch.raised or edge is not None):
        warnings = _warning_facts(context.locale, latch, max_age, edge or Edge.RAISED)
    return warnings | {
        "source": "official",
        "model_release": None,
        "authority": "KMA",
        "rule": latch.rule,
        "level": _state(latch),
        "acknowledged": latch.acknowledged,
        "kind": latch.kind,
        "zone": latch.zone,
        "as_of": as_of,
        "reason": _reason(latch, as_of, max_age),
    }


def _warning_facts(
    locale: Locale, latch: OfficialLatch, max_age: timedelta, edge: Edge
) -> dict[str, Any]:
    """What messages say of the warnings of a kind."""
    texts = {
        language: text_of(language, locale.zone, latch, max_age, edge) for language in ("ko", "en")
    }
    return {
        "severity": severity_of(latch),
        "since": latch.since,
        "kma_level": latch.level.value,
        "title": title_of("ko", latch),
        "region": _region(latch),
        "announced_at": latch.announced_at,
        "effective_at": latch.effective_at,
        "ends_at": latch.ends_at,
        "text": texts[locale.language],
        "text_ko": texts["ko"],
        "text_en": texts["en"],
    }


def _state(latch: OfficialLatch) -> str:
    if not latch.known:
        return "unknown"
    return "raised" if latch.raised else "clear"


def _reason(latch: OfficialLatch, as_of: datetime | None, max_age: timedelta) -> str:
    if latch.known or as_of is None:
        return "as the trainer's relay heard from KMA"
    hours = f"{max_age.total_seconds() / 3600:g}"
    return f"no news of KMA's warnings since {as_of:%Y-%m-%dT%H:%MZ}, longer than {hours} h"


def title_of(language: str, latch: OfficialLatch) -> str:
    """KMA's words, highest level first; in English what they are called, where that is known."""
    ascending = sorted(latch.told, key=lambda each: each.known_level.rank)
    titles = dict.fromkeys(_title(language, each) for each in ascending)
    return ", ".join(reversed(titles))


def _title(language: str, warning: OfficialWarning) -> str:
    korean = f"{warning.name}{warning.level_name}"
    kind, level = KINDS.get(warning.kind), LEVELS.get(warning.known_level)
    if language == "ko" or kind is None or level is None or warning.name != kind[0]:
        return korean
    return f"{kind[1]} {level[1]} ({korean})"


def _region(latch: OfficialLatch) -> str:
    return ", ".join(dict.fromkeys(name_of(each.zone) for each in latch.told))


def _time(language: str, zone: tzinfo, at: datetime) -> str:
    local = at.astimezone(zone)
    if language == "ko":
        return f"{local.month}월 {local.day}일 {local:%H:%M}"
    return f"{local.day} {local:%b %H:%M}"
