"""Promises about KMA's forecast: links and sensors come and go, and no forecast jumps or lapses.

The machine's own model of the world is what KMA last said for each hour, and whether it said
anything. Its weather has one course of the day; KMA is wrong by a few degrees that change slowly.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from edge_agent.contract.bundles import GUIDANCE, ISSUED, VALID
from edge_agent.contract.forecast import GUIDED_SOURCES, Forecast
from edge_agent.contract.hours import hour_of
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TARGETS, TIME, TIME_DTYPE
from edge_agent.core import cycle
from edge_agent.core.runtime import Runtime
from edge_agent.settings import Config, Device, Rule
from tests.fakes.clock import FakeClock
from tests.fakes.examples import examples
from tests.fakes.loaded import FakeRelease, Says

if TYPE_CHECKING:
    from edge_agent.core.cycle import Decision

HOUR = timedelta(hours=1)
START = datetime(2026, 3, 1, tzinfo=UTC)
OWN, STATION = "sensor:outdoor", "station:108"
REACH_H = 66
USUAL_C = 4.0 * 2.0 * np.pi / 24.0
"""Largest change of an hour that the weather makes."""


def weather(hour: int) -> float:
    """Temperature of an hour since 1970."""
    return float(10.0 + 4.0 * np.sin(2.0 * np.pi * (hour % 24) / 24.0))


class GuidancePromises(RuleBasedStateMachine):
    """A farm whose link and sensor come and go."""

    own_rules: tuple[Rule, ...] = ()
    """Of the farm's own."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.clock = FakeClock(START)
        device = Device(site="a", id="b", latitude=37.57, longitude=126.97, elevation_m=86.0)
        self.runtime = Runtime(
            Config(device=device, rules=self.own_rules), Path(self.folder.name), self.clock
        )
        self.models = FakeRelease()
        self.models.predictors = {
            AIR_TEMPERATURE: Says(self._by_models),
            RELATIVE_HUMIDITY: Says(60.0),
        }
        self.runtime.release = lambda: self.models  # type: ignore[method-assign,assignment,return-value]
        self.link, self.sensor, self.every = True, True, 1
        self.wrong, self.until = 0.0, START
        self.issued, self.absurd, self.sound = START, 0.0, True
        self.decision: Decision | None = None
        self.hour = START
        self._observe(OWN, 260)
        self._observe(STATION, 260)
        self._work()

    def teardown(self) -> None:
        """Close the farm."""
        self.runtime.close()
        self.folder.cleanup()

    def _by_models(self, matrix: np.ndarray) -> np.ndarray:
        """Three degrees too warm at the longest lead, growing from nothing."""
        origin = hour_of(self.hour)
        return np.array(
            [weather(origin + i + 1) + 3.0 * (i + 1) / len(matrix) for i in range(len(matrix))]
        )

    def _observe(self, source: str, hours: int) -> None:
        times = [self.hour - i * HOUR for i in range(hours)]
        frame = pl.DataFrame(
            {
                TIME: times,
                AIR_TEMPERATURE: [weather(hour_of(at)) for at in times],
                RELATIVE_HUMIDITY: [60.0 + at.hour % 3 for at in times],
            },
            schema_overrides={TIME: TIME_DTYPE},
        )
        self.runtime.store.put_hourly(source, frame)

    def _issue(self) -> None:
        leads = range(1, REACH_H + 1, self.every)
        valid = [self.hour + lead * HOUR for lead in leads]
        rows = {
            ISSUED: [self.hour] * len(leads),
            VALID: valid,
            AIR_TEMPERATURE: [
                weather(hour_of(self.hour) + lead) + self.wrong + self.absurd for lead in leads
            ],
            RELATIVE_HUMIDITY: [62.0] * len(leads),
        }
        given = pl.DataFrame(rows, schema_overrides={name: GUIDANCE[name] for name in rows})
        frame = pl.concat([GUIDANCE.to_frame(), given], how="diagonal")
        self.runtime.store.put_guidance(frame)
        self.issued, self.until = self.hour, valid[-1]
        self.sound, self.absurd = not self.absurd, 0.0

    def _work(self) -> None:
        now = self.hour + timedelta(minutes=2)
        self.clock.advance((now - self.clock.now()).total_seconds())
        context = self.runtime.context()
        self.decision = cycle.decide(context, now, "trusted")
        cycle.commit(context, self.decision)

    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        """Hour by hour; issues come every three hours while the link is up."""
        for _ in range(hours):
            self.hour += HOUR
            if self.sensor:
                self._observe(OWN, 1)
            if self.link:
                self._observe(STATION, 1)
                if self.hour.hour % 3 == 2:
                    self._issue()
        self._work()

    @rule()
    def link_is_lost_or_back(self) -> None:
        """Both station and KMA."""
        self.link = not self.link

    @rule()
    def sensor_dies_or_is_back(self) -> None:
        """The farm's own."""
        self.sensor = not self.sensor

    @initialize(every=st.sampled_from([1, 3]))
    def kma_has_steps(self, every: int) -> None:
        """Hourly values, or one in three hours."""
        self.every = every

    @rule(wrong=st.floats(-3.0, 3.0))
    def kma_changes(self, wrong: float) -> None:
        """Another error."""
        self.wrong = wrong

    @precondition(lambda self: self.link and self.sound and self.until > self.hour + 12 * HOUR)
    @rule(absurd=st.sampled_from([-25.0, -15.0, 15.0, 25.0]))
    def an_issue_is_absurd(self, absurd: float) -> None:
        """The next one, after one that is not."""
        self.absurd = absurd
        while self.absurd:
            self.time_passes(1)
        assert any("set aside" in note for note in self._forecast().notes)

    @invariant()
    def every_hour_has_a_number_and_a_source(self) -> None:
        """As long as there is anything to say."""
        forecast = self._forecast()
        for name in TARGETS:
            target = forecast.targets[name]
            assert np.isfinite(target.values).all()
            assert (np.diff(target.quantiles, axis=1) >= -1e-9).all()
            assert len(forecast.sources_of(name)) == len(forecast.valid_at)

    @invariant()
    def guidance_counts_as_long_as_it_reaches(self) -> None:
        """From the first issue to its last hour, whatever the sensors do."""
        forecast = self._forecast()
        ahead = [at for at in forecast.valid_at if at <= self.until - 3 * HOUR]
        readable = START < self.issued < self.hour
        far = [
            made
            for at, made in zip(
                forecast.valid_at, forecast.sources_of(AIR_TEMPERATURE), strict=True
            )
            if at in ahead and at > self.hour + 12 * HOUR
        ]
        if readable:
            assert set(far) <= set(GUIDED_SOURCES)
            assert ("guidance" in forecast.adjusted) == bool(ahead)

    @invariant()
    def no_hour_jumps(self) -> None:
        """At most one and a half times what an hour changes by itself, and KMA's own steps."""
        values = self._forecast().targets[AIR_TEMPERATURE].values
        assert np.abs(np.diff(values)).max() <= 1.5 * USUAL_C + 0.01

    @invariant()
    def no_number_is_absurd(self) -> None:
        """KMA and models are wrong by three degrees at most, and what is learned by a little."""
        forecast = self._forecast()
        expected = np.array([weather(hour_of(at)) for at in forecast.valid_at])
        wrong = np.abs(forecast.targets[AIR_TEMPERATURE].values - expected)
        guided = np.isin(forecast.sources_of(AIR_TEMPERATURE), GUIDED_SOURCES)
        assert wrong[guided].max(initial=0.0) < 8.0

    @invariant()
    def the_record_knows_no_source(self) -> None:
        """What is learned of KMA's forecast is learned once."""
        assert self.decision is not None
        past = self.decision.past_forecast
        if past is not None and "guidance" in self._forecast().adjusted:
            assert past.source == "guidance"

    def _forecast(self) -> Forecast:
        assert self.decision is not None
        forecast = self.decision.forecast
        assert isinstance(forecast, Forecast)
        return forecast


