"""Language and local time of texts for people, Korean and English. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime, timedelta, tzinfo

_DAYS: Final = {"ko": ("오늘", "내일", "모레"), "en": ("today", "tomorrow")}


@dataclass(frozen=True, slots=True)
class Locale:
    """Language ("ko" or "en") and time zone of texts for people."""

    language: str
    zone: tzinfo

    def time(self, at: datetime, now: datetime) -> str:
        """Day and full hour in the zone; with the date, in case it is read on another day."""
        day = self._day(at.astimezone(self.zone), now.astimezone(self.zone))
        return f"{day} {self.hour(at)}"

    def hour(self, at: datetime) -> str:
        """The hour without its day."""
        hour = at.astimezone(self.zone).hour
        return _korean_hour(hour) if self.language == "ko" else f"{hour:02}:00"

    def _day(self, local: datetime, today: datetime) -> str:
        days = (local.date() - today.date()).days
        names = _DAYS[self.language]
        near = names[days] if 0 <= days < len(names) else ""
        if self.language == "ko":
            return f"{near}({local.day}일)" if near else f"{local.month}월 {local.day}일"
        day = f"{local.day} {local:%b}"
        return f"{near} ({day})" if near else day

    def duration(self, length: timedelta) -> str:
        """A length of time in days, hours or minutes, by its size."""
        minutes = max(int(length.total_seconds() // 60), 0)
        korean = self.language == "ko"
        if minutes >= 48 * 60:
            return f"{minutes // 1440}일" if korean else f"{minutes // 1440} days"
        if minutes >= 60:
            return f"{minutes // 60}시간" if korean else f"{minutes // 60} h"
        return f"{minutes}분" if korean else f"{minutes} min"


def _korean_hour(hour: int) -> str:
    if hour == 0:
        return "0시(자정)"
    if hour == 12:
        return "낮 12시"
    part = "새벽" if hour < 6 else "오전" if hour < 12 else "오후"
    return f"{part} {hour if hour < 12 else hour - 12}시"
