"""Corrections of all farms of a lake: into a release, and from one release to the next."""

from __future__ import annotations

import gzip
import shutil
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest

from edge_agent.contract import site_correction as agent
from edge_agent.contract.errors import BadData, InputMissing, NothingNew
from edge_agent.contract.manifest import Rollout
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME
from tests.fakes.clock import FakeClock
from tests.fakes.hostile_farms import POISONS
from tests.fakes.loaded import manifest as loaded
from tests.fakes.own_hours import FIRST, Character, hours, settle, shared_run
from tests.fakes.runs import POOR, Bench
from tests.fakes.tuned import tuning_of
from trainer import setup
from trainer.depot.publisher import FARMS
from trainer.depot.releases import open_depot, publish_run
from trainer.gate import gate
from trainer.site_corrections import all_farms, outcomes, regression, shard_files
from trainer.site_corrections.one_farm import FarmResult
from trainer.site_corrections.republish import republish
from trainer.workspace.places import FarmId
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.contract.manifest import Manifest
    from trainer.site_corrections.all_farms import CorrectedRun

NOW = FIRST + timedelta(days=800)
HILL, FLAT, YOUNG = "hill/edge-1", "flat/edge-1", "young/edge-1"
OTHER = Character({AIR_TEMPERATURE: -2.0, RELATIVE_HUMIDITY: 9.0}, swing=1.5, seed=5)


@pytest.fixture(scope="module")
def _seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tuning") / "central"
    made = setup.create(root, single_key=True)
    manifest = gate.load(shared_run(Bench(made, FakeClock(NOW)))).manifest
    for name, like in {
        "hill": OTHER,
        "flat": Character({}, seed=1),
        "young": replace(OTHER, days=150),
    }.items():
        settle(made.lake, name, hours(like, manifest))
    return root


@pytest.fixture
def bench(_seed: Path, tmp_path: Path) -> Bench:
    """A fresh workspace with a run and three farms."""
    root = shutil.copytree(_seed, tmp_path / "central")
    return Bench(Workspace.open(root, {}), FakeClock(NOW))


def tune(bench: Bench, **changes: object) -> CorrectedRun:
    """Corrections of the run under all farms."""
    chosen = {"until": NOW, "run": "shared"} | changes
    folder = bench.workspace.runs / str(chosen.pop("run"))
    request = all_farms.CorrectionRequest(folder, "stable", **chosen)  # type: ignore[arg-type]
    return all_farms.correct_farms(bench.workspace, request, bench.clock, progress=lambda _: None)


def live(bench: Bench) -> Manifest:
    """What is published."""
    return open_depot(bench.workspace, bench.clock).live()["stable"].manifest


def corrected(bench: Bench) -> set[str]:
    """Farms that the live release corrects."""
    return set(all_farms.live_corrections(bench.workspace, "stable", bench.clock))


def publish(bench: Bench, folder: Path) -> int:
    """Put a run live."""
    return publish_run(bench.workspace, folder, "stable", "test", bench.clock)


def files(root: Path) -> dict[str, bytes]:
    """Everything below a folder."""
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_a_run_gets_the_corrections_that_are_better(bench: Bench) -> None:
    """The farm that differs is corrected, the others are counted and named."""
    made = tune(bench)
    assert made.folder.name.startswith("shared-with-farms-")
    own = gate.load(bench.workspace.runs / "shared")
    run = gate.load(made.folder)
    assert set(shard_files.unpack(run.manifest, run.files)) == {HILL}
    outcome = made.outcome
    assert (outcome.tried, outcome.better, outcome.refused) == (3, 1, 1)
    assert list(outcome.left_out) == [YOUNG]
    assert run.manifest.lineage[FARMS] == (
        "1 corrected; 3 tried, 1 better, 1 as good without, 1 not judged"
    )
    assert run.manifest.models == own.manifest.models
    assert run.metrics == own.metrics
    publish(bench, made.folder)
    assert gate.stems_from(live(bench), own.folder)
    assert gate.run_of(bench.workspace, live(bench)) == own.folder


