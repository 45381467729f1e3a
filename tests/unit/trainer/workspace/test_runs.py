"""Runs in a bucket: pushed and pulled whole, the newest word on them everywhere, no bytes mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trainer.workspace.runs import MANIFEST, REPORT, BucketRuns, FolderRuns
from trainer.workspace.store import MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

    from trainer.workspace.runs import RunStore

FILES = {"files/models/a/model.onnx": b"model", "farms/1.json": b"farm", "metrics.json": b"{}"}


class Killed(BaseException):
    """The process is gone."""


class DyingStore(MemoryStore):
    """Dies instead of making the n-th write."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.left = writes

    def write(self, name: str, content: bytes) -> None:
        """Write, or die."""
        self._spend()
        super().write(name, content)

    def swap(self, name: str, before: bytes | None, after: bytes) -> None:
        """Write, or die."""
        self._spend()
        super().swap(name, before, after)

    def _spend(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1


def _runs(store: MemoryStore, folder: Path) -> BucketRuns:
    return BucketRuns(store, "s3://farm/runs", folder)


def _make(folder: Path, manifest: bytes = b"manifest", **more: bytes) -> Path:
    for name, content in {**FILES, **more, MANIFEST: manifest}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def _held(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(params=["folder", "bucket"])
def runs(request: pytest.FixtureRequest, tmp_path: Path) -> RunStore:
    """Both kinds, with one run and what a killed writer left of another."""
    made: RunStore = FolderRuns(tmp_path)
    if request.param == "bucket":
        made = _runs(MemoryStore(), tmp_path)
    _make(made.folder("r2"))
    _make(made.folder("r1"))
    for run in ("r1", "r2"):
        made.folder(run)
    _make(made.folder(".r3.part"))
    (tmp_path / "r4").mkdir()
    (tmp_path / "r4" / "metrics.json").write_bytes(b"{}")
    return made


def test_whole_runs_are_listed_oldest_first(runs: RunStore) -> None:
    """Neither half runs nor what lies beside the runs."""
    assert list(runs.listing()) == ["r1", "r2"]
    assert runs.listing()["r1"] == tuple(sorted((*FILES, MANIFEST)))


def test_a_file_that_is_added_is_read_back(runs: RunStore) -> None:
    """Where it is said to lie, here and everywhere; what is not there is None."""
    runs.add("r1", REPORT, b"page")
    assert runs.read("r1", REPORT) == b"page"
    assert runs.read("r1", "none") is None
    assert (runs.folder("r1") / REPORT).read_bytes() == b"page"
    assert runs.place("r1", REPORT).endswith(f"r1/{REPORT}")


def test_another_machine_has_all_of_a_run(tmp_path: Path) -> None:
    """Any file below it, in whatever folder; nothing half written travels."""
    store = MemoryStore()
    made = _make(_runs(store, tmp_path / "one").folder("r1"))
    (made / ".metrics.json.x.tmp").write_bytes(b"half")
    _runs(store, tmp_path / "one").folder("r1")
    assert _held(_runs(store, tmp_path / "two").folder("r1")) == {**FILES, MANIFEST: b"manifest"}


def test_the_newest_word_is_read_everywhere(tmp_path: Path) -> None:
    """A run that is here already gets what another machine added or wrote anew."""
    store = MemoryStore()
    one, two = (_runs(store, tmp_path / name) for name in ("one", "two"))
    _make(one.folder("r1"))
    one.folder("r1")
    for word in (b"first", b"second"):
        two.add("r1", "gate-stable.json", word)
        assert (one.folder("r1") / "gate-stable.json").read_bytes() == word
    one.add("r1", REPORT, b"page")
    assert store.files["r1/gate-stable.json"] == b"second"


def test_what_is_missing_here_is_pulled_again(tmp_path: Path) -> None:
    """Files that were removed, as a pull that was cut short leaves it."""
    store = MemoryStore()
    _make(_runs(store, tmp_path / "one").folder("r1"))
    folder = _runs(store, tmp_path / "one").folder("r1")
    for name in ("files/models/a/model.onnx", MANIFEST):
        (folder / name).unlink()
    assert _held(_runs(store, tmp_path / "one").folder("r1")) == {**FILES, MANIFEST: b"manifest"}


@pytest.mark.parametrize("late", [False, True])
def test_of_two_that_made_a_run_the_first_counts(tmp_path: Path, *, late: bool) -> None:
    """Sums of two processors may differ in the last bit: one manifest counts, with its models."""
    store = MemoryStore()
    one, two = (_runs(store, tmp_path / name) for name in ("one", "two"))
    _make(one.folder("r1"))
    _make(two.folder("r1"), b"other", **{"files/models/b/model.onnx": b"other"})
    if late:
        # Between the look and the write.
        real = store.swap

        def between(name: str, before: bytes | None, after: bytes) -> None:
            store.swap = real  # type: ignore[method-assign]
            one.folder("r1")
            real(name, before, after)

        store.swap = between  # type: ignore[method-assign]
    else:
        one.folder("r1")
    folder = two.folder("r1")
    assert (folder / MANIFEST).read_bytes() == b"manifest"
    assert store.files[f"r1/{MANIFEST}"] == b"manifest"
    assert (folder / "files/models/a/model.onnx").read_bytes() == b"model"
    assert late or not (folder / "files/models/b").exists()


WRITES = len(FILES) + 1


@pytest.mark.parametrize("writes", range(WRITES))
def test_a_cut_push_shows_no_run_and_is_completed(tmp_path: Path, writes: int) -> None:
    """Killed before any write: others see no half run; the next call of either one ends well."""
    store = DyingStore(writes)
    _make(_runs(store, tmp_path / "one").folder("r1"))
    with pytest.raises(Killed):
        _runs(store, tmp_path / "one").folder("r1")
    other = _runs(store, tmp_path / "two")
    assert other.listing() == {}
    assert not other.folder("r1").exists()
    store.left = WRITES
    _runs(store, tmp_path / "one").folder("r1")
    assert store.left == 0
    assert _held(other.folder("r1")) == {**FILES, MANIFEST: b"manifest"}


def test_a_cut_pull_is_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while files arrive: without its manifest the folder does not count, and is filled."""
    store = MemoryStore()
    _make(_runs(store, tmp_path / "one").folder("r1"))
    _runs(store, tmp_path / "one").folder("r1")
    real, asked = store.read, []

    def read(name: str) -> bytes | None:
        asked.append(name)
        if len(asked) == 3:
            raise Killed
        return real(name)

    with monkeypatch.context() as patch:
        patch.setattr(store, "read", read)
        with pytest.raises(Killed):
            _runs(store, tmp_path / "two").folder("r1")
    assert (tmp_path / "two" / "r1").exists()
    assert not (tmp_path / "two" / "r1" / MANIFEST).exists()
    assert _held(_runs(store, tmp_path / "two").folder("r1")) == {**FILES, MANIFEST: b"manifest"}
