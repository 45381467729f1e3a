"""Context of messages in tests: a Korean device, three minutes past the forecasts' hour."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from edge_agent.messages.envelope import MessageContext
from edge_agent.messages.locale import Locale
from edge_agent.messages.payloads import Input
from edge_agent.messages.topics import Topics
from tests.fakes.forecasts import NOW

SEOUL = ZoneInfo("Asia/Seoul")
CONTEXT = MessageContext(
    topics=Topics.of("farm", "edge-1"),
    locale=Locale("ko", SEOUL),
    now=NOW + timedelta(minutes=3, seconds=7, microseconds=9),
    clock="trusted",
    source="model",
    release=7,
    inputs=(Input(name="air_temperature_c", at=NOW, age_s=187),),
)
