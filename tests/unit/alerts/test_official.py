"""Official warnings on a farm: what raises, updates and ends an alert (O1 to O5)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from edge_agent.alerts.official import OfficialLatch, acknowledged, end, own_warnings, step
from edge_agent.alerts.official_messages import text_of
from edge_agent.alerts.state_machine import Edge
from edge_agent.contract.official_warnings import WarningBundle
from tests.fakes.official_warning import NOW, ZONE, warning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.contract.official_warnings import OfficialWarning

HOUR = timedelta(hours=1)
LIMIT = 6 * HOUR
SEOUL = ZoneInfo("Asia/Seoul")


HIGHER = warning(level="warning", level_name="경보")


def decided(
    latch: OfficialLatch,
    warnings: Sequence[OfficialWarning],
    *,
    after: timedelta = timedelta(0),
    age: timedelta = timedelta(0),
    zone: str = ZONE,
    limit: timedelta | None = LIMIT,
) -> tuple[OfficialLatch, Edge | None]:
    """One step `after` NOW, on a file of that age."""
    bundle = WarningBundle(as_of=NOW + after - age, warnings=tuple(warnings))
    return step(latch, own_warnings(bundle, zone), zone, NOW + after, limit)


CLEAR = OfficialLatch(kind="rain")
RAISED = decided(CLEAR, [warning()])[0]


def test_a_warning_is_told_once_and_its_end_once() -> None:
    """O1: nothing is said again as long as KMA says the same."""
    latch, edge = decided(CLEAR, [warning(effective_at=NOW + 2 * HOUR)])
    assert (edge, latch.raised, latch.since) == (Edge.RAISED, True, NOW)
    again, edge = decided(latch, [warning(effective_at=NOW + 2 * HOUR)], after=HOUR)
    assert (edge, again) == (None, latch)
    lifted = warning(ended_at=NOW + 2 * HOUR)
    announced, edge = decided(latch, [lifted], after=HOUR)
    assert (edge, announced.raised) == (None, True)
    ended, edge = decided(announced, [lifted], after=3 * HOUR)
    assert (edge, ended.ended_by, ended.ended_at) == (Edge.CLEARED, "lifted", NOW + 2 * HOUR)
    assert decided(ended, [lifted], after=4 * HOUR)[1] is None


def test_a_warning_that_the_file_names_no_more_was_lifted() -> None:
    """O1: at the time of that file, where KMA's own is not known."""
    ended, edge = decided(RAISED, [], after=HOUR)
    assert (edge, ended.ended_by, ended.ended_at) == (Edge.CLEARED, "lifted", NOW + HOUR)


def test_other_kinds_and_zones_are_not_told() -> None:
    """O1: a neighbour's rain, and the wind of the own zone."""
    others = [warning(zone="L1081300"), warning(kind="wind", name="강풍")]
    assert decided(CLEAR, others)[1] is None


def test_a_change_of_level_is_an_update_and_an_extension_is_none() -> None:
    """O2: up and down."""
    latch, edge = decided(RAISED, [HIGHER])
    assert (edge, latch.level) == (Edge.UPDATED, "warning")
    assert decided(latch, [HIGHER])[1] is None
    assert decided(latch, [warning()])[1] is Edge.UPDATED
    extended = warning(announced_at=NOW + HOUR, ended_at=NOW + 9 * HOUR)
    assert decided(RAISED, [extended], after=HOUR)[1] is None


def test_an_acknowledged_alert_tells_a_higher_level_and_its_end() -> None:
    """O2: a lower one is not told."""
    high = acknowledged(decided(RAISED, [HIGHER])[0])
    assert decided(high, [warning()])[1] is None
    risen, edge = decided(acknowledged(RAISED), [HIGHER])
    assert (edge, risen.acknowledged) == (Edge.UPDATED, False)
    assert decided(acknowledged(RAISED), [], after=HOUR)[1] is Edge.CLEARED


def test_an_alert_expires_where_the_depot_is_silent() -> None:
    """O3: at the limit it stands, after it nothing is known; then it is raised anew."""
    assert decided(RAISED, [warning()], after=LIMIT, age=LIMIT)[1] is None
    late = LIMIT + HOUR
    expired, edge = decided(RAISED, [warning()], after=late, age=late)
    assert (edge, expired.ended_by, expired.known) == (Edge.CLEARED, "expired", False)
    assert decided(expired, [warning()], after=late + HOUR, age=late + HOUR)[1] is None
    assert decided(expired, [warning()], after=late + 2 * HOUR)[1] is Edge.RAISED
    assert decided(CLEAR, [], after=late, age=late) == (
        OfficialLatch(kind="rain", zone=ZONE, known=False),
        None,
    )


