"""docs/extending.md, "An alert quantity": from its row to an alert in both languages, in a copy."""

from __future__ import annotations

import filecmp
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from edge_agent.contract import features

ROOT = Path(__file__).parents[2]
MOST_FILES = 2
PAGE = ROOT / "docs" / "extending.md"

COMMON = """
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

import edge_agent
from edge_agent import config
from edge_agent.alerts.evaluation import DecisionInputs, evaluate_rule
from edge_agent.alerts.evidence import Measured
from edge_agent.alerts.state_machine import Latch
from edge_agent.alerts.texts import alert_text
from edge_agent.contract import schema
from edge_agent.contract.forecast import Forecast, Source, TargetForecast
from edge_agent.messages.locale import Locale
from edge_agent.settings import Config, QuietHours, Rule, Sensor

assert Path(edge_agent.__file__).is_relative_to(Path.cwd())
NOW = datetime(2026, 7, 1, 5, tzinfo=UTC)


def alert(rule, sensors=(), **known):
    assert not list(config.check(Config(rules=(rule,), sensors=sensors)))
    about = (Latch(rule=rule.name), NOW, "trusted", "Asia/Seoul", 9, QuietHours())
    decided = evaluate_rule(DecisionInputs(rule, *about, **known))
    for language in ("ko", "en"):
        locale = Locale(language, ZoneInfo("Asia/Seoul"))
        evidence, lasted = decided.evidence, decided.lasted
        print(alert_text(locale, rule, decided.edge, evidence, now=NOW, lasted=lasted))
"""
DERIVED = """
levels, steps = np.array([0.1, 0.5, 0.9]), np.array([[-1.0, 0.0, 1.0]])
targets = {
    name: TargetForecast("", np.full(48, value), levels, np.repeat(value + steps, 48, axis=0))
    for name, value in ((schema.AIR_TEMPERATURE, 1.0), (schema.RELATIVE_HUMIDITY, 40.0))
}
hours = [NOW + timedelta(hours=lead) for lead in range(1, 49)]
forecast = Forecast(NOW, NOW, hours, targets, Source.MODEL, 1)
rule = Rule(name="sprinkler", quantity="wet_bulb_depression_c", operator=">=", threshold=3.0)
alert(rule, forecast=forecast)
"""
MEASURED = """
from edge_agent.contract import features
from edge_agent.observations.intake import Intake
from edge_agent.observations.store import Store
from edge_agent.system.database import connect

sensor = Sensor(topic="house/co2", quantity="co2_ppm", unit="ppm", role="indoor")
store, intake = Store(connect(Path("agent.db"))), Intake([sensor])
intake.take("house/co2", b"1650", NOW)
limit = {"operator": ">=", "threshold": 1500.0}
rule = Rule(name="stale-air", quantity="co2_ppm", now=True, role="indoor", **limit)
alert(rule, (sensor,), readings=(Measured(NOW, intake.newest(sensor).value),))
print(features.digest())
"""


def _blocks(heading: str) -> list[str]:
    section = PAGE.read_text("utf-8").partition("\n## An alert quantity\n")[2].partition("\n## ")[0]
    part = section.partition(f"\n### {heading}\n")[2].partition("\n### ")[0]
    return [textwrap.dedent(block) for block in re.findall(r"```python\n(.*?)```", part, re.DOTALL)]


def _copy(folder: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(ROOT / "edge_agent", folder / "edge_agent", ignore=ignore))


def _edit(path: Path, *changes: tuple[str, str]) -> None:
    """Put text behind an anchor that stands there once."""
    text = path.read_text("utf-8")
    for anchor, added in changes:
        assert text.count(anchor) == 1, anchor
        text = text.replace(anchor, anchor + added)
    path.write_text(text, "utf-8")


def _changed(copy: Path) -> list[str]:
    files = [path.relative_to(copy.parent) for path in copy.rglob("*.py")]
    return [
        str(file)
        for file in files
        if not (ROOT / file).is_file()
        or not filecmp.cmp(copy.parent / file, ROOT / file, shallow=False)
    ]


def _alerts(folder: Path, program: str) -> list[str]:
    result = subprocess.run(
        [sys.executable, "-c", COMMON + program],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def _rows(kind: str, row: str) -> tuple[str, str]:
    return f"{kind}: Final = (\n", textwrap.indent(f"{row.rstrip()},\n", "    ")


@pytest.mark.parametrize("heading", ["Derived", "Measured by a farm"])
def test_the_page_has_the_quantity(heading: str) -> None:
    """Each part of the section shows at least its row."""
    assert any(block.startswith("Quantity(") for block in _blocks(heading))


def test_a_derived_quantity_costs_two_files_at_most(tmp_path: Path) -> None:
    """A forecast rule on it is raised, and named in both languages."""
    copy = _copy(tmp_path)
    row, formula = _blocks("Derived")
    _edit(copy / "contract" / "schema.py", _rows("_DERIVED", row))
    derived = copy / "agronomy" / "derived.py"
    _edit(derived, ("    VPD: deficit_kpa,\n", textwrap.indent(formula, "    ")))
    assert 1 <= len(_changed(copy)) <= MOST_FILES
    korean, english = _alerts(tmp_path, DERIVED)
    assert "건습구 온도차 3°C 이상일" in korean
    assert "wet-bulb depression at or above 3°C" in english


def test_a_quantity_of_a_farms_sensor_costs_two_files_at_most(tmp_path: Path) -> None:
    """A sensor may report it, a live rule on it is raised, and named in both languages."""
    copy = _copy(tmp_path)
    (row,) = _blocks("Measured by a farm")
    _edit(copy / "contract" / "schema.py", _rows("_MEASURED", row))
    assert 1 <= len(_changed(copy)) <= MOST_FILES
    korean, english, digest = _alerts(tmp_path, MEASURED)
    assert "온실 이산화탄소 1650" in korean
    assert "indoor carbon dioxide is 1650" in english
    assert digest == features.digest(), "releases stay valid"
