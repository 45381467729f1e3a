"""Official warnings in a runtime: zone and name that change, damaged files, what is shown."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edge_agent.contract.errors import BadData
from edge_agent.contract.official_warnings import WarningBundle
from edge_agent.core import official_alerts
from edge_agent.core.official_reports import report
from edge_agent.core.rule_requests import acknowledge, snooze
from edge_agent.core.runtime import Runtime
from edge_agent.messages.topics import Topics
from edge_agent.mqtt import discovery
from edge_agent.settings import Config, Depot, Device
from edge_agent.web.page.page import page
from edge_agent.web.snapshot import take_snapshot
from tests.fakes.clock import FakeClock
from tests.fakes.forecasts import NOW
from tests.fakes.home_assistant import faults
from tests.fakes.official_warning import warning

if TYPE_CHECKING:
    from pathlib import Path

RAIN = warning(level="warning", level_name="경보", announced_at=NOW, effective_at=NOW, since=NOW)
JINJU = Device(latitude=35.1799, longitude=128.1076)
STATE = "farm/v1/farm/edge-1/alert/official-rain/state"


class Farm:
    """A device that is started anew with other settings."""

    def __init__(self, state: Path) -> None:
        self._state, self.clock = state, FakeClock(NOW)
        self.runtime = self._open(JINJU)

    def _open(self, device: Device) -> Runtime:
        config = Config(device=device, depot=Depot(path="/depot"))
        runtime = Runtime(config, self._state, self.clock, lambda: True)
        runtime.settle()
        return runtime

    def restart(self, device: Device) -> Runtime:
        """With these settings."""
        self.runtime.close()
        self.runtime = self._open(device)
        return self.runtime

    def events(self) -> list[dict[str, Any]]:
        """Every event that waits, oldest first."""
        rows = self.runtime.db.execute(
            "SELECT payload FROM outbox WHERE topic LIKE '%/event' ORDER BY seq"
        )
        return [json.loads(payload) for (payload,) in rows]

    def said(self) -> list[tuple[str, str | None]]:
        """What happened and why it ended."""
        return [(event["event_type"], event["ended_by"]) for event in self.events()]


@pytest.fixture
def farm(tmp_path: Path) -> Farm:
    """A farm in Jinju that was told of a warning, by its place alone."""
    made = Farm(tmp_path)
    assert made.runtime.official.put(WarningBundle(as_of=NOW, warnings=(RAIN,)))
    made.runtime.run_watch()
    assert made.said() == [("raised", None)]
    return made


def test_a_farm_that_moves_ends_the_warning_of_its_old_zone(farm: Farm) -> None:
    """It is told as the change that it is, and once."""
    farm.restart(Device(warning_zone="창녕군")).run_watch()
    farm.runtime.run_watch()
    assert farm.said() == [("raised", None), ("cleared", "zone_changed")]


def test_a_place_in_no_zone_of_the_list_says_what_to_set(farm: Farm) -> None:
    """The alert ends, its states go, and the problem names the key."""
    farm.restart(Device()).run_watch()
    assert farm.said() == [("raised", None), ("cleared", "zone_changed")]
    assert farm.runtime.outbox.waiting(STATE) in {None, b""}
    (problem,) = official_alerts.problems(farm.runtime.config, farm.runtime.official, NOW)
    assert problem.startswith("device.warning_zone: ")
    assert "L1081400" in problem
    assert problem in farm.runtime.settings_problems(NOW), "the page and /api/health show it"
    assert report(farm.runtime, NOW)["zone"] is None


def test_a_renamed_device_tells_it_again_under_its_new_name(farm: Farm) -> None:
    """The old name ends it first."""
    device = msgspec.structs.replace(JINJU, id="edge-2")
    farm.restart(device).run_watch()
    last, new = farm.events()[-2:]
    assert (last["event_type"], last["ended_by"]) == ("cleared", "renamed")
    assert new["event_type"] == "raised"
    assert new["id"].startswith("farm/v1/farm/edge-2/")


def test_an_older_file_and_a_damaged_one_change_nothing(farm: Farm) -> None:
    """A damaged file is replaced by the next one; until then nothing is decided."""
    older = WarningBundle(as_of=NOW - timedelta(minutes=1), warnings=())
    assert not farm.runtime.official.put(older)
    farm.runtime.db.execute("UPDATE official_file SET content = x'00'")
    farm.restart(JINJU).run_watch()
    assert farm.said() == [("raised", None)]
    farm.runtime.official.put(WarningBundle(as_of=NOW + timedelta(minutes=1), warnings=()))
    farm.runtime.run_watch()
    assert farm.said() == [("raised", None), ("cleared", "lifted")]


def test_silence_is_a_problem(farm: Farm) -> None:
    """After the limit, which is told with the time of the last news."""
    at_limit = NOW + timedelta(hours=6)
    problems = official_alerts.problems
    assert problems(farm.runtime.config, farm.runtime.official, at_limit) == ()
    late = at_limit + timedelta(seconds=1)
    (problem,) = problems(farm.runtime.config, farm.runtime.official, late)
    assert f"since {NOW:%Y-%m-%d %H:%M} UTC" in problem


def test_status_history_and_page_show_it(farm: Farm) -> None:
    """In KMA's words; a person acknowledges it, and nobody snoozes it."""
    assert report(farm.runtime, NOW)["standing"]["official-rain"]["level"] == "warning"
    assert farm.runtime.log.newest(1)[0].rule == "official-rain"
    shown = page(take_snapshot(farm.runtime, None), None, (), NOW, language="ko", acts=True)
    assert "기상청 특보" in shown
    assert "호우경보" in shown
    assert 'data-rule="official-rain"' in shown
    acknowledge(farm.runtime, "official-rain")
    assert json.loads(farm.runtime.outbox.waiting(STATE) or b"")["acknowledged"] is True
    with pytest.raises(BadData, match="not snoozed"):
        snooze(farm.runtime, "official-rain", 60)
    with pytest.raises(BadData, match="there are official-wind"):
        acknowledge(farm.runtime, "official-meteors")
    farm.runtime.official.put(WarningBundle(as_of=NOW + timedelta(minutes=1), warnings=()))
    farm.runtime.run_watch()
    english = page(take_snapshot(farm.runtime, None), None, (), NOW, language="en", acts=False)
    assert "진주시: no warning stands." in english


@pytest.mark.parametrize(("device", "kinds"), [(JINJU, 11), (Device(), 0)])
def test_home_assistant_has_a_sensor_and_an_event_a_kind(device: Device, kinds: int) -> None:
    """Where the zone is known."""
    config = Config(device=device, depot=Depot(path="/depot"))
    made = discovery.message(config, Topics.of("farm", "edge-1"), (), "1", b"")
    assert made is not None
    assert faults(made.topic, made.payload) == []
    components = json.loads(made.payload)["components"]
    own = [c for key, c in components.items() if key.startswith("official_")]
    platforms = [component["platform"] for component in own]
    assert (platforms.count("binary_sensor"), platforms.count("event")) == (kinds, kinds)
