"""Metrics: what they say, and that rules and dashboard speak of metrics that exist."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from edge_agent.mqtt.connection import ConnectionState
from edge_agent.web.api.prometheus import text
from tests.fakes.shown_farm import CONNECTED, NOON, ShownFarm

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = Path(__file__).parents[4] / "deploy"
RULES = DEPLOY / "prometheus" / "farm-edge.rules.yml"
BOARD = DEPLOY / "grafana" / "farm-edge.json"


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShownFarm]:
    """A farm after 27 hours of work, one of whose sensors speaks nonsense."""
    made = ShownFarm(tmp_path_factory.mktemp("farm"))
    made.runtime.intake.take("house/bed", b"wet", NOON)
    made.work()
    yield made
    made.close()


Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def _samples(content: bytes) -> Samples:
    families = text_string_to_metric_families(content.decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.fixture
def samples(farm: ShownFarm) -> Samples:
    """Every sample with a broker away and an update that failed."""
    lost = ConnectionState(
        connected=False, version="", problem="gone", connections=2, refused_topics=()
    )
    condition = replace(CONNECTED, link=lost, faults={"update": "no depot"})
    return _samples(text(farm.snapshots.newest, condition, NOON))


def test_metrics_say_what_the_agent_knows(samples: Samples) -> None:
    """Forecast, alerts, age, queue, broker, jobs, cycle and clock, by their labels."""
    assert samples["farm_edge_data_age_seconds", ()] == 600
    assert samples["farm_edge_forecast_source", (("source", "model_relayed_station"),)] == 1
    assert samples["farm_edge_alert_raised", (("rule", "heat"), ("severity", "warning"))] == 1
    assert samples["farm_edge_alert_raised", (("rule", "frost"), ("severity", "critical"))] == 0
    assert samples["farm_edge_outbox_waiting", (("kind", "alert"),)] >= 2
    assert samples["farm_edge_mqtt_connected", ()] == 0
    assert samples["farm_edge_job_failing", (("job", "update"),)] == 1
    assert samples["farm_edge_cycle_seconds", ()] == 0.4
    assert samples["farm_edge_clock_state", (("state", "trusted"),)] == 1
    assert samples["farm_edge_release", ()] == 7
    assert samples["farm_edge_memory_bytes", ()] > 10_000_000
    assert 30 < samples["farm_edge_forecast", (("lead_h", "1"), ("target", "temperature"))] < 34


def test_metrics_verify_what_was_forecast(samples: Samples) -> None:
    """Error and bias by lead; coverage is a share."""
    key = (("lead_h", "6"), ("target", "temperature"))
    assert 0 < samples["farm_edge_forecast_rmse", key] < 4
    assert abs(samples["farm_edge_forecast_bias", key]) < 2
    assert 0.5 <= samples["farm_edge_interval_coverage", key] <= 1


def test_what_is_not_known_is_left_out() -> None:
    """Before the first cycle there is no weather, and no zero in its place."""
    names = {name for name, _ in _samples(text(None, None, NOON))}
    assert "farm_edge_info" in names
    assert not {name for name in names if "forecast" in name or "mqtt" in name}


@pytest.mark.parametrize("path", [RULES, BOARD], ids=lambda path: path.name)
def test_examples_name_metrics_that_exist(samples: Samples, path: Path) -> None:
    """Every metric in the rules and the dashboard is one that a device gives."""
    named = set(re.findall(r"farm_edge_\w+", path.read_text("utf-8")))
    assert named
    assert named <= {name for name, _ in samples}


def test_every_metric_of_weather_is_on_the_dashboard(samples: Samples) -> None:
    """What is measured about forecasts and alerts can be seen."""
    shown = BOARD.read_text("utf-8")
    wanted = {n for n, _ in samples if re.match(r"farm_edge_(forecast|alert|interval|data)", n)}
    assert {name for name in wanted - {"farm_edge_alert_unknown"} if name not in shown} == set()


def test_rules_and_dashboard_are_well_formed() -> None:
    """Every rule has an expression, a severity and a summary; every panel a query."""
    rules = [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["expr"]
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
    panels = json.loads(BOARD.read_text("utf-8"))["panels"]
    assert all(target["expr"] for panel in panels for target in panel["targets"])
