"""Attacks on the depot against the built program: rows of `test_attacks` over real HTTP.

Old mirrors and sticks, mixed metadata, fast-forward, freeze and endless files. The program reads
the machine's clock, so rows that turn the clock are left to the suite of the source.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zlib import crc32

import msgspec
import pytest

from edge_agent.contract import manifest as contract
from edge_agent.contract.errors import of_exit_code
from tests.fakes import attack
from tests.fakes.attack import Scene
from tests.fakes.built import TREE, needs_program, run
from tests.fakes.clock import FakeClock
from tests.fakes.depot import Device, Yard
from tests.fakes.farm import whole_release, write_config
from tests.fakes.hostile_web import HostileWeb
from tests.fakes.tiny_release import tiny_release
from tests.integration.test_attacks import ATTACKS, ENDLESS
from trainer.depot import key_ceremony
from trainer.depot.key_rotation import Rotation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = needs_program
ROWS = (
    "root of a stranger",
    "timestamp signed by a stranger",
    "mirror goes back",
    "snapshot rollback with the timestamp key",
    "models rollback with the online keys",
    "targets rollback with the online keys",
    "snapshot without a role",
    "old root as the next one",
    "mix and match of snapshots",
    "file of another release",
    *(f"freeze by an ended {r}" for r in ("root", "timestamp", "snapshot", "targets", "models")),
    "endless timestamp",
    "endless root",
    "endless snapshot",
    "endless model",
    "redirect",
    "packed answer",
    "linked folder on a stick",
)


class RealYard(Yard):
    """A yard whose releases compute, as the built program replays them."""

    def publish(self, word: str = "one", channel: str = "stable", **changes: object) -> int:
        """See `Yard.publish`."""
        known = contract.decode(whole_release()[0])
        # Each word gives another model: one of the same bytes would not be downloaded.
        made, files = tiny_release(word, blind_above=1e6 + crc32(word.encode()))
        manifest = msgspec.structs.replace(
            made,
            sites=known.sites,
            residuals=known.residuals,
            climatology_residuals=known.climatology_residuals,
            **changes,
        )
        return self.open().publish(channel, manifest, files)


@dataclass
class BuiltDevice(Device):
    """The built program in a folder of its own."""

    def sync(self, place: str | Path) -> int:
        """`edge-agent sync`; an error is raised as the exit code names it."""
        config = self.state.parent / "config.toml"
        done = run(
            str(TREE / "edge-agent"),
            "sync",
            "--json",
            "--from",
            str(place),
            "--config",
            str(config),
        )
        assert "Traceback" not in done.stderr
        if done.returncode:
            raise of_exit_code(done.returncode, done.stderr.strip())
        return self.live()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A built device that runs release 1, pulled over HTTP."""
    now = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - the program reads the real clock
    yard = RealYard(tmp_path / "yard", FakeClock(now))
    key_ceremony.create(yard, yard.clock)
    yard.publish("one")
    (tmp_path / "device").mkdir()
    write_config(tmp_path / "device", 1, f'[depot]\nroot_file = "{yard.root / "root.json"}"\n')
    device = BuiltDevice(tmp_path / "device/state", yard.pinned, yard.clock)
    with HostileWeb(yard.depot) as web:
        assert device.sync(web.url) == 1
        yield Scene(yard, web, device, tmp_path, web.url)


@pytest.mark.parametrize("name", ROWS)
def test_the_built_program_fends_off(scene: Scene, name: str) -> None:
    """The same exit code and words as the source; the running release stays, and then goes on."""
    row = ATTACKS[name]
    row.act(scene)
    live = scene.device.slots.load()
    with pytest.raises(row.error, match=row.says) as caught:
        scene.pull()
    assert caught.value.exit_code in {75, 77}
    assert "\n" not in str(caught.value)
    assert scene.device.slots.load() == live
    assert scene.device.live() == scene.before
    assert scene.web.sent < ENDLESS


@pytest.mark.parametrize("ahead", attack.FAST_FORWARDS, ids=" and ".join)
def test_the_built_program_recovers_from_a_fast_forward(
    scene: Scene, ahead: tuple[str, ...]
) -> None:
    """Refused and told until timestamp and snapshot have new keys; then it goes on."""
    attack.fast_forward(scene, *ahead)
    with pytest.raises(Exception, match="older than what this device saw before") as caught:
        scene.pull()
    assert getattr(caught.value, "exit_code", 0) == 77
    for role in ("timestamp", "snapshot"):
        Rotation(scene.yard, scene.yard.clock).rotate(role)
    assert scene.pull() == 3
