"""Install, upgrade, way back, uninstall: on real files, with programs that really start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edge_agent.commands.install import _self_test
from edge_agent.contract.errors import BadData, Unavailable
from edge_agent.ops.installation.installer import Installer
from edge_agent.ops.installation.layout import ACCOUNT, UNIT, UPDATE_UNITS, Layout
from edge_agent.ops.installation.program_tree import Tree, digest, installed_tree
from edge_agent.ops.installation.versions import Versions
from tests.fakes.units import ProcessManager

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = """#!{python} -SE
import os, socket, sys, time
if sys.argv[1] == "self-test":
    {self_test}
    sys.exit(0)
{run}
ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
ear.connect("\\0" + os.environ["NOTIFY_SOCKET"][1:])
ear.send(b"READY=1")
time.sleep(60)
"""
FAILS = 'print("failed  libraries: gone"); sys.exit(1)'


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An empty root."""
    return Layout(tmp_path / "root")


@pytest.fixture
def manager(layout: Layout) -> Iterator[ProcessManager]:
    """A service manager whose service ends with the test."""
    made = ProcessManager(layout)
    yield made
    made.stop()


@pytest.fixture
def installer(layout: Layout, manager: ProcessManager) -> Installer:
    """Installer that says nothing."""
    return Installer(layout, manager, _self_test, lambda _: None, time.sleep)


def impatient(installer: Installer) -> Installer:
    """The same, for which a minute is a second."""
    return replace(installer, sleep=lambda seconds: time.sleep(seconds / 60))


def build(folder: Path, version: str, *, self_test: str = "pass", run: str = "pass") -> Tree:
    """A program of its own: a script as launcher, the units of the repository as contents."""
    contents = folder / version / "_internal"
    (contents / "lib").mkdir(parents=True)
    (contents / "lib/data.bin").write_bytes(version.encode() * 1000)
    launcher = folder / version / "edge-agent"
    launcher.write_text(PROGRAM.format(python=sys.executable, self_test=self_test, run=run))
    launcher.chmod(0o755)
    for name in (UNIT, *UPDATE_UNITS, ACCOUNT):
        (contents / name).write_text(f"# {version}\nExecStart=/usr/lib/edge-agent/edge-agent run\n")
    (contents / "config.example.toml").write_text("# example\n")
    return Tree(version, launcher, contents)


def test_a_first_install_is_whole(layout: Layout, installer: Installer, tmp_path: Path) -> None:
    """Program, configuration, units, account and command are in place and the service is ready."""
    installer.install(build(tmp_path, "1.0"), start=True)
    assert installer.manager.state().active == "active"
    assert layout.config.read_text() == "# example\n"
    assert "ExecStart=/opt/edge-agent/current/edge-agent run" in (layout.units / UNIT).read_text()
    assert layout.account.is_file()
    assert str(layout.command.readlink()) == "/opt/edge-agent/current/edge-agent"
    assert os.access(layout.current / "edge-agent", os.X_OK)


def test_an_upgrade_keeps_what_people_wrote_and_the_version_before(
    layout: Layout, installer: Installer, tmp_path: Path
) -> None:
    """The configuration is untouched; two versions stay, a third pushes the first out."""
    installer.install(build(tmp_path, "1.0"), start=True)
    layout.config.write_text("mine")
    installer.install(build(tmp_path, "1.1"), start=True)
    installer.install(build(tmp_path, "1.2"), start=True)
    names = {path.name.partition("-")[0] for path in layout.versions.glob("[0-9]*")}
    assert names == {"1.1", "1.2"}
    assert layout.current.resolve().name.startswith("1.2-")
    assert layout.previous.resolve().name.startswith("1.1-")
    assert layout.config.read_text() == "mine"


def test_installing_the_same_twice_changes_nothing(
    layout: Layout, installer: Installer, tmp_path: Path
) -> None:
    """The same program is recognised by its content; there is no version before it."""
    tree = build(tmp_path, "1.0")
    installer.install(tree, start=True)
    before = layout.current.resolve()
    installer.install(tree, start=True)
    assert layout.current.resolve() == before
    assert not layout.previous.is_symlink()


def test_a_damaged_copy_is_replaced(layout: Layout, installer: Installer, tmp_path: Path) -> None:
    """Installing again over a file that has changed on the disk mends it."""
    tree = build(tmp_path, "1.0")
    installer.install(tree, start=False)
    (layout.current / "_internal/lib/data.bin").write_bytes(b"rot")
    installer.install(tree, start=False)
    assert digest(installed_tree(layout.current.resolve())) == digest(tree)


