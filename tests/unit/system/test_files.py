"""Atomic writes, with a disk that fails at each step."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from edge_agent.system import files

if TYPE_CHECKING:
    from pathlib import Path


def test_writes_content_and_mode_and_makes_folders(tmp_path: Path) -> None:
    """Folders are made, the bytes are there, with exactly the mode asked for."""
    path = tmp_path / "a" / "b" / "c.json"
    files.write_atomic(path, b"one")
    assert path.read_bytes() == b"one"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    files.write_atomic(path, b"two", mode=0o600)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "fchmod", "replace"])
def test_a_failing_disk_leaves_the_old_file_and_no_litter(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever step fails, the old bytes stand and the temporary file is gone."""
    path = tmp_path / "state.json"
    path.write_bytes(b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    if step == "replace":
        monkeypatch.setattr("pathlib.Path.replace", full)
    else:
        monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left"):
        files.write_atomic(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_content_is_flushed_before_the_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Order that survives a power cut: bytes, then rename, then the folder."""
    done: list[str] = []
    real_fsync, real_replace = os.fsync, type(tmp_path).replace

    def fsync(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        done.append(f"fsync {kind}")
        real_fsync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        done.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(type(tmp_path), "replace", replace)
    files.write_atomic(tmp_path / "new" / "state.json", b"x")
    assert done == ["fsync folder", "fsync file", "rename", "fsync folder"]


def test_make_folder_twice_and_over_a_file(tmp_path: Path) -> None:
    """An existing folder is fine, a file in the way is an error."""
    files.make_folder(tmp_path / "a")
    files.make_folder(tmp_path / "a")
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(OSError, match="f"):
        files.make_folder(tmp_path / "f" / "g")
