"""What a person reads first on the page, and in which language."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

from edge_agent.alerts import texts
from edge_agent.alerts.state_machine import Level
from edge_agent.core.interfaces import ServiceStatus
from edge_agent.mqtt.connection import ConnectionState
from edge_agent.settings import Depot
from edge_agent.web.page.page import page
from edge_agent.web.page.texts import PageTexts
from edge_agent.web.snapshot import Snapshot, take_snapshot
from tests.fakes.shown_farm import NOON, ShownFarm

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    """A farm that has worked two hours."""
    farm = ShownFarm(tmp_path_factory.mktemp("farm"))
    farm.work(2)
    yield take_snapshot(farm.runtime, farm.decision)
    farm.close()


def shown(view: Snapshot, language: str, **faults: str) -> str:
    """The page beside a service with these faults."""
    link = ConnectionState(
        connected=True, version="5", problem="", connections=1, refused_topics=()
    )
    service = ServiceStatus(link, faults, "fine", 0.4, None)
    return page(view, service, (), NOON, language=language, acts=False)


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("turned", [False, True])
def test_the_gravest_alert_is_first(view: Snapshot, language: str, *, turned: bool) -> None:
    """Whatever the order of the rules is."""
    kinds = ["info", "critical", "warning"]
    rules = tuple(
        replace(
            status,
            rule=msgspec.structs.replace(status.rule, severity=kind),
            latch=msgspec.structs.replace(status.latch, level=Level.RAISED),
        )
        for status, kind in zip(view.rules, kinds, strict=False)
    )
    rules = rules[::-1] if turned else rules
    made = shown(replace(view, rules=rules), language)
    assert re.findall(r'<article class="alert (\w+)"', made) == ["critical", "warning", "info"]


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("role", ["indoor", "outdoor", "soil"])
def test_evidence_is_named_in_words(language: str, role: str) -> None:
    """A source's name is for programs."""
    words = PageTexts(language)
    assert texts.place_of(language, role) in words.inputs(f"sensor:{role}")
    assert ":" not in words.inputs(f"sensor:{role}") + words.inputs("cell:60-127")


@pytest.mark.parametrize(
    ("language", "action", "depot"),
    [
        ("ko", "센서를 연결해", "마지막 확인 실패"),
        ("en", "connect a sensor", "the last try failed"),
    ],
)
def test_a_problem_has_its_action_and_a_failed_try_is_one(
    view: Snapshot, language: str, action: str, depot: str
) -> None:
    """Below it; the depot was asked, and did not answer."""
    config = msgspec.structs.replace(view.config, depot=Depot(url="https://depot.example"))
    failed = replace(view, config=config)
    made = shown(
        failed, language, cycle="no usable observation at hand", update="no answer in time"
    )
    problems = re.search(r'<ul class="problems">.*?</ul>', made)
    assert problems is not None
    assert action in problems[0]
    assert depot in made
