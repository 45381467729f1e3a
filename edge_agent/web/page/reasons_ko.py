"""Reasons of the agent in Korean: its own words are English, for logs and programs. Pure."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, Final

from edge_agent.contract.schema import QUANTITIES, TARGETS
from edge_agent.web.page import reasons_ko_details as details

if TYPE_CHECKING:
    from collections.abc import Iterator


def _gaps() -> Iterator[tuple[str, str]]:
    """Patterns of `source_gap.Gap.text`."""
    sources = (("station:", "관측소 "), ("cell:", "격자 "), ("guidance:village", "동네예보"))
    time = r"(?P<time>\S+ \S+) UTC"
    ends = ((time, r"\g<time> UTC부터"), (f"{time} or earlier", r"\g<time> UTC 이전부터"))
    for (kind, source), quantity, (since, begin) in product(sources, TARGETS, ends):
        row = QUANTITIES[quantity]
        head = rf"own {row.en.text} is (\S+), {kind}(\S*) (\S+) \((\S+) UTC\): "
        korean = rf"농장 센서 {row.ko.text} \1, {source}\2 \3(\4 UTC): {begin} "
        yield f"{head}the same since {since}", f"{korean}센서 값이 그대로입니다"
        yield rf"{head}(?P<apart>\S+) apart since {since}", rf"{korean}\g<apart> 차이 납니다"


def _silences() -> Iterator[tuple[str, str]]:
    """Patterns of a sensor that is not heard, see `core.sensor_reports`."""
    for unit, korean in (("min", "분"), ("h", "시간"), ("days", "일")):
        yield (
            rf"sensor (.*): silent for (\d+) {unit}, last (.*)",
            rf"센서 \1: \2{korean}째 소식 없음, 마지막 \3",
        )
        yield (
            rf"sensor (.*): not heard since the start (\d+) {unit} ago",
            rf"센서 \1: 시작한 지 \2{korean} 지나도록 소식 없음",
        )


def _settings() -> Iterator[tuple[str, str]]:
    """Patterns of `core.config_warnings`, `core.restart_keys` and `core.certificates`."""
    near = r"the nearest is (?P<station>\d+) \((?P<name>[^)]*)\), (?P<km>\d+) km away"
    nearest = r"가장 가까운 곳은 \g<km> km 떨어진 \g<station>(\g<name>)입니다"
    values = r"values are (?P<low>\S+) to (?P<high>\S+) (?P<unit>.*), threshold is (?P<limit>.*)"
    range_of = r"값은 \g<low>~\g<high> \g<unit>, 기준은 \g<limit>"
    yield (
        f"device.latitude, device.longitude: lie outside Korea: of KMA's stations {near}",
        f"device.latitude, device.longitude: 한국 밖입니다. 기상청 관측소 가운데 {nearest}",
    )
    yield (
        rf"device.station: (?P<given>\d+) is no ASOS station of KMA: {near}",
        rf"device.station: \g<given>번 ASOS 관측소는 없습니다. {nearest}",
    )
    zones = "device.warning_zone: "
    yield (
        f"{zones}KMA's warnings cannot be told, since the place is in no zone of the list: .*",
        f"{zones}특보 구역을 몰라 기상청 특보를 알려 드리지 못합니다. 번호나 이름을 설정하세요",
    )
    yield (
        rf"{zones}(?P<code>\S+) is not in the list of KMA's zones: .*",
        rf"{zones}\g<code>은(는) 기상청 특보 구역 목록에 없습니다. 번호를 확인하세요",
    )
    yield (
        r"no news of KMA's official warnings since (?P<since>.*): see the depot and its relay",
        r"\g<since> 뒤로 기상청 특보 소식이 없습니다. 날씨누리(weather.go.kr)를 확인하세요",
    )
    yield (
        r"push.severities: no rule in force has one of them, so no alert is pushed",
        "push.severities: 이 등급의 규칙이 없어 어떤 경보도 보내지 않습니다",
    )
    yield (
        rf"rule (?P<rule>\S+): can never be raised: {values}",
        rf"규칙 \g<rule>: 경보가 나올 수 없습니다({range_of})",
    )
    yield (
        rf"rule (?P<rule>\S+): is always raised: {values}",
        rf"규칙 \g<rule>: 늘 경보 상태입니다({range_of})",
    )
    yield (
        r"rule (\S+): never ends once it is raised: values are (\S+) to (\S+) (.*), clear is (.*)",
        r"규칙 \1: 한번 나온 경보가 끝날 수 없습니다(값은 \2~\3 \4, clear는 \5)",
    )
    yield (
        r"rule (\S+): no sensor of role (\S+) measures (.*), so it is always unknown",
        r"규칙 \1: \2 센서 가운데 \3 값을 재는 것이 없어 늘 알 수 없습니다",
    )
    yield r"(\S+_file): there is no file (.*)", r"\1: 파일이 없습니다(\2)"
    yield r"(\S+) changed: it is taken at the next restart", r"\1: 다음에 다시 시작할 때 바뀝니다"
    yield (
        r"(\S+): ended on (\S+): replace the file, no restart is needed",
        r"\1: 인증서가 \2에 끝났습니다. 파일을 바꾸세요(다시 시작하지 않아도 됩니다)",
    )
    yield (
        r"(\S+): (?:URGENT, )?ends in (\d+) days, on (\S+): renew it",
        r"\1: 인증서가 \2일 뒤 \3에 끝납니다. 새로 받으세요",
    )
    yield r"(mqtt\.tls\.\w+): (.*): (.*): check the path", r"\1: \2을(를) 열 수 없습니다(\3)"
    yield r"(mqtt\.tls\.\w+): (.*): holds no PEM certificate", r"\1: \2에 PEM 인증서가 없습니다"


_KOREAN: Final = (
    (r"no approved release is installed.*", "설치된 모델이 없습니다(edge-agent sync 실행)"),
    (r"no usable observation at hand", "쓸 수 있는 관측값이 없습니다"),
    (
        r"(?:the )?newest (?:usable )?observation is (\d+) h old, more than ([\d.]+) h",
        r"가장 새 관측값이 \1시간 전 것입니다(한도 \2시간)",
    ),
    (r"newest usable observation is (\d+) h old", r"가장 새 관측값이 \1시간 전 것입니다"),
    (
        r"KMA's forecasts since (\S+) are set aside: .*",
        r"\1부터 나온 동네예보는 관측값이나 그 전 예보와 너무 달라 쓰지 않습니다",
    ),
    (r"KMA's newest forecast is (\d+) h old", r"가장 새 동네예보가 \1시간 전 것입니다"),
    (r"the model of (\S+) gave no number", r"모델이 값을 내지 못했습니다(\1)"),
    (r"forecast of (\S+) goes on", r"\1에 만든 예보를 이어서 씁니다"),
    (
        r"rain is known for only (\d+) of the last (\d+) hours",
        r"지난 \2시간 중 \1시간만 강수량을 압니다",
    ),
    (r"there is no forecast, only normals", "예보가 없고 평년값뿐입니다"),
    (r"there is no observation", "관측값이 없습니다"),
    (
        r"of the last (\d+) hours only (\d+) were observed",
        r"지난 \1시간 중 \2시간만 관측되었습니다",
    ),
    (
        r"soil moisture (\S+) % is not plausible for (\w+) \((\d+) to (\d+) %\): it is not used",
        r"토양수분 \1 %는 이 흙(\2, \3~\4 %)에서 나올 수 없는 값이라 쓰지 않습니다",
    ),
    (r"the first hour is being worked", "첫 예보를 만들고 있습니다"),
    (
        r"the clock is behind times that have surely passed, or far ahead of them",
        "시계가 이미 지난 시각이나 너무 먼 앞날을 가리킵니다",
    ),
    (r"no time service confirms the clock", "시계를 확인해 주는 시각 서비스가 없습니다"),
    (
        r"it gave no forecast where the release before it did: (.*)",
        r"그 전 릴리스는 되는 예보를 내지 못했습니다: \1",
    ),
    (r"a first cycle failed: (.*)", r"첫 예보에 실패했습니다: \1"),
    (
        r"the agent stopped within each of its last (\d+) cycles",
        r"예보하는 동안 프로그램이 \1번 잇달아 멈췄습니다",
    ),
    (r"passed the gate", "검사를 통과했습니다"),
    (r"release (\d+) was left: (.*)", r"릴리스 \1을 되돌렸습니다: \2"),
    (r"not connected yet", "아직 연결하지 못했습니다"),
    (r"connection lost", "연결이 끊겼습니다"),
    (r"broker disconnects: (.*)", r"브로커가 연결을 끊었습니다(\1)"),
    (r"connection lost: (.*)", r"연결이 끊겼습니다(\1)"),
    (r"broker refuses: (.*)", r"브로커가 거절했습니다(\1)"),
    *details.REFUSALS,
    (
        r"broker keeps no retained message: who subscribes later waits for the next one",
        "브로커가 메시지를 보관하지 않아, 나중에 구독하면 다음 메시지를 기다려야 합니다",
    ),
    (
        r"broker takes QoS 0 only: what is sent while the connection breaks is lost",
        "브로커가 QoS 0만 받아, 연결이 끊길 때 보내던 메시지는 없어집니다",
    ),
    (r"the name (\S+) is not known here", r"이름 \1을 찾을 수 없습니다"),
    (r"nothing accepts connections at (\S+)", r"\1에서 받아 주는 프로그램이 없습니다"),
    (r"no answer from (\S+)", r"\1에서 답이 없습니다"),
    (r"(\S+) cannot be reached: (.*)", r"\1에 닿지 않습니다(\2)"),
    (r"the broker's answer cannot be read \((.*)\)", r"브로커의 답을 읽을 수 없습니다(\1)"),
    (r"this program was stopped for a while", "프로그램이 한동안 멈춰 있었습니다"),
    (
        r"connecting anew, to ask the broker for everything again",
        "브로커가 모두 받는지 다시 연결해 확인합니다",
    ),
    (r"check mqtt.client_id", "mqtt.client_id를 확인하세요"),
    (
        r"check mqtt.username(?:, | and )mqtt.password_file.*",
        "mqtt.username과 mqtt.password_file을 확인하세요",
    ),
    (
        r".*another client uses the same mqtt.client_id",
        "같은 mqtt.client_id를 쓰는 기기가 또 있는지 확인하세요",
    ),
    (
        r"(.*): check the link and the depot's address",
        r"모델 저장소에 닿지 않습니다. 인터넷과 주소를 확인하세요(\1)",
    ),
    (r"(.*): cannot be read: .*; is the stick plugged in\?", r"USB를 꽂았는지 확인하세요(\1)"),
    (r"took more than (\d+) s: ended, it is tried again", r"\1초를 넘겨 멈췄습니다. 다시 합니다"),
    (
        r"broker does not allow listening to (.*): check its access list",
        r"브로커가 구독을 허락하지 않습니다. 접근 목록을 확인하세요(\1)",
    ),
    (
        r"broker ends the connection on listening to (.*): check its access list",
        r"구독하면 브로커가 연결을 끊습니다. 접근 목록을 확인하세요(\1)",
    ),
    (
        r"own messages do not come back: let this client write and read (.*)",
        r"보낸 메시지가 돌아오지 않습니다. 쓰고 읽을 권한을 주세요(\1)",
    ),
    (
        r"sensor (.*): (\d+) refused, last (.*): (\S+ went from .*)",
        r"센서 \1: 값 \2번 거부, 마지막 \3: \4",
    ),
    (
        r"sensor (.*): (\d+) refused, last (.*?): (not JSON: .*)",
        r"센서 \1: 값 \2번 거부, 마지막 \3: \4",
    ),
    (r"sensor (.*): (\d+) refused, last (.*): (.*)", r"센서 \1: 값 \2번 거부, 마지막 \3: \4"),
    *_silences(),
    (r"has no value(.*)", r"값 없음\1"),
    (r"(.*)is no number", r"\1숫자가 아님"),
    (r"its time (\S+) is not near the arrival", r"보낸 시각(\1)이 받은 때와 멀리 떨어져 있음"),
    (
        r"\S+ went from (\S+) to (\S+) within (\S+) minutes?, more than (?:the )?(\S+ mm) .*",
        r"\3분 안에 \1에서 \2(으)로: 한 시간에 \4보다 많아 세지 않음",
    ),
    (r"sensor (.*): never heard", r"센서 \1: 소식이 온 적 없음"),
    (r"(\S+) = (\S+) is outside (\S+) to (\S+)", r"\2은(는) \3–\4 범위 밖"),
    *_gaps(),
    *_settings(),
    *details.SYSTEM,
    *details.SENSORS,
    *details.BROKER,
    *details.FILES,
    *details.DEPOT,
)  # fmt: skip
_JOBS: Final = {
    "mqtt": "MQTT 브로커",
    "update": "모델을 받지 못했습니다",
    "cycle": "예보하지 못했습니다",
    "watch": "센서 규칙을 확인하지 못했습니다",
    "outbox": "메시지를 쓰지 못했습니다",
    "inbound": "받은 메시지를 처리하지 못했습니다",
    "errand": "요청을 처리하지 못했습니다",
    "reload": "설정을 다시 읽지 못했습니다",
    "release": "모델을 쓰지 못했습니다",
    "storage": "디스크에 쓰지 못했습니다",
    "way back": "디스크로 돌아가지 못했습니다",
}
"""What a job failed at, by its name before the colon."""
_HANGUL: Final = re.compile("[가-힣]")
_GROUP: Final = re.compile(r"\\(?:g<(?P<name>\w+)>|(?P<number>\d))")


def in_korean(reason: str) -> str:
    """A reason in Korean, part by part; one that nobody translated stays as it is."""
    job, colon, why = reason.partition(": ")
    if colon and job in _JOBS:
        told = in_korean(why)
        return f"{_JOBS[job]}: {told}" if told != why else f"{_JOBS[job]}(원문: {why})"
    for pattern, text in _KOREAN:
        match = re.fullmatch(pattern, reason, re.DOTALL)
        if match:
            return _filled(text, match)
    head, semicolon, tail = reason.partition("; ")
    return f"{in_korean(head)}. {in_korean(tail)}" if semicolon else reason


def problem_in_korean(problem: str) -> str:
    """A problem in Korean; one that nobody translated is said to be one, with its own words."""
    told = in_korean(problem)
    return told if _HANGUL.search(told) else f"문제가 있습니다(원문: {problem})"


def _filled(text: str, match: re.Match[str]) -> str:
    """A text with the groups of a match, each in Korean, where it names them."""
    return _GROUP.sub(lambda group: in_korean(match[group["name"] or int(group["number"])]), text)
