"""Install, upgrade with rollback, uninstall.

I1 A version that fails its self-test never becomes current.
I2 A version that does not become ready where the one before it was ready is rolled back.
I3 Configuration and state are only ever added; `uninstall --purge` alone removes them.
I4 After a power cut at any point the old or the new version runs; the next install repairs the
   rest.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edge_agent.contract.errors import BadData, Unavailable
from edge_agent.ops.installation.layout import ACCOUNT, PACKAGED, UNIT, UPDATE_UNITS
from edge_agent.ops.installation.program_tree import CONTENTS
from edge_agent.ops.installation.units import ServiceHealth
from edge_agent.ops.installation.versions import Versions
from edge_agent.system.files import make_folder, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_agent.ops.installation.layout import Layout
    from edge_agent.ops.installation.program_tree import Tree
    from edge_agent.ops.installation.units import Manager

UPGRADE_S: Final = 120.0
"""Time for a version to become ready where the one before it was ready."""
FIRST_S: Final = 15.0
"""The same at a first install: without a release it cannot become ready."""
_POLL_S: Final = 0.25
EXAMPLE: Final = "config.example.toml"


@dataclass(frozen=True, slots=True)
class Installer:
    """Installs a tree and starts it with systemd.

    Attributes:
        layout: Where things go.
        manager: Runs the service.
        self_test: Runs a version's self-test; None when good, else what is wrong, on one line.
        say: Takes a line for the user.
        sleep: Waits that many seconds.
    """

    layout: Layout
    manager: Manager
    self_test: Callable[[Path], str | None]
    say: Callable[[str], None]
    sleep: Callable[[float], None]

    def plan(self, tree: Tree) -> list[str]:
        """The steps of `install`, a line each."""
        layout = self.layout
        config = "keep" if layout.config.exists() else "create from the example"
        return [
            f"copy version {tree.version} into {layout.versions} and run its self-test",
            f"{config}: {layout.config}",
            f"write {layout.account} and, into {layout.units}, {UNIT} and {len(UPDATE_UNITS)} more",
            f"link {layout.command}",
            f"point {layout.current} to the new version, keep the one before as `previous`",
            "enable the service, start it, wait until it is ready; if not, go back",
        ]

    def install(self, tree: Tree, *, start: bool) -> None:
        """Install a tree, or upgrade to it.

        Raises:
            BadData: Its self-test failed; nothing was changed.
            Unavailable: It does not run; the version before it runs again.
            OSError: The disk refused.
        """
        versions = Versions(self.layout)
        versions.settle()
        place = versions.add(tree)
        self.say(f"{place}: copied")
        problem = self.self_test(place)
        if problem is not None:
            versions.prune()
            raise BadData(
                f"version {place.name} fails its self-test here, so it was not installed: {problem}"
            )
        was_ready = versions.current() is not None and self._health() is ServiceHealth.READY
        self._configure(place)
        versions.switch(place)
        self._write_units(place)
        self._link()
        self.manager.enable()
        if start:
            self._start(versions, place, was_ready=was_ready)
        versions.confirm()
        versions.prune()
        self.say(f"version {place.name} is installed")

    def uninstall(self, *, purge: bool) -> None:
        """Remove the program and its units; with `purge` configuration, state and account too.

        Raises:
            OSError: The disk refused.
        """
        layout = self.layout
        self.manager.disable()
        for unit in (UNIT, *UPDATE_UNITS):
            (layout.units / unit).unlink(missing_ok=True)
        layout.account.unlink(missing_ok=True)
        if self._linked():
            layout.command.unlink()
        _remove(layout.versions)
        self.manager.forget(account=purge)
        if purge:
            for folder in layout.data:
                _remove(folder)
        kept = ", ".join(str(folder) for folder in layout.data if folder.exists())
        self.say(f"removed{f'; kept: {kept} (--purge removes them)' if kept else ''}")

    def _configure(self, place: Path) -> None:
        if self.layout.config.exists():
            return
        write_atomic(self.layout.config, (place / CONTENTS / EXAMPLE).read_bytes())
        self.say(f"{self.layout.config}: created; set your place, depot and broker there")

    def _write_units(self, place: Path) -> None:
        for unit in (UNIT, *UPDATE_UNITS):
            text = (place / CONTENTS / unit).read_text("utf-8")
            content = text.replace(PACKAGED, self.layout.program).encode()
            write_atomic(self.layout.units / unit, content)
        write_atomic(self.layout.account, (place / CONTENTS / ACCOUNT).read_bytes())

    def _link(self) -> None:
        link = self.layout.command
        if self._linked():
            return
        if link.exists() or link.is_symlink():
            self.say(f"{link}: is something else, left alone")
            return
        make_folder(link.parent)
        link.symlink_to(self.layout.program)

    def _linked(self) -> bool:
        link = self.layout.command
        return link.is_symlink() and str(link.readlink()) == self.layout.program

    def _start(self, versions: Versions, place: Path, *, was_ready: bool) -> None:
        health, text = self._started(UPGRADE_S if was_ready else FIRST_S)
        if health is ServiceHealth.READY:
            self.say(f"ready: {text}" if text else "ready")
            return
        if health is ServiceHealth.WAITING and not was_ready:
            self.say(f"it runs and waits for its first release: {text or 'see systemctl status'}")
            return
        why = f"version {place.name} did not become ready ({text or health.value})"
        before = versions.go_back()
        if before is None:
            raise Unavailable(f"{why}: see `journalctl -u {UNIT}`, then install again")
        self._write_units(before)
        self.manager.enable()
        again, _ = self._started(UPGRADE_S)
        versions.prune()
        raise Unavailable(f"{why}: went back to {before.name}, which is {again.value}")

    def _started(self, patience_s: float) -> tuple[ServiceHealth, str]:
        self.manager.restart()
        waited = 0.0
        while (health := self._health()) is ServiceHealth.WAITING and waited < patience_s:
            self.sleep(_POLL_S)
            waited += _POLL_S
        return health, self.manager.state().text

    def _health(self) -> ServiceHealth:
        return self.manager.state().health()


def _remove(place: Path) -> None:
    """Remove a folder, or a link and the folder that it leads to."""
    if place.is_symlink():
        target = place.resolve()
        place.unlink()
        place = target
    if place.is_dir():
        shutil.rmtree(place)