LIVES = examples(10)
TestGuidancePromises = pytest.mark.timeout(24 * LIVES)(GuidancePromises.TestCase)
TestGuidancePromises.settings = settings(
    max_examples=LIVES, stateful_step_count=12, suppress_health_check=list(HealthCheck)
)


class DeadSensorPromises(GuidancePromises):
    """KMA's cell is four degrees colder than the farm, which has learned it when its sensor dies.

    The farm's coldest hour has six degrees. KMA says two.
    """

    own_rules = (
        Rule(
            name="near-frost",
            quantity=AIR_TEMPERATURE,
            operator="<",
            threshold=4.0,
            severity="critical",
        ),
    )

    @initialize(every=st.sampled_from([1, 3]), days=st.sampled_from([0, 91, 182, 273]))
    def kma_has_steps(self, every: int, days: int = 0) -> None:
        """In every season, eight days before the first step."""
        self.every, self.wrong = every, -4.0
        self.hour += timedelta(days=days)
        self._observe(OWN, 260)
        self._observe(STATION, 260)
        self.time_passes(8 * 24)

    def link_is_lost_or_back(self) -> None:
        """Not here: what the models say then is another promise."""

    def kma_changes(self, wrong: float) -> None:
        """Not here: nobody without a sensor could know it."""

    @invariant()
    def nothing_is_told_that_does_not_come(self) -> None:
        """Neither at the change nor in the days after it."""
        assert self.decision is not None
        if self.issued > START:
            assert "near-frost" not in self.decision.raised
            cold = self._forecast().targets[AIR_TEMPERATURE].values.min()
            assert cold > 4.5


TestDeadSensorPromises = pytest.mark.timeout(24 * LIVES)(DeadSensorPromises.TestCase)
TestDeadSensorPromises.settings = settings(
    TestGuidancePromises.settings, max_examples=examples(6), stateful_step_count=8
)
