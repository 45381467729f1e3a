"""Power fails between any two file operations of an update: old or new release, never neither."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_agent.contract.errors import NothingNew
from tests.fakes.depot import Device, Yard
from tests.fakes.power import Power, PowerCut

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
FORGETS = ["nothing", "bytes", "names"]


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flushing is what `Power` pretends; the machine under the test need not do it too."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def _live(device: Device) -> int:
    """Number of the live release; its files are read, without the help of the code under test."""
    installed = device.slots.load()
    if installed is None:
        return 0
    for file in installed.manifest.files():
        assert sha256(installed.read(file)).hexdigest() == file.sha256, file.path
    return installed.manifest.release


def _walk(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    forgets: str,
    act: Callable[[Device, Yard], object],
    after: Callable[[Device, Yard], None],
    installed: tuple[str, ...] = ("one",),
    unflushed: str = "\0",
) -> int:
    """Run `act` again and again, each time with the power failing one step later.

    Returns:
        Number of steps of a whole run.
    """
    yard = Yard.make(tmp_path / "yard", single_key=True)
    copies = []
    for word in installed:
        yard.publish(word)
        copies.append(tmp_path / "pristine")
        Device(copies[-1], yard.pinned, yard.clock).sync(yard.depot)
    yard.publish("next")
    step = 0
    while True:
        folder = tmp_path / f"device{step}"
        if installed:
            shutil.copytree(tmp_path / "pristine", folder, symlinks=True)
        device = Device(folder, yard.pinned, yard.clock)
        keep = tmp_path / f"keep{step}"
        keep.mkdir()
        power = Power(monkeypatch, keep, fails_at=step, forgets=forgets, unflushed=unflushed)
        try:
            with power:
                act(device, yard)
        except PowerCut:
            after(Device(folder, yard.pinned, yard.clock), yard)
            shutil.rmtree(folder, ignore_errors=True)
            step += 1
            continue
        assert power.steps == step
        return step


def _sync(device: Device, yard: Yard) -> int:
    return device.sync(yard.depot)


@pytest.mark.parametrize("forgets", FORGETS)
def test_an_update_that_is_cut_leaves_old_or_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgets: str
) -> None:
    """At every step: release 1 or 2 is whole and live, and the next try brings 2."""

    def after(device: Device, yard: Yard) -> None:
        assert _live(device) in {1, 2}
        try:
            assert device.sync(yard.depot) == 2
        except NothingNew:
            assert _live(device) == 2

    steps = _walk(tmp_path, monkeypatch, forgets=forgets, act=_sync, after=after)
    assert steps > 30


@pytest.mark.parametrize("forgets", FORGETS)
def test_a_first_install_that_is_cut_can_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgets: str
) -> None:
    """At every step: nothing or the whole release, and the next try brings it."""

    def after(device: Device, yard: Yard) -> None:
        assert _live(device) in {0, 1}
        try:
            assert device.sync(yard.depot) == 1
        except NothingNew:
            assert _live(device) == 1

    steps = _walk(tmp_path, monkeypatch, forgets=forgets, act=_sync, after=after, installed=())
    assert steps > 30


@pytest.mark.parametrize("forgets", FORGETS)
def test_going_back_that_is_cut_leaves_one_of_the_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgets: str
) -> None:
    """At every step of a return to the previous release: it or the one left is live."""

    def act(device: Device, _: Yard) -> object:
        return device.slots.go_back("by hand")

    def after(device: Device, _: Yard) -> None:
        assert _live(device) in {1, 2}

    steps = _walk(
        tmp_path,
        monkeypatch,
        forgets=forgets,
        act=act,
        after=after,
        installed=("one", "two"),
    )
    assert steps >= 3


def test_the_disk_of_these_tests_does_forget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models not flushed, and not hashed at start: the walk finds one that is empty."""
    monkeypatch.setattr("edge_agent.updates.installed_release.matches", lambda *_: True)

    def after(device: Device, _: Yard) -> None:
        assert _live(device) in {1, 2}

    with pytest.raises(AssertionError, match=r"model\.onnx"):
        _walk(
            tmp_path,
            monkeypatch,
            forgets="bytes",
            act=_sync,
            after=after,
            unflushed=".model.onnx",
        )


def _kill(tmp_path: Path, rounds: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fakes.killer", str(tmp_path), str(rounds), "7"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    found = json.loads(done.stdout)
    assert found["faults"] == []
    assert found["killed"] > rounds // 3


def test_random_kills_leave_old_or_new(tmp_path: Path) -> None:
    """SIGKILL at 20 random moments: whatever was left, the next start and the next update work."""
    _kill(tmp_path, 20)


@pytest.mark.slow
def test_two_hundred_random_kills_leave_old_or_new(tmp_path: Path) -> None:
    """The same, 200 times."""
    _kill(tmp_path, 200)
