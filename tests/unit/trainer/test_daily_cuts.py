"""A date's work in a bucket, killed before any one write: another machine ends it, once."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, date, datetime
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edge_agent.contract.errors import NothingNew
from tests.fakes.clock import FakeClock
from tests.fakes.runs import GOOD, POOR, Bench, lower_floor
from tests.fakes.trained import make_workspace
from trainer import daily
from trainer.evaluation import run_folder
from trainer.gate import drift, gate
from trainer.gate.attempts import Attempt
from trainer.gate.decision import Terms
from trainer.training import candidate
from trainer.workspace.runs import MANIFEST
from trainer.workspace.store import MemoryStore
from trainer.workspace.workspace import Workspace

pytest.importorskip("obstore", reason="obstore is not installed")

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trainer.workspace.journal import Journal

WHEN = date(2022, 1, 6)
NOW = datetime(2022, 1, 6, 4, tzinfo=UTC)
RUNS, DEPOT = "s3://farm/runs", "s3://farm/depot"
RIVAL = {**GOOD, "relative_humidity_pct": POOR["relative_humidity_pct"]}
OLD = {**POOR, "relative_humidity_pct": GOOD["relative_humidity_pct"]}


class Killed(BaseException):
    """The process is gone."""


class Bucket(MemoryStore):
    """Asks before each write whether the writer still lives."""

    def __init__(self, spend: Callable[[], None]) -> None:
        super().__init__()
        self._spend = spend

    def write(self, name: str, content: bytes) -> None:
        """Write, or die."""
        if self.files.get(name) != content:
            self._spend()
        super().write(name, content)

    def swap(self, name: str, before: bytes | None, after: bytes) -> None:
        """Write, or die."""
        self._spend()
        super().swap(name, before, after)

    def append(self, name: str, before: bytes | None, line: bytes) -> bool:
        """Write, or die."""
        self._spend()
        return super().append(name, before, line)


class Cloud:
    """Two places in a bucket, and machines on them that die when their writes are spent."""

    def __init__(self, seed: Path, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None
        self._seed, self._folder, self._patch = seed, folder, patch
        self.places = {RUNS: Bucket(self._spend), DEPOT: Bucket(self._spend)}
        for path in (seed / "depot" / "metadata").iterdir():
            self.places[DEPOT].files[f"metadata/{path.name}"] = path.read_bytes()
        patch.setattr("trainer.workspace.s3.open_bucket", self.places.__getitem__)

    def machine(self, name: str) -> Bench:
        """One with the lake and the keys, and nothing of runs."""
        root = self._folder / name
        shutil.copytree(self._seed / "keys", root / "keys")
        config = msgspec.structs.replace(
            Workspace.open(self._seed, {}).config,
            lake_path=str(self._seed / "lake"),
            runs_path=RUNS,
            depot_path=DEPOT,
        )
        return Bench(Workspace(root, config), FakeClock(NOW))

    def work(self, machine: Bench) -> Journal:
        """The date's work, whose training comes to a run of which one model is better."""

        def train(*_: object, **__: object) -> Path:
            runs = machine.workspace.run_store
            if not (runs.folder("one") / MANIFEST).exists():
                machine.run("one", RIVAL)
            return runs.folder("one")

        fetched: Any = _Fetched()
        self._patch.setattr(candidate, "train", train)
        steps = daily.Steps(lambda _: None, lambda _: fetched)
        return daily.run(machine.workspace, WHEN, "stable", machine.clock, steps)

    def _spend(self) -> None:
        if self.left == 0:
            raise Killed
        if self.left is not None:
            self.left -= 1


class _Fetched:
    def check(self) -> None:
        """Nothing was missing."""
        raise NothingNew("all is there")


@pytest.fixture(scope="module")
def _seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("cuts") / "farm").root


def _remembered(judge: Callable[..., Any]) -> Callable[..., Any]:
    """The same for the same terms, which are all that differs here."""
    known: dict[bytes, Any] = {}

    def judged(*given: Any) -> Any:  # noqa: ANN401 - as the gate gives and takes it
        terms = msgspec.json.encode(next(one for one in given if isinstance(one, Terms)))
        if terms not in known:
            known[terms] = judge(*given)
        return known[terms]

    return judged


@pytest.fixture
def seed(_seed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whose hours are judged once, and not held against a month: the stores are the subject."""
    lower_floor(monkeypatch)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(drift, "verify", lambda *_: ())
    for name in ("_daily_sums", "conclude"):
        monkeypatch.setattr(gate, name, _remembered(getattr(gate, name)))
    return _seed


def test_wherever_one_dies_another_ends_the_date(
    seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One release, one line of each log, whole runs only, and a third machine finds it done."""
    for writes in count():
        cloud = Cloud(seed, tmp_path / str(writes), monkeypatch)
        first, second = cloud.machine("first"), cloud.machine("second")
        first.publish(first.workspace.run_store.folder(first.run("old", OLD).name))
        cloud.left = writes
        try:
            cloud.work(first)
        except Killed:
            cloud.left = None
            done = cloud.work(second)
            assert (done.run, done.release) == ("one", 2), writes
        whole = cloud.left is not None
        cloud.left = None
        _whole(cloud)
        if whole:
            break
    assert writes > 20


def _whole(cloud: Cloud) -> None:
    runs, machine = cloud.places[RUNS], cloud.machine("third")
    with pytest.raises(NothingNew, match=r"done already \(release 2, run one\)"):
        cloud.work(machine)
    live = gate.champion_of(machine.workspace, "stable", machine.clock)
    assert live is not None
    assert live.release == 2
    logged = [json.loads(line)["release"] for line in runs.files["releases.jsonl"].splitlines()]
    assert logged == [1, 2]
    (attempt,) = runs.files["attempts.jsonl"].splitlines()
    assert msgspec.json.decode(attempt, type=Attempt).run == "one"
    for run in machine.workspace.run_store.listing():
        run_folder.load(machine.workspace.run_store.folder(run))
    assert gate.recompute(machine.workspace.run_store.folder("one"), "stable")[0].passed
    assert live.lineage["run"] in machine.workspace.run_store.listing()
