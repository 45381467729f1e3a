"""Case folders: what the agent must say to a stretch of weather; a field fault becomes a folder.

    config.toml           the device's configuration
    weather.csv           time, station values of that hour, `topic:<name>` columns with the
                          payloads that sensors send at that time, and `hidden:<quantity>` columns
                          with what nobody reports but the models foresee; `guidance:<column>`
                          with what KMA said of that hour a day before; empty = nothing. With a
                          column `work` cycles are worked only where it has something
    expected_alerts.json  every edge that must be said, in order, and no other
    expected_advice.json  the watering advice at the end, where there is one

The models of a case are right to the point where the file goes on, with errors of up to 2 C and
10 % around it; beyond its end its last value holds.
"""

from __future__ import annotations

import csv
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from edge_agent import config
from edge_agent.contract.bundles import GUIDANCE, ISSUED, VALID
from edge_agent.contract.schema import OBSERVED, TARGETS, TIME, TIME_DTYPE
from edge_agent.core.runtime import Runtime
from tests.fakes.clock import FakeClock
from tests.fakes.loaded import FakeRelease

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_agent.messages.message import Message

CASES = sorted(path.parent for path in (Path(__file__).parents[2] / "cases").glob("*/config.toml"))
HOUR = timedelta(hours=1)


def read(path: Path) -> list[tuple[datetime, dict[str, str]]]:
    """Rows by time; empty cells left out."""
    with path.open(encoding="utf-8", newline="") as handle:
        return [
            (datetime.fromisoformat(row.pop("time")), {k: v for k, v in row.items() if v})
            for row in csv.DictReader(handle)
        ]


def future(
    truth: dict[datetime, float], reported: Sequence[datetime], clock: FakeClock
) -> Callable[[np.ndarray], np.ndarray]:
    """Predictor that knows what the file says of the hours after the newest observation."""

    def values(rows: np.ndarray) -> np.ndarray:
        now = clock.now().replace(minute=0, second=0, microsecond=0)
        origin = max(at for at in reported if at <= now)
        last = truth[max(truth)]
        return np.array([truth.get(origin + (i + 1) * HOUR, last) for i in range(len(rows))])

    return values


def told_by_kma(rows: list[tuple[datetime, dict[str, str]]]) -> pl.DataFrame:
    """The `guidance:` columns as KMA's issues of the day before."""
    said = [
        {ISSUED: at - 24 * HOUR, VALID: at}
        | {name: float(cells.get(f"guidance:{name}", "nan")) for name in GUIDANCE.names()[2:]}
        for at, cells in rows
        if any(name.startswith("guidance:") for name in cells)
    ]
    return pl.DataFrame(said, schema=GUIDANCE).fill_nan(None)


def carried_off(runtime: Runtime) -> list[Message]:
    """What waits, delivered at once, as with a broker that is there."""
    waiting = [entry.message for entry in runtime.outbox.due(None, limit=1000)]
    runtime.outbox.delivered([message.id for message in waiting])
    return waiting


def play(folder: Path, state: Path) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Edges that the agent says, and its last advice."""
    rows = read(folder / "weather.csv")
    clock, models = FakeClock(rows[0][0]), FakeRelease()
    settings = config.decode((folder / "config.toml").read_bytes(), folder.name)
    runtime = Runtime(settings, state, clock, lambda: True)
    runtime.release = lambda: models  # type: ignore[method-assign,assignment,return-value]
    for target in TARGETS:
        truth = {
            at: float(cells[name])
            for at, cells in rows
            for name in (f"hidden:{target}", target)
            if name in cells
        }
        reported = [at for at, cells in rows if target in cells]
        models.predictors[target].value = future(truth, reported, clock) if truth else 20.0
    runtime.store.put_guidance(told_by_kma(rows))
    said: list[Message] = []
    chosen = any("work" in cells for _, cells in rows)
    started = False
    for at, cells in rows:
        clock.advance((at - clock.now()).total_seconds())
        for name, payload in cells.items():
            if name.startswith("topic:"):
                runtime.intake.take(name.removeprefix("topic:"), payload.encode(), at)
        known = {name: float(cells[name]) for name in OBSERVED if name in cells}
        if known:
            frame = pl.DataFrame({TIME: [at], **known}, schema_overrides={TIME: TIME_DTYPE})
            runtime.store.put_hourly("station:108", frame)
        # The first day is history only.
        started = started or at >= rows[0][0] + 24 * HOUR
        if chosen and "work" not in cells:
            continue
        if started and at.minute == 0:
            runtime.run_cycle()
        elif started:
            runtime.run_watch()
        said.extend(carried_off(runtime))
    runtime.close()
    events = [json.loads(m.payload) for m in said if m.topic.endswith("/event")]
    advice = [json.loads(m.payload) for m in said if m.topic.endswith("/advice/irrigation")]
    return events, advice[-1] if advice else None


@pytest.mark.parametrize("folder", CASES, ids=[folder.name for folder in CASES])
def test_case(folder: Path, tmp_path: Path) -> None:
    """The agent says exactly the edges of the case, each with the keys that the case names."""
    expected = json.loads((folder / "expected_alerts.json").read_text("utf-8"))
    said, advice = play(folder, tmp_path)
    keys = [set(one) for one in expected] + [{"rule", "event_type", "issued_at"}] * len(said)
    found = [{k: one[k] for k in sorted(wanted)} for one, wanted in zip(said, keys, strict=False)]
    assert found == [dict(sorted(one.items())) for one in expected]
    wanted = folder / "expected_advice.json"
    if wanted.exists():
        assert advice is not None
        advised = json.loads(wanted.read_text("utf-8"))
        assert {key: advice[key] for key in advised} == advised


def test_there_are_cases() -> None:
    """An empty folder would pass everything."""
    assert len(CASES) >= 7
