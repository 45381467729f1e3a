"""What to do about a problem of the device: one short action in English and in Korean. Pure.

Problems come from many places as texts for people. Some name their action; the others get one
here, where they are shown: on the page, by `status` and by `doctor`.
"""

from __future__ import annotations

import re
from typing import Final, Literal

Language = Literal["ko", "en"]

_SAYS_IT: Final = re.compile(
    r"\bcheck (?!the disk)|\brun `|\bset |\bput |\brenew|\breplace the file|\bstop one of them"
    r"|\btry again|\btried again|\bcopy it again|\bcopy root|\blog in to|\bwrite the |\bhave the "
    r"|\blet this client|\blook (?:into|after)|\bbring the broker|edge-agent sync|next restart"
)
"""Words of a problem that names its action already."""

_ACTIONS: Final = (
    (
        r"no usable observation|there is no observation|no observation at all",
        "connect a sensor (add it under [[sensors]]), or set a [depot] that relays a station",
        "센서를 연결해 [[sensors]]에 적거나, 관측소 자료를 주는 [depot]을 설정하세요",
    ),
    (
        r"observation is \d+ h old|only normals|forecast of \S+ goes on|observed|rain is known",
        "look whether the sensors publish; where a depot relays a station, try `edge-agent sync`",
        "센서가 값을 보내는지 보세요. 저장소의 관측소 자료를 쓰면 edge-agent sync를 해 보세요",
    ),
    (
        r"KMA's forecasts since \S+ are set aside",
        "nothing here: they count again once they agree; if it lasts, look at the outdoor sensors",
        "다시 맞으면 저절로 씁니다. 오래가면 바깥 센서를 확인하세요",
    ),
    (
        r"time service|clock",
        "switch on systemd-timesyncd or chrony; without a network set the clock by hand",
        "인터넷 시간 맞춤(systemd-timesyncd, chrony)을 켜거나 시계를 손으로 맞추세요",
    ),
    (
        r"^sensor .* refused, last",
        "compare what the sensor sends with field and unit in [[sensors]]",
        "센서가 보내는 값이 [[sensors]]의 field, unit과 맞는지 보세요",
    ),
    (
        r"^sensor ",
        "look at the sensor, its battery and its topic in [[sensors]]",
        "센서와 배터리, [[sensors]]의 topic을 확인하세요",
    ),
    (
        r"^own .* is ",
        "look at the sensor: its place, shade and ventilation, wiring and unit",
        "센서의 위치, 햇볕 가림과 통풍, 배선, 단위를 확인하세요",
    ),
    (
        r"soil moisture .* not plausible",
        "look at the soil probe, and at [irrigation] soil",
        "토양수분 센서와 [irrigation]의 soil을 확인하세요",
    ),
    (
        r"disk|database|kept in memory|No space left",
        "make room on the disk, or replace it; keep the power on until then",
        "디스크를 비우거나 바꾸세요. 그때까지 전원을 끄지 마세요",
    ),
    (
        r"broker refuses \S+: |do(?:es)? not come back",
        "let this client write the topic in the broker's access list, and raise its message limit",
        "브로커에서 이 토픽 쓰기를 허락하고 메시지 길이 한도를 늘리세요",
    ),
    (
        r"broker (?:keeps no retained|takes QoS 0)",
        "nothing here: it is how this broker works; another one has it",
        "이 브로커의 특성입니다. 필요하면 다른 브로커를 쓰세요",
    ),
    (
        r"^mqtt: |connection",
        "see that the broker runs, and check [mqtt] host and port and the network",
        "브로커가 켜져 있는지, [mqtt]의 host와 port, 네트워크를 확인하세요",
    ),
    (
        (r"^(?:reload|configuration): |^config|never be raised|always raised|never ends|"
        r"always unknown|no alert is pushed|lie outside|no ASOS station|there is no file"),
        "edit the configuration; `edge-agent check-config` names every line",
        "설정 파일을 고치세요. edge-agent check-config가 틀린 줄을 알려 줍니다",
    ),
    (
        r"release \d+ was left|gave no number|damaged",
        "tell whoever runs the trainer; the release before it goes on",
        "학습 컴퓨터를 맡은 사람에게 알리세요. 그 전 릴리스를 계속 씁니다",
    ),
    (
        r"^update: |depot",
        "look at the link and at [depot]; `edge-agent doctor` tries it. What is installed goes on",
        "인터넷과 [depot]을 확인하세요(edge-agent doctor). 설치된 모델은 계속 씁니다",
    ),
    (
        r"first hour is being worked",
        "wait a minute",
        "잠시 기다리세요",
    ),
)  # fmt: skip
"""Pattern, English, Korean; the first that is found in the problem counts."""
_ELSE: Final = (
    "send the file of `edge-agent support-bundle FILE` to whoever looks after the device",
    "edge-agent support-bundle 파일을 기기를 돌보는 사람에게 보내세요",
)


def action(problem: str, language: Language = "en") -> str:
    """What to do about a problem; empty where its English text says it.

    In Korean each problem has its action here, since its translation may leave it out.

    Args:
        problem: As the agent tells it, in English.
        language: Of the action.
    """
    if language == "en" and _SAYS_IT.search(problem):
        return ""
    for pattern, english, korean in _ACTIONS:
        if re.search(pattern, problem):
            return english if language == "en" else korean
    return _ELSE[0] if language == "en" else _ELSE[1]