def test_a_program_that_fails_its_self_test_is_never_switched_to(
    layout: Layout, installer: Installer, manager: ProcessManager, tmp_path: Path
) -> None:
    """I1: the service that runs is not even restarted, and the bad copy is gone."""
    installer.install(build(tmp_path, "1.0"), start=True)
    before, calls = layout.current.resolve(), list(manager.calls)
    with pytest.raises(BadData, match=r"fails its self-test here.*libraries: gone"):
        installer.install(build(tmp_path, "1.1", self_test=FAILS), start=True)
    assert layout.current.resolve() == before
    assert manager.calls == calls
    assert manager.state().active == "active"
    assert len(list(layout.versions.glob("[0-9]*"))) == 1


@pytest.mark.parametrize("run", ["sys.exit(1)", "time.sleep(60)"], ids=["ends", "hangs"])
def test_an_upgrade_that_does_not_become_ready_goes_back(
    layout: Layout, installer: Installer, tmp_path: Path, run: str
) -> None:
    """I2: the old program runs again with its own unit, and the text says so."""
    installer.install(build(tmp_path, "1.0"), start=True)
    before = layout.current.resolve()
    with pytest.raises(Unavailable, match=r"1\.1-.* did not become ready.*went back to 1\.0-"):
        impatient(installer).install(build(tmp_path, "1.1", run=run), start=True)
    assert layout.current.resolve() == before
    assert (layout.units / UNIT).read_text().startswith("# 1.0")
    assert [p.name for p in layout.versions.glob("[0-9]*")] == [before.name]


def test_a_first_install_may_wait_for_its_release(
    layout: Layout, installer: Installer, tmp_path: Path
) -> None:
    """Nothing was ready before, so a service that still waits is no fault."""
    impatient(installer).install(build(tmp_path, "1.0", run="time.sleep(60)"), start=True)
    assert installer.manager.state().active == "activating"
    assert layout.current.is_dir()


def test_an_unconfirmed_version_is_left_at_the_next_install(
    layout: Layout, installer: Installer, tmp_path: Path
) -> None:
    """V3: an upgrade that was cut between switch and READY does not become the way back."""
    installer.install(build(tmp_path, "1.0"), start=False)
    versions = Versions(layout)
    versions.switch(versions.add(build(tmp_path, "1.1")))
    installer.install(build(tmp_path, "1.2"), start=False)
    assert layout.previous.resolve().name.startswith("1.0-")


def test_uninstall_leaves_configuration_and_state(
    layout: Layout, installer: Installer, manager: ProcessManager, tmp_path: Path
) -> None:
    """I3: without --purge only what was installed goes; with it nothing is left."""
    installer.install(build(tmp_path, "1.0"), start=True)
    for folder in layout.data:
        folder.mkdir(parents=True, exist_ok=True)
    installer.uninstall(purge=False)
    left = {p for p in layout.root.rglob("*") if p.is_file() or p.is_symlink()}
    assert left == {layout.config}
    assert all(folder.is_dir() for folder in layout.data)
    assert manager.calls[-2:] == ["disable", "forget"]
    installer.uninstall(purge=True)
    assert not [p for p in layout.root.rglob("*") if "edge-agent" in p.name]
    assert manager.calls[-1] == "forget account"


KILLED = """
import sys
from pathlib import Path
from edge_agent.ops.installation.installer import Installer
from edge_agent.ops.installation.layout import Layout
from edge_agent.ops.installation.program_tree import installed_tree
from edge_agent.ops.installation.units import OfflineSystemctl

class Quiet(OfflineSystemctl):
    def enable(self): pass

root, source = Path(sys.argv[1]), Path(sys.argv[2])
installer = Installer(Layout(root), Quiet(root), lambda _: None, print, lambda _: None)
print("begin", flush=True)
installer.install(installed_tree(source), start=False)
"""


def test_kill_during_install_and_install_again(
    layout: Layout, installer: Installer, tmp_path: Path
) -> None:
    """I4: after SIGKILL at any moment what `current` names is whole, and a new install succeeds."""
    old = build(tmp_path, "1.0")
    installer.install(old, start=False)
    new = build(tmp_path, "1.1")
    for number in range(400):
        (new.contents / f"lib/{number}.bin").write_bytes(os.urandom(2000))
    good = {digest(old), digest(new)}
    for delay_ms in (0, 5, 10, 20, 40, 60, 80, 120):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(layout.root), str(new.launcher.parent)],
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay_ms / 1000)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert digest(installed_tree(layout.current.resolve())) in good
    installer.install(new, start=True)
    assert digest(installed_tree(layout.current.resolve())) == digest(new)
    assert installer.manager.state().active == "active"
    assert not list(layout.versions.glob(".staging"))
