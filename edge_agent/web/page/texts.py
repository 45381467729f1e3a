"""Every word of the page, Korean and English. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from edge_agent.alerts.texts import place_of
from edge_agent.core.problem_advice import action
from edge_agent.web.page.reasons_ko import in_korean, problem_in_korean

if TYPE_CHECKING:
    from datetime import datetime, timedelta

Pair = tuple[str, str]
_SAYS_IT: Final = re.compile(
    r"세요|실행\)|다시 (?:합니다|받습니다|시작할 때)|계속 씁니다|연결해 확인합니다"
)
"""Words of a Korean text that names its action already."""
_WORDS: Final[dict[str, Pair]] = {
    "title": ("농장 날씨", "Farm weather"),
    "skip": ("본문으로", "Skip to content"),
    "as_of": ("{0} 기준", "As of {0}"),
    "lost": ("기기와 연결이 끊겼습니다. 아래는 마지막으로 받은 내용입니다.",
             "No connection to the device. What you see is the last that came."),
    "starting": ("첫 예보를 만들고 있습니다. 잠시 뒤에 저절로 나타납니다.",
                 "The first forecast is being worked. It will appear here by itself."),
    "alerts": ("알림", "Alerts"),
    "no_alerts": ("지금은 알림이 없습니다.", "No alert now."),
    "not_judged": ("규칙 {1}개 가운데 {0}개는 지금 판단할 수 없습니다.",
                   "{0} of {1} rules cannot be judged now."),
    "since": ("{0}부터", "since {0}"),
    "seen": ("확인함", "seen"),
    "held": ("{1}까지 보내지 않음({0})", "not sent until {1} ({0})"),
    "held_updates": ("{1}까지 변경 소식 보내지 않음({0})", "no updates until {1} ({0})"),
    "held_snooze": ("알림 멈춤", "snoozed"),
    "held_quiet_hours": ("조용한 시간", "quiet hours"),
    "held_cool_down": ("방금 끝난 알림의 반복", "repeats an alert that just ended"),
    "held_daily_cap": ("하루 알림 한도", "limit of the day reached"),
    "ack": ("확인했어요", "I have seen it"),
    "snooze": ("3시간 조용히", "Quiet for 3 h"),
    "why": ("왜 이런 알림인가요?", "Why this alert?"),
    "other_rules": ("다른 규칙 {0}개", "{0} other rules"),
    "rules_n": ("규칙 {0}개", "{0} rules"),
    "rule": ("규칙", "Rule"),
    "chance": ("가능성", "Chance"),
    "calm": ("해당 없음", "clear"),
    "unknown": ("알 수 없음", "unknown"),
    "condition": ("조건", "Condition"),
    "within": ("{0}시간 안에 {1} {2}", "{1} {2} within {0} h"),
    "within_for": ("{0}시간 안에 {1} {2}, {3}시간 이상 이어짐", "{1} {2} for {3} h within {0} h"),
    "measured_now": ("지금 {0} {1}", "{0} {1} now"),
    "chance_of": ("{0} ({1} 이상이면 알림)", "{0} (alert at {1} or more)"),
    "expected": ("예상값", "Expected"),
    "measured": ("측정값", "Measured"),
    "first_hour": ("언제부터", "From"),
    "rests_on": ("근거 자료", "Based on"),
    "data_of": ("{0}, {1} 관측까지", "{0}, observed up to {1}"),
    "made_by": ("예보 방법", "Forecast by"),
    "fitted": ("이 농장에 맞춤", "Fitted to this farm"),
    "fitted_on": ("{0} ({1}까지의 관측)", "{0} (observations up to {1})"),
    "release_n": ("모델 릴리스 {0}", "model release {0}"),
    "now": ("지금", "Now"),
    "just_now": ("방금", "just now"),
    "station": ("관측소 {0}", "Station {0}"),
    "cell": ("격자 {0}", "Grid cell {0}"),
    "sensor_of": ("{0} 센서", "{0} sensor"),
    "stale": ("오래됨", "old"),
    "no_reading": ("측정값 없음", "no reading"),
    "ago": ("{0} 전", "{0} ago"),
    "nothing_now": ("아직 관측값이 없습니다.", "No observation yet."),
    "ahead": ("앞으로 48시간", "The next 48 hours"),
    "no_forecast": ("예보가 없습니다: {0}", "There is no forecast: {0}"),
    "highest": ("최고", "Highest"),
    "lowest": ("최저", "Lowest"),
    "in_24h": ("24시간 안", "Within 24 h"),
    "after_24h": ("그 뒤", "After that"),
    "only_normals": ("예보가 아니라 평년값입니다. 최근 관측값이 없어 오늘 날씨를 모릅니다.",
                     "These are normals, no forecast: there is no recent observation."),
    "hour": ("시각", "Hour"),
    "likely": ("10번 중 8번은 이 범위", "8 times in 10 within"),
    "table": ("표로 보기", "As a table"),
    "chart_text": ("{0}부터 {1}까지. {2}. 아래 표에 시각별 값이 있습니다.",
                   "From {0} to {1}. {2}. The table has every hour."),
    "legend_line": ("예상값", "expected"),
    "legend_band": ("10번 중 8번은 이 범위", "8 times in 10 within"),
    "legend_night": ("밤", "night"),
    "legend_limit": ("알림 기준", "alert limit"),
    "legend_comfort": ("작물에 알맞음", "good for the crop"),
    "legend_seen": ("실제 관측", "observed"),
    "water": ("물 주기", "Watering"),
    "water_none": ("지금은 물을 주지 않아도 됩니다.", "No water is needed now."),
    "water_need": ("물 {0} mm 필요", "{0} mm of water needed"),
    "water_when": ("좋은 때: {0} – {1}", "Best time: {0} – {1}"),
    "water_never": ("앞으로 24시간 안에 알맞은 때가 없습니다(서리, 고온 또는 강한 햇볕).",
                    "No hour of the next 24 is good (frost, heat or strong sun)."),
    "water_refused": ("지금은 권하지 않습니다: {0}", "No advice now: {0}"),
    "water_why": ("어떻게 계산했나요?", "How was this worked out?"),
    "crop": ("작물", "Crop"),
    "depletion": ("뿌리층 부족량", "Missing in the root zone"),
    "readily": ("스트레스 없이 비어도 되는 양", "May be missing without stress"),
    "demand": ("앞으로 24시간 작물이 쓸 양", "The crop uses in 24 h"),
    "by_probe": ("토양수분 센서로 측정", "measured by a soil probe"),
    "by_balance": ("비와 증발산으로 계산(FAO-56)", "balance of rain and evaporation (FAO-56)"),
    "water_last": ("마지막 관수 보고", "Water last reported"),
    "water_unreported": ("없음(edge-agent water 또는 cmd/irrigated로 보고)",
                         "none (report it: edge-agent water, or cmd/irrigated)"),
    "water_start": ("{0}의 부족량", "Missing at {0}"),
    "water_assumed": ("{0}의 부족량(젖어 있었다고 가정)", "Missing at {0} (assumed to be full)"),
    "water_used": ("그 뒤 작물이 쓴 물", "Used by the crop since"),
    "water_rain": ("비", "Rain"),
    "water_given": ("보고된 관수", "Water reported"),
    "water_drained": ("흘러 나간 물", "Drained or lost"),
    "water_corrected": ("토양수분 센서로 고침", "Corrected by probes"),
    "water_filled": ("관측 없는 시간, 강수를 모르는 시간",
                     "Hours not observed, hours of unknown rain"),
    "basis": ("계산 근거", "Basis"),
    "yesterday": ("어제 예보와 실제", "Yesterday's forecast and what came"),
    "no_yesterday": ("어제 예보가 아직 없습니다. 하루가 지나면 여기에 나타납니다.",
                     "There is no forecast of yesterday yet. It appears after a day."),
    "missed_by": ("평균 {0} 빗나감, {1}시간 중 {2}시간이 범위 안",
                  "off by {0} on average, {2} of {1} hours within the band"),
    "month": ("지난 30일 성적", "The last 30 days"),
    "quantity": ("항목", "Quantity"),
    "lead": ("몇 시간 뒤", "Ahead"),
    "rmse": ("오차(RMSE)", "Error (RMSE)"),
    "bias": ("치우침", "Bias"),
    "inside": ("범위 안", "Within band"),
    "model": ("모델과 지난 일", "Model and history"),
    "runs": ("쓰고 있는 릴리스", "Release in use"),
    "none": ("없음", "none"),
    "made_at": ("만든 때", "Made"),
    "reason": ("이유", "Reason"),
    "before": ("그 전 릴리스", "The one before"),
    "left": ("되돌린 릴리스", "Release left"),
    "history": ("지난 알림", "Past alerts"),
    "no_history": ("지난 알림이 없습니다.", "No alert so far."),
    "health": ("기기 상태", "Device"),
    "broker": ("MQTT 브로커", "MQTT broker"),
    "connected": ("연결됨", "connected"),
    "away": ("연결 안 됨", "not connected"),
    "depot": ("모델 저장소", "Depot"),
    "synced": ("{0} 전에 확인", "synced {0} ago"),
    "sync_failed": ("마지막 확인 실패", "the last try failed"),
    "never_synced": ("시작한 뒤로 확인한 적 없음", "not synced since the start"),
    "no_depot": ("설정 안 됨", "none configured"),
    "disk": ("디스크 여유", "Disk free"),
    "clock": ("시계", "Clock"),
    "trusted": ("맞음", "trusted"),
    "holdover": ("확인 못 함(인터넷 시간 없음)", "not confirmed (no network time)"),
    "untrusted": ("틀림", "wrong"),
    "outbox": ("보낼 메시지", "Messages waiting"),
    "data": ("관측 자료", "Weather data"),
    "old_by": ("{0} 지남", "{0} old"),
    "sensors": ("센서", "Sensors"),
    "sensor": ("센서", "Sensor"),
    "value": ("값", "Value"),
    "age": ("받은 때", "When"),
    "refusals": ("거부", "Refused"),
    "last_refusal": ("마지막 거부", "Last refusal"),
    "guidance": ("동네예보", "KMA's forecast"),
    "guidance_state": ("격자 {0}, {1} 전 발표, 비중 {2}%", "cell {0}, {1} old, weight {2}%"),
    "n_of_m": ("{1}개 중 {0}개 정상", "{0} of {1} report"),
    "faults": ("문제", "Problems"),
    "all_well": ("문제 없음", "no problem"),
    "agent": ("프로그램", "Program"),
    "predict": ("지금 다시 예보", "Forecast again now"),
    "token": ("접속 토큰", "Access token"),
    "enter": ("들어가기", "Enter"),
    "token_help": ("web.token_file 에 적은 토큰을 넣어 주세요. 이 기기에만 보냅니다.",
                   "The token in web.token_file; it is sent to this device alone."),
    "token_wrong": ("토큰이 맞지 않습니다.", "That is not the token."),
    "done": ("처리했습니다.", "Done."),
    "failed": ("처리하지 못했습니다.", "It could not be done."),
    "minutes": ("{0}분", "{0} min"),
    "hours": ("{0}시간", "{0} h"),
    "days": ("{0}일", "{0} days"),
    "offline_note": ("이 화면은 농장의 기기가 인터넷 없이 만듭니다.",
                     "Made by the device on the farm, without the internet."),
    "source_model": ("농장 센서 + 모델", "model on the farm's sensors"),
    "source_model_relayed_station": ("관측소 자료 + 모델", "model on station data"),
    "source_guided": ("동네예보 + 보정 모델", "KMA's forecast, corrected by models"),
    "source_guidance": ("동네예보 + 편차 보정", "KMA's forecast without its bias here"),
    "source_cached": ("앞서 만든 예보", "an earlier forecast"),
    "source_persistence": ("지금 값 유지", "persistence"),
    "source_climatology": ("평년값", "normals"),
}  # fmt: skip
_WEEKDAYS: Final = ("월화수목금토일", ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))


class PageTexts:
    """Texts of one language.

    Args:
        language: "ko" or "en".
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self._index = 1 if language == "en" else 0

    def __call__(self, text: str | Pair, *values: object) -> str:
        """A text in this language, `{0}` and on filled in.

        Args:
            text: Key of `_WORDS`, or Korean and English.
            *values: For `{0}` and on.
        """
        text = (_WORDS[text] if isinstance(text, str) else text)[self._index]
        return text.format(*values) if values else text

    def reason(self, text: str) -> str:
        """A reason of the agent."""
        return text if self.language == "en" else in_korean(text)

    def problem(self, text: str) -> str:
        """A problem of the agent."""
        return text if self.language == "en" else problem_in_korean(text)

    def action(self, problem: str) -> str:
        """What to do about a problem; empty where the text of `problem` says it."""
        if self.language == "en":
            return action(problem)
        # Its Korean may end with what to do, as in "...하세요" and "(... 실행)".
        return "" if _SAYS_IT.search(problem_in_korean(problem)) else action(problem, "ko")

    def source(self, name: str) -> str:
        """A rung of the forecast ladder."""
        return self(f"source_{name}") if f"source_{name}" in _WORDS else name

    def inputs(self, name: str) -> str:
        """Observations by the name of their source."""
        kind, _, which = name.partition(":")
        if kind in {"station", "cell"}:
            return self(kind, which)
        if kind == "sensor":
            return self("sensor_of", place_of(self.language, which))
        return self(which) if which in _WORDS else name

    def span(self, length: timedelta) -> str:
        """A length of time, roughly."""
        minutes = max(int(length.total_seconds() // 60), 0)
        if minutes < 60:
            return self("minutes", minutes)
        return self("hours", minutes // 60) if minutes < 48 * 60 else self("days", minutes // 1440)

    def day(self, local: datetime) -> str:
        """A day by month, day and weekday."""
        name = _WEEKDAYS[self._index][local.weekday()]
        return f"{local.month}.{local.day} {name}" if self._index == 0 else f"{name} {local:%d %b}"

    def time(self, local: datetime) -> str:
        """Day and hour."""
        return f"{self.day(local)} {local:%H:%M}"
