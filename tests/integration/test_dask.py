"""Training on a real Dask cluster, a worker of which is killed: equal to the local run."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec
import pytest

from edge_agent.contract.errors import BadData, ConfigError, TryLater
from tests.fakes.trained import AS_OF, FEW_PAIRS, WHEN, add_farm, make_workspace, shrink, train
from tests.fakes.travelled import Heavy, refuse, where
from tests.fakes.weather import record
from trainer.training import candidate
from trainer.training.backtest import backtest
from trainer.workspace import parallel
from trainer.workspace.config import Compute, decode
from trainer.workspace.parallel import each_of
from trainer.workspace.workspace import Workspace

distributed = pytest.importorskip("distributed", reason="Dask is not installed")

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
OTHERS = (112, 119)
PATIENCE_S = 60
HOST = ("--host", "127.0.0.1", "--no-dashboard")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Cluster:
    """A scheduler and two workers, each a process; they have reported once it is entered."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "scheduler.log"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        with ExitStack() as failed:
            failed.callback(self._stop)
            self._start("scheduler", "--port", "0")
            self.address = self._told(self.log, r"Scheduler at:\s+(tcp://\S+)")
            for name in ("one", "two"):
                self.work(name)
            with distributed.Client(self.address, set_as_default=False) as client:
                client.wait_for_workers(2, timeout=PATIENCE_S)
            failed.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _start(self, what: str, *words: str, name: str = "scheduler") -> None:
        command = [sys.executable, "-m", "distributed.cli.dask_" + what, *words, *HOST]
        with self.log.with_name(f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
            )

    def work(self, name: str) -> None:
        """Start a worker."""
        self._start(
            "worker", self.address, "--no-nanny", "--nthreads", "1", "--name", name, name=name
        )

    def _told(self, log: Path, pattern: str) -> str:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if found := re.search(pattern, log.read_text()):
                return found[1]
            time.sleep(0.1)
        raise AssertionError(log.read_text())

    def _stop(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers that have reported."""
    with Cluster(tmp_path_factory.mktemp("dask")) as made:
        yield made


def _on(cluster: Cluster) -> Compute:
    return Compute(backend="dask", scheduler=cluster.address)


def _farm(root: Path, address: str = "") -> Workspace:
    """Three stations, and a farm's own history that is trained on as well."""
    made = make_workspace(root)
    for number, seed in zip(OTHERS, (3, 4), strict=True):
        made.lake.merge(number, record(seed=seed), "asos", WHEN)
    compute = Compute(backend="dask", scheduler=address) if address else Compute()
    add_farm(made)
    training = msgspec.structs.replace(made.config.training, farms=True)
    config = msgspec.structs.replace(
        made.config, stations=(108, *OTHERS), compute=compute, training=training
    )
    return Workspace(made.root, config)


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_other_code_on_a_worker_is_refused(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers that might come to other numbers are not used."""
    monkeypatch.setattr(parallel, "_code", lambda: ("0.0.0",))
    with (
        pytest.raises(ConfigError, match=r"a Dask worker runs .*install the same"),
        each_of(_on(cluster)) as each,
    ):
        list(each(abs, [-1]))


def test_results_come_in_order(cluster: Cluster) -> None:
    """As of `map`, of which a cluster is another one."""
    with each_of(_on(cluster)) as each:
        assert list(each(abs, range(-5, 5))) == [5, 4, 3, 2, 1, 0, 1, 2, 3, 4]


def test_an_item_fails_as_it_would_here(cluster: Cluster) -> None:
    """Class and text of the fault reach the caller, after the results before it."""
    with each_of(_on(cluster)) as each:
        results = iter(each(refuse, range(4)))
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(BadData, match=r"^item 2: cannot be used$"):
            next(results)


def test_a_thousand_items_are_not_sent_at_once(cluster: Cluster) -> None:
    """Neither items nor results pile up: four a thread are on their way."""
    drawn: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            drawn.append(number)
            yield number

    with each_of(_on(cluster)) as each:
        results = iter(each(abs, items()))
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        assert len(drawn) == 2 * parallel._IN_HAND + 2


def test_few_items_are_shared_out(cluster: Cluster) -> None:
    """Two workers take one of two each, though one of them has what they share already."""
    with each_of(_on(cluster)) as each:
        assert len(set(each(where, range(2)))) == 2


def test_what_all_items_share_travels_once(cluster: Cluster, tmp_path: Path) -> None:
    """A worker unpickles the work once, however many items it gets."""
    with distributed.Client(cluster.address, set_as_default=False) as client:
        # Every two seconds it lets go of copies that no item at their worker waits for just then.
        client.amm.stop()
        with each_of(_on(cluster)) as each:
            assert list(each(Heavy(tmp_path), range(60))) == list(range(0, 120, 2))
        client.amm.start()
    times = {int(note.name): len(note.read_text()) for note in tmp_path.iterdir()}
    workers = [cluster.processes[name].pid for name in ("one", "two")]
    assert [times.get(pid) for pid in workers] == [1, 1]


def test_folds_of_a_backtest_are_the_local_ones(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fold is trained on a worker, and its run lies in the workspace as if trained here."""
    shrink(monkeypatch, rounds=2, pairs=FEW_PAIRS)

    def folds(workspace: Workspace) -> tuple[object, list[str]]:
        said: list[str] = []
        return (
            backtest(workspace, AS_OF, folds=2, step=timedelta(days=5), progress=said.append),
            said,
        )

    here, there = make_workspace(tmp_path / "local"), make_workspace(tmp_path / "spread")
    local = folds(here)
    with distributed.Client(cluster.address, set_as_default=False) as client:
        client.run(shrink, pytest.MonkeyPatch(), rounds=2, pairs=FEW_PAIRS)
    monkeypatch.setattr(candidate, "train", None)  # Nothing is left that could train here.
    config = msgspec.structs.replace(there.config, compute=_on(cluster))
    assert folds(Workspace(there.root, config)) == local
    assert _hashes(there.runs) == _hashes(here.runs)


def test_a_worker_dies_and_the_run_is_that_of_one_machine(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker is given work, never does it, and is killed: the other one does all of it."""
    shrink(monkeypatch)
    local = train(_farm(tmp_path / "local"))
    victim = cluster.processes["one"]
    victim.send_signal(signal.SIGSTOP)
    held: list[bool] = []
    with distributed.Client(cluster.address, set_as_default=False) as client:

        def kill_when_at_work() -> None:
            until = time.monotonic() + PATIENCE_S
            names = {w["name"]: a for a, w in client.scheduler_info()["workers"].items()}
            while time.monotonic() < until and not held:
                if client.processing()[names["one"]]:
                    held.append(True)
                time.sleep(0.05)
            victim.kill()

        killer = threading.Thread(target=kill_when_at_work)
        killer.start()
        spread = train(_farm(tmp_path / "spread", cluster.address))
        killer.join()
    assert held
    assert victim.wait() == -signal.SIGKILL
    assert spread.name == local.name
    assert _hashes(spread) == _hashes(local)


def test_what_all_items_share_outlives_its_workers(cluster: Cluster, tmp_path: Path) -> None:
    """The last worker is killed once its successor came: all is done."""
    with each_of(_on(cluster)) as each:
        done = []
        for result in each(Heavy(tmp_path), range(200)):
            done.append(result)
            if len(done) == 20:
                cluster.work("three")
            elif len(done) == 100:
                cluster.processes["two"].kill()
    assert done == list(range(0, 400, 2))


def _killing(process: subprocess.Popen[bytes]) -> Iterator[int]:
    """Items without end, in the middle of which a process is killed."""
    for number in itertools.count():
        if number == 20:
            process.kill()
        yield number


def test_a_scheduler_that_is_lost_is_tried_again_later(cluster: Cluster, tmp_path: Path) -> None:
    """In the middle of the work: exit 75 as well. No test can use the cluster after this one."""
    with (
        pytest.raises(TryLater, match="the Dask scheduler was lost"),
        each_of(_on(cluster)) as each,
    ):
        list(each(Heavy(tmp_path), _killing(cluster.processes["scheduler"])))


def test_no_scheduler_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that is down: exit 75."""
    monkeypatch.setattr(parallel, "_CONNECT_S", 0.5)
    down = Compute(backend="dask", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(TryLater, match="no Dask scheduler answers"), each_of(down):
        pass


def test_dask_needs_an_address() -> None:
    """Said when the settings are read, not in the middle of a night's training."""
    with pytest.raises(ConfigError, match=r"compute\.scheduler: .*tcp://host:8786"):
        decode(b'[compute]\nbackend = "dask"\n', "trainer.toml")
