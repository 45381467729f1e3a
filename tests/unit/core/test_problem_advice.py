"""Each problem comes with what to do about it, in both languages."""

from __future__ import annotations

import re

import pytest

from edge_agent.core.agent_facts import CLOCK_PROBLEMS
from edge_agent.core.problem_advice import action
from edge_agent.web.page.texts import PageTexts
from tests.unit.web.page.test_reasons_ko import COMPOSED

SINGLE = (
    "no usable observation at hand",
    *CLOCK_PROBLEMS.values(),
    "newest observation is 30 h old",
    "own air temperature is 3°C, station:108 20°C (2026-07-01 05:00 UTC): 17°C apart since noon",
    "storage: everything is kept in memory: agent.db: database or disk is full",
    "disk: the disk is slow: 3 writes within an hour took more than a second",
    "storage.path changed: it is taken at the next restart",
    "rule cold: can never be raised: values are -40 to 60 °C, threshold is -99",
    "configuration: config.toml: depot.url: must be text, not the number 7",
    "push: no such host",
)
ENGLISH_ACTION = re.compile(
    r"check|run `|set |put |renew|replace|stop one|try again|tried again|copy|log in|write|have "
    r"|let |look|bring|edge-agent|restart|switch on|connect a|compare|make room|nothing here|see "
    r"|edit|tell |send|wait"
)
KOREAN_ACTION = re.compile(
    r"세요|실행\)|다시 (?:합니다|받습니다|시작할 때)|계속 씁니다|확인합니다|브로커를 쓰"
)


@pytest.mark.parametrize("problem", [*SINGLE, *COMPOSED])
def test_each_problem_says_what_to_do(problem: str) -> None:
    """In its own text or behind it."""
    assert ENGLISH_ACTION.search(f"{problem} {action(problem)}")
    korean = PageTexts("ko")
    assert KOREAN_ACTION.search(f"{korean.problem(problem)} {korean.action(problem)}")


@pytest.mark.parametrize("problem", [*SINGLE, *COMPOSED])
def test_no_action_is_given_twice(problem: str) -> None:
    """One short line."""
    for told in (action(problem), PageTexts("ko").action(problem)):
        assert "\n" not in told
        assert len(told) < 100
    if re.search(r"check \[?(?:mqtt|depot|the link)|edge-agent sync", problem):
        assert action(problem) == ""


@pytest.mark.parametrize(
    ("problem", "english", "korean"),
    [
        ("no usable observation at hand", "sensor", "센서"),
        ("no time service confirms the clock", "timesyncd", "시계"),
        ("sensor a: never heard", "battery", "배터리"),
        ("storage: everything is kept in memory: a.db: disk I/O error", "room", "디스크"),
        ("reload: a.toml: rules[0].threshold: must be a number", "check-config", "설정"),
        ("mqtt: connection lost", "broker", "브로커"),
        ("mqtt: broker refuses d/health: Not authorized", "access list", "허락"),
        ("release 6 was left: passed no gate", "trainer", "학습 컴퓨터"),
    ],
)
def test_the_action_is_of_the_problem(problem: str, english: str, korean: str) -> None:
    """Not of another one."""
    assert english in action(problem)
    assert korean in action(problem, "ko")