def test_hostile_farms_change_no_other_farms_correction(bench: Bench) -> None:
    """Whatever a farm tells is in its own correction, which the gate judges, or in none (I2)."""
    shared = gate.load(bench.workspace.runs / "shared")
    before = gate.load(tune(bench).folder)
    honest = hours(OTHER, shared.manifest)
    told_by = ("huge", "infinite", "switched", "steered lately")
    for poison in told_by:
        temperature, humidity = POISONS[poison]
        told = honest.with_columns(
            temperature.alias(AIR_TEMPERATURE), humidity.alias(RELATIVE_HUMIDITY)
        )
        settle(bench.workspace.lake, poison.replace(" ", "-"), told)
    made = tune(bench)
    after = gate.load(made.folder)
    assert made.outcome.tried == 3 + len(told_by)
    corrections = shard_files.unpack(after.manifest, after.files)
    assert corrections[HILL] == shard_files.unpack(before.manifest, before.files)[HILL]
    assert not {FLAT, YOUNG} & set(corrections)
    assert after.manifest.models == before.manifest.models
    publish(bench, made.folder)
    assert HILL in corrected(bench)


def test_the_same_hours_give_the_same_bytes_and_one_attempt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second try finds its own work; another day is no other attempt, another recipe is."""
    first = tune(bench)
    before = files(bench.workspace.root)
    assert tune(bench) == first
    assert files(bench.workspace.root) == before
    attempts = bench.workspace.root / "attempts.jsonl"
    tune(bench, until=NOW + timedelta(days=1))
    assert len(attempts.read_text().splitlines()) == 1
    monkeypatch.setitem(regression.PARAMETERS, "penalty", 0.2)
    tune(bench, until=NOW + timedelta(days=1))
    assert len(attempts.read_text().splitlines()) == 2


def test_nothing_to_correct_is_the_run_itself(bench: Bench) -> None:
    """No shard, no other folder; what the gate said stands beside the run."""
    made = tune(bench, only=(FarmId.of(FLAT),))
    assert made.folder.name == "shared"
    content = bench.workspace.run_store.read("shared", outcomes.NAME)
    assert content is not None
    (record,) = outcomes.read(content)
    assert (record.farm, record.tuning) == (FLAT, None)
    assert record.decision is not None


def test_only_looking_leaves_no_trace(bench: Bench) -> None:
    """Neither a run, nor a record, nor an attempt."""
    before = files(bench.workspace.root)
    assert tune(bench, write=False).outcome.better == 1
    assert files(bench.workspace.root) == before


def test_a_farm_that_cannot_be_judged_keeps_what_fits_the_models(bench: Bench) -> None:
    """A damaged file today does not take yesterday's correction of the same models away."""
    publish(bench, tune(bench).folder)
    for path in (bench.workspace.root / "lake").glob("observations/farm=hill*/*"):
        path.write_bytes(b"nothing")
    later = tune(bench, until=NOW + timedelta(days=1))
    assert "is damaged" in later.outcome.left_out[HILL]
    assert later.outcome.lost == ()
    run = gate.load(later.folder)
    assert set(shard_files.unpack(run.manifest, run.files)) == {HILL}


def test_corrections_of_other_models_are_never_carried_on(bench: Bench) -> None:
    """New models without a judgement: the farm has no correction, and that is said."""
    publish(bench, tune(bench).folder)
    for path in (bench.workspace.root / "lake").glob("observations/farm=hill*/*"):
        path.write_bytes(b"nothing")
    bench.run("newer", POOR)
    later = tune(bench, run="newer", only=(FarmId.of(HILL),))
    assert later.folder.name == "newer"
    assert later.outcome.lost == (HILL,)
    assert later.outcome.text().endswith(f"corrected no more: {HILL}")


def test_one_farm_alone_leaves_the_others_what_they_have(bench: Bench) -> None:
    """`--farm` tries one; a farm that is gone from the lake loses its own when all are tried."""
    publish(bench, tune(bench).folder)
    one = tune(bench, only=(FarmId.of(FLAT),), until=NOW + timedelta(days=1))
    assert one.folder.name.startswith("shared-with-farms-")
    assert one.outcome.lost == ()
    (bench.workspace.root / "lake" / "farms" / "hill" / "edge-1.json").unlink()
    assert tune(bench, until=NOW + timedelta(days=2)).outcome.lost == (HILL,)


