"""A run's folder: whole, or a fault that says where."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from edge_agent.contract.errors import BadData, StorageError
from edge_agent.system.files import write_atomic
from tests.fakes.clock import FakeClock
from tests.fakes.runs import GOOD, Bench
from trainer import setup
from trainer.evaluation import run_folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty workspace."""
    return Bench(setup.create(tmp_path / "central", single_key=True), FakeClock())


def test_a_full_disk_leaves_no_half_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault names the run, and the room that its first files took is free again."""

    def fill(path: Path, content: bytes) -> None:
        if path.name == run_folder.METRICS:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_atomic(path, content)

    monkeypatch.setattr(run_folder, "write_atomic", fill)
    with pytest.raises(StorageError, match=r"runs/one: cannot be written: No space left"):
        bench.run("one", GOOD)
    assert not list(bench.workspace.runs.iterdir())


def test_a_damaged_manifest_is_named(bench: Bench) -> None:
    """Which run it is of, and not the manifest alone."""
    folder = bench.run("one", GOOD)
    (folder / run_folder.MANIFEST).write_bytes(b"")
    with pytest.raises(BadData, match="one: manifest: not JSON: it is empty or cut off"):
        run_folder.load(folder)
