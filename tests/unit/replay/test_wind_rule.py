"""The example of a rule on the wind fires in a replay, and the built-in rule beside it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
import pytest
from click.testing import CliRunner

from edge_agent.commands.replay import replay
from edge_agent.contract.bundles import VALID
from edge_agent.contract.schema import TIME, WIND_SPEED
from tests.fakes.farm import install_release
from tests.fakes.guidance import forecasts
from tests.fakes.guided_place import observed

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLE = Path(__file__).parents[3] / "config.example.toml"
START = datetime(2026, 7, 1, tzinfo=UTC)
FIRST = START + timedelta(days=6)
STORM = START + timedelta(days=6, hours=20)


def example() -> str:
    """What a newcomer opens: the example of a rule on the wind, its comment marks taken away."""
    text = EXAMPLE.read_text("utf-8")
    part = text[text.index("# Close the vents when wind") : text.index("[builtin]")]
    return re.sub(r"^## ", "", part, flags=re.MULTILINE)


@pytest.fixture
def replayed(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Alert events of ten hours; a storm of three hours is forecast ten hours after the first."""
    (tmp_path / "state").mkdir()
    install_release(tmp_path / "state")
    storm = pl.col(VALID).is_between(STORM, STORM + timedelta(hours=2))
    guidance = forecasts(START, 7).with_columns(
        pl.when(storm).then(15.0).otherwise(3.0).alias(WIND_SPEED)
    )
    guidance.write_parquet(tmp_path / "guidance.parquet")
    observed(START, 170).select(TIME, pl.exclude(TIME)).write_parquet(tmp_path / "seen.parquet")

    def run(rules: str, *, until: pl.Expr | None = None) -> list[dict[str, Any]]:
        path = tmp_path / "config.toml"
        state = f'[storage]\npath = "{tmp_path / "state"}"\n[device]\nlanguage = "en"\n'
        path.write_text(state + rules, "utf-8")
        if until is not None:
            guidance.filter(until).write_parquet(tmp_path / "guidance.parquet")
        result = CliRunner().invoke(
            replay,
            [
                *("--config", str(path), "--observations", str(tmp_path / "seen.parquet")),
                *("--guidance", str(tmp_path / "guidance.parquet")),
                *("--from", f"{FIRST:%Y-%m-%dT%H:%MZ}"),
                *("--to", f"{FIRST + timedelta(hours=10):%Y-%m-%dT%H:%MZ}"),
            ],
        )
        assert result.exit_code == 0, result.stderr
        lines = [msgspec.json.decode(line) for line in result.stdout.splitlines()]
        return [line for line in lines if "event_type" in line]

    return run


def test_a_newcomer_closes_the_vents_in_the_wind(
    replayed: Callable[..., list[dict[str, Any]]],
) -> None:
    """Raised once the storm is within twelve hours, with the action; the built-in rule earlier."""
    events = {event["rule"]: event for event in replayed(example())}
    own, built_in = events["close-vents-in-wind"], events["strong-wind"]
    assert own["event_type"] == built_in["event_type"] == "raised"
    assert own["issued_at"] == "2026-07-07T08:02:00Z"
    assert own["action"]["command"] == "vent_close"
    assert (own["value"], own["probability"], own["first_hour"]) == (
        15.0,
        None,
        f"{STORM:%Y-%m-%dT%H:%M:%SZ}",
    )
    assert own["text"].endswith("wind of up to 15.0 m/s: close the vents")
    assert built_in["issued_at"] == "2026-07-07T00:02:00Z"
    assert "Close vents and doors" in built_in["text"]
    assert built_in["reason"].startswith("wind_speed_ms >= 12 within 24 h is forecast")


def test_guidance_that_ends_before_the_storm_raises_nothing(
    replayed: Callable[..., list[dict[str, Any]]],
) -> None:
    """What nobody forecasts is unknown."""
    events = replayed(example(), until=pl.col(VALID) < STORM)
    assert not {"close-vents-in-wind", "strong-wind"} & {event["rule"] for event in events}