def test_an_announced_end_comes_without_news() -> None:
    """O3: the depot need not be heard for it."""
    told = decided(RAISED, [warning(ended_at=NOW + 2 * HOUR)])[0]
    late = LIMIT + HOUR
    ended, edge = decided(told, [], after=late, age=late)
    assert (edge, ended.ended_by, ended.ended_at) == (Edge.CLEARED, "lifted", NOW + 2 * HOUR)


def test_nothing_expires_on_a_clock_that_nobody_vouches_for() -> None:
    """O4: whether it is years ahead or behind."""
    years = timedelta(days=2000)
    assert decided(RAISED, [warning()], after=years, age=years, limit=None)[1] is None
    assert decided(CLEAR, [warning()], after=-years, age=-years, limit=None)[1] is Edge.RAISED


def test_another_zone_ends_the_alert_and_begins_its_own() -> None:
    """O5: one step each."""
    elsewhere = warning(zone="L1081300")
    ended, edge = decided(RAISED, [elsewhere], zone="L1081300")
    assert (edge, ended.ended_by) == (Edge.CLEARED, "zone_changed")
    assert decided(ended, [elsewhere], zone="L1081300")[1] is Edge.RAISED
    assert end(CLEAR, NOW, "renamed") == (CLEAR, None)


KMA = "KMA, the Korea Meteorological Administration: "
HEAVY = "heavy rain advisory (호우주의보) for 진주시"
UNKNOWN = warning(kind="other", name="77번 특보", level="unknown", level_name="9단계")
TEXTS = [
    (
        decided(CLEAR, [warning(effective_at=NOW + 2 * HOUR)])[0],
        Edge.RAISED,
        "기상청 발표: 진주시 호우주의보 (9월 26일 11:00 발표, 9월 26일 13:00부터).",
        f"{KMA}{HEAVY}, issued 26 Sep 11:00, in effect from 26 Sep 13:00.",
    ),
    (
        decided(CLEAR, [warning(ended_at=NOW + 3 * HOUR)])[0],
        Edge.RAISED,
        "기상청 발표: 진주시 호우주의보 (9월 26일 11:00 발표, 9월 26일 14:00 해제 예정).",
        f"{KMA}{HEAVY}, issued 26 Sep 11:00, announced to end at 26 Sep 14:00.",
    ),
    (
        decided(RAISED, [HIGHER])[0],
        Edge.UPDATED,
        "기상청 발표: 진주시 호우경보로 바뀌었습니다 (9월 26일 11:00 발표).",
        f"{KMA}changed to heavy rain warning (호우경보) for 진주시, issued 26 Sep 11:00.",
    ),
    (
        decided(RAISED, [], after=HOUR)[0],
        Edge.CLEARED,
        "기상청 발표: 진주시 호우주의보 해제 (9월 26일 12:00).",
        f"{KMA}{HEAVY} lifted (26 Sep 12:00).",
    ),
    (
        decided(RAISED, [], after=7 * HOUR, age=7 * HOUR)[0],
        Edge.CLEARED,
        (
            "기상청 특보 소식이 6시간 넘게 오지 않았습니다. 진주시 호우주의보가 이어지는지 "
            "이 기기는 알 수 없습니다. 기상청 날씨누리(weather.go.kr)를 확인하세요."
        ),
        (
            f"No news of KMA's warnings for more than 6 h: whether {HEAVY} still stands is not "
            "known here. Look at weather.go.kr."
        ),
    ),
    (
        decided(OfficialLatch(kind="other"), [UNKNOWN])[0],
        Edge.RAISED,
        "기상청 발표: 진주시 77번 특보9단계 (9월 26일 11:00 발표).",
        f"{KMA}77번 특보9단계 for 진주시, issued 26 Sep 11:00.",
    ),
]


@pytest.mark.parametrize(("latch", "edge", "korean", "english"), TEXTS)
def test_texts_say_who_announced_what(
    latch: OfficialLatch, edge: Edge, korean: str, english: str
) -> None:
    """KMA's own words, in both languages; an expired one never says that KMA lifted it."""
    assert text_of("ko", SEOUL, latch, LIMIT, edge) == korean
    assert text_of("en", SEOUL, latch, LIMIT, edge) == english