def test_retuning_publishes_the_same_models_with_corrections(bench: Bench) -> None:
    """A new release for the same devices as before; again it is nothing new."""
    staged = Rollout(10.0, "salt")
    folder = bench.workspace.runs / "shared"
    publish_run(bench.workspace, folder, "stable", "first", bench.clock, rollout=staged)
    before = live(bench)
    done = republish(bench.workspace, "stable", bench.clock, progress=lambda _: None)
    assert (done.release, corrected(bench)) == (2, {HILL})
    assert live(bench).models == before.models
    assert live(bench).rollout == staged
    assert live(bench).reason.startswith("farms: 3 tried, 1 better")
    with pytest.raises(NothingNew):
        republish(bench.workspace, "stable", bench.clock, progress=lambda _: None)


def test_retuning_needs_a_release(bench: Bench) -> None:
    """Nothing live: the error says what to do."""
    with pytest.raises(InputMissing, match="stable has no release"):
        republish(bench.workspace, "stable", bench.clock, progress=lambda _: None)


def test_a_release_names_no_farm_that_lost_its_correction(bench: Bench) -> None:
    """The trainer's people are told which; the reason, which every device shows, is silent."""
    publish_run(bench.workspace, bench.workspace.runs / "shared", "stable", "first", bench.clock)
    republish(bench.workspace, "stable", bench.clock, progress=lambda _: None)
    shutil.rmtree(bench.workspace.root / "lake" / "farms" / "hill")
    done = republish(bench.workspace, "stable", bench.clock, progress=lambda _: None)
    assert done.outcome.lost == (HILL,)
    assert HILL not in live(bench).reason


def test_without_a_farm_nothing_is_retuned(bench: Bench) -> None:
    """The lake has none and the release corrects none: the error says how to bring hours in."""
    publish_run(bench.workspace, bench.workspace.runs / "shared", "stable", "first", bench.clock)
    shutil.rmtree(bench.workspace.root / "lake" / "farms")
    with pytest.raises(NothingNew, match=r"no farm to correct for: .*`trainer farm import`"):
        republish(bench.workspace, "stable", bench.clock, progress=lambda _: None)


def test_a_decision_can_be_computed_again(bench: Bench) -> None:
    """From run and lake alone; hours that were changed since show in the evidence."""
    folder = tune(bench).folder
    recorded, again = all_farms.recompute(bench.workspace, folder, FarmId.of(HILL))
    assert again == recorded
    late = hours(OTHER, gate.load(folder).manifest).filter(
        pl.col(TIME) > FIRST + timedelta(days=390)
    )
    changed = late.with_columns(pl.col(AIR_TEMPERATURE) + 1.0)
    bench.workspace.lake.merge(FarmId.of(HILL), changed, "parquet", NOW)
    recorded, again = all_farms.recompute(bench.workspace, folder, FarmId.of(HILL))
    assert recorded.decision is not None
    assert again.decision is not None
    assert again.decision.evidence != recorded.decision.evidence
    with pytest.raises(InputMissing, match="was not judged with it"):
        all_farms.recompute(bench.workspace, folder, FarmId.of(YOUNG))


@pytest.mark.parametrize(
    ("farms", "shards"), [(1, 1), (2, 2), (4, 2), (5, 4), (16, 4), (17, 8), (1000, 32)]
)
def test_shards_grow_with_the_root_of_the_farms(farms: int, shards: int) -> None:
    """Each device finds its tuning in the shard it looks into, whatever the number."""
    manifest = loaded()
    one = tuning_of(manifest)
    refs, content = shard_files.pack({f"site-{n}/edge-1": one for n in range(farms)})
    assert len(refs) == shards
    release = msgspec.structs.replace(manifest, tuned=refs)
    for number in range(farms):
        device = f"site-{number}/edge-1"
        ref = agent.shard_of(release, device)
        assert ref is not None
        assert agent.decode(content[ref.path], release).tunings[device] == one


def test_a_damaged_record_is_said() -> None:
    """Cut short, or other bytes: one error that names the file."""
    record = outcomes.Record()
    record.add(FarmResult("hill/edge-1", "2026-01-01T00:00Z", fault="no hours"))
    whole = record.content()
    assert [one.fault for one in outcomes.read(whole)] == ["no hours"]
    for damaged in (whole[:-9], b"no gzip", gzip.compress(b"{")):
        with pytest.raises(BadData, match=r"farms\.jsonl\.gz: damaged"):
            list(outcomes.read(damaged))


def test_many_lost_corrections_are_one_line() -> None:
    """Ten farms are named, the others counted."""
    record = outcomes.Record()
    told = record.outcome(tuple(f"farm-{n}/edge-1" for n in range(12))).text()
    assert told.endswith("farm-9/edge-1 and 2 more")
