"""Rules P1 to P5: a release that does worse than the one before it is left, and nothing else is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from edge_agent.contract import manifest as contract
from edge_agent.contract.errors import BadData, InputMissing, StorageError
from edge_agent.contract.forecast import Forecast, NoForecast, Source
from edge_agent.core.auto_rollback import CYCLES, AutoRollback
from edge_agent.core.cycle import Decision
from edge_agent.updates.slots import Slots, Trial
from tests.fakes.depot import release
from tests.fakes.forecasts import NOW, forecast

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.forecasting.forecaster import LoadedRelease
    from edge_agent.updates.installed_release import InstalledRelease

NOTHING = NoForecast(NOW, "no observation")


def _decision(made: Forecast | NoForecast) -> Decision:
    return Decision(NOW, made, "", (), (), (), None, ())


@dataclass
class _Farm:
    """A device; `says` is what each release comes to: a forecast, nothing, or an error."""

    slots: Slots
    says: dict[int, Forecast | NoForecast | Exception] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)

    def install(self, number: int) -> None:
        manifest, files = release(f"word{number}", release=number)
        self.slots.switch(self.slots.stage(contract.encode(manifest), files))

    def work(self, loaded: LoadedRelease | None) -> Decision:
        assert loaded is not None
        number = loaded.manifest.release
        self.asked.append(number)
        said = self.says[number]
        if isinstance(said, Exception):
            raise said
        return _decision(said)

    def cycle(self) -> Decision:
        return AutoRollback(self.slots, self._live, _load).decide(self.work)

    def _live(self) -> LoadedRelease | None:
        installed = self.slots.load()
        return None if installed is None else _load(installed)

    @property
    def live(self) -> int:
        installed = self.slots.load()
        return 0 if installed is None else installed.manifest.release


@dataclass
class _InMemory:
    manifest: contract.Manifest
    predictors: dict[str, object]


def _load(installed: InstalledRelease) -> LoadedRelease:
    return _InMemory(installed.manifest, {})  # type: ignore[return-value]  # no model is run here


@pytest.fixture
def farm(tmp_path: Path) -> _Farm:
    """A device on release 2, which came after release 1; both forecast."""
    made = _Farm(Slots(tmp_path), {1: forecast([1.0]), 2: forecast([2.0])})
    made.install(1)
    made.install(2)
    return made


def test_p1_three_forecasts_end_the_trial(farm: _Farm) -> None:
    """Each good cycle counts; then a bad one is the ladder's matter, not a reason to go back."""
    for done in range(1, CYCLES):
        farm.cycle()
        assert farm.slots.pointer().trial == Trial(0, done)
    farm.cycle()
    assert farm.slots.pointer().trial is None
    farm.says[2] = NOTHING
    assert farm.cycle().forecast is NOTHING
    assert farm.live == 2
    assert 1 not in farm.asked


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (BadData("model of air_temperature_c: cannot compute"), "a first cycle failed: model of"),
        (MemoryError(), "a first cycle failed: MemoryError"),
        (NOTHING, "it gave no forecast where the release before it did: no observation"),
        (forecast([1.0], source=Source.CACHED), "it gave no forecast where the release before"),
        (forecast([1.0], source=Source.CLIMATOLOGY), "it gave no forecast where the release"),
    ],
)
@pytest.mark.parametrize("good", [0, CYCLES - 1])
def test_p2_worse_than_the_one_before_goes_at_once(
    farm: _Farm, said: Forecast | NoForecast | Exception, why: str, good: int
) -> None:
    """The hour is said by the previous release, which is live again; the other is remembered."""
    for _ in range(good):
        farm.cycle()
    farm.says[2] = said
    assert farm.cycle().forecast is farm.says[1]
    pointer = farm.slots.pointer()
    assert farm.live == 1
    assert (pointer.highest, pointer.previous, pointer.trial) == (2, None, None)
    assert pointer.left is not None
    assert pointer.left.release == 2
    assert pointer.left.why.startswith(why)
    assert farm.cycle().forecast is farm.says[1]
    farm.install(3)
    assert farm.slots.pointer().left is None


def test_p3_missing_weather_blames_nobody(farm: _Farm) -> None:
    """Where the previous release is silent too, the trial goes on as if there had been no hour."""
    farm.says = {1: NOTHING, 2: NOTHING}
    for _ in range(2 * CYCLES):
        assert farm.cycle().forecast is NOTHING
    assert farm.slots.pointer().trial == Trial(0, 0)
    assert farm.live == 2


def test_p3_a_fault_that_both_have_is_raised(farm: _Farm) -> None:
    """The service says it; it counts neither for nor against the release, however often."""
    farm.says = {1: ValueError("one"), 2: ValueError("two")}
    for _ in range(2 * CYCLES):
        with pytest.raises(ValueError, match="two"):
            farm.cycle()
    assert farm.live == 2


def test_p4_a_release_that_kills_the_process_goes(farm: _Farm) -> None:
    """Three beginnings without an end: the fourth start works with the previous release."""
    farm.says[2] = KeyboardInterrupt()  # type: ignore[assignment]  # stands for a kill

    def killed(loaded: LoadedRelease | None) -> Decision:
        del loaded
        raise KeyboardInterrupt

    for _ in range(CYCLES):
        with pytest.raises(KeyboardInterrupt):
            AutoRollback(farm.slots, farm._live, _load).decide(killed)
    assert farm.live == 2
    assert farm.cycle().forecast is farm.says[1]
    assert farm.live == 1
    left = farm.slots.pointer().left
    assert left is not None
    assert left.why == "the agent stopped within each of its last 3 cycles"


def test_p4_two_stops_and_an_end_are_forgiven(farm: _Farm) -> None:
    """A cycle that ends clears the count: power cuts are not the release's fault."""
    farm.slots.note(Trial(CYCLES - 1, 0))
    farm.cycle()
    assert farm.slots.pointer().trial == Trial(0, 1)


def test_p4_without_a_usable_previous_release_it_goes_on(farm: _Farm) -> None:
    """A damaged previous release is no way out: the new one is tried again, with no trial."""
    previous = farm.slots.previous()
    assert previous is not None
    (previous.folder / "manifest.json").write_bytes(b"{}")
    farm.slots.note(Trial(CYCLES, 0))
    assert farm.cycle().forecast is farm.says[2]
    assert farm.slots.pointer().trial is None
    with pytest.raises(InputMissing):
        farm.slots.go_back("by hand")


def test_p5_a_failing_disk_is_not_the_releases_fault(farm: _Farm) -> None:
    """The error goes to the caller, and the release stays."""
    farm.says[2] = StorageError("the disk is full")
    with pytest.raises(StorageError):
        farm.cycle()
    assert farm.live == 2
    assert farm.asked == [2]


def test_a_first_release_is_not_on_trial(tmp_path: Path) -> None:
    """There is nothing to go back to, so nothing is tried twice."""
    farm = _Farm(Slots(tmp_path), {1: NOTHING})
    farm.install(1)
    assert farm.cycle().forecast is NOTHING
    assert farm.asked == [1]
