"""Reasons of the agent in Korean: its own words are English, for logs and programs. Pure."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, Final

from edge_agent.contract.schema import QUANTITIES, TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterator


def _gaps() -> Iterator[tuple[str, str]]:
    """Patterns of `source_gap.Gap.text`."""
    sources = (("station:", "관측소 "), ("cell:", "격자 "), ("guidance:village", "동네예보"))
    ends = ((r"(\S+ \S+) UTC", r"\5 UTC부터"), (r"(\S+ \S+) UTC or earlier", r"\5 UTC 이전부터"))
    for (kind, source), quantity, (since, begin) in product(sources, TARGETS, ends):
        row = QUANTITIES[quantity]
        head = rf"own {row.en.text} is (\S+), {kind}(\S*) (\S+) \((\S+) UTC\): "
        korean = rf"농장 센서 {row.ko.text} \1, {source}\2 \3(\4 UTC): {begin} "
        yield f"{head}the same since {since}", f"{korean}센서 값이 그대로입니다"
        yield rf"{head}since {since} (\S+) apart", rf"{korean}\6 차이 납니다"


_KOREAN: Final = (
    (r"no approved release is installed.*", "설치된 모델이 없습니다(edge-agent sync 실행)"),
    (r"no usable observation at hand", "쓸 수 있는 관측값이 없습니다"),
    (
        r"(?:the )?newest (?:usable )?observation is (\d+) h old, more than ([\d.]+) h",
        r"가장 새 관측값이 \1시간 전 것입니다(한도 \2시간)",
    ),
    (r"newest usable observation is (\d+) h old", r"가장 새 관측값이 \1시간 전 것입니다"),
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
    (r"the first hour is being worked", "첫 예보를 만들고 있습니다"),
    (r"the clock is behind times that have surely passed", "시계가 이미 지난 시각을 가리킵니다"),
    (r"release (\d+) was left: (.*)", r"릴리스 \1을 되돌렸습니다: \2"),
    (r"mqtt: (.*)", r"MQTT 브로커에 연결되지 않았습니다: \1"),
    *_gaps(),
)  # fmt: skip


def in_korean(reason: str) -> str:
    """A reason in Korean; an unknown one stays as it is."""
    for pattern, text in _KOREAN:
        match = re.fullmatch(pattern, reason, re.DOTALL)
        if match:
            return match.expand(text)
    return reason
