"""A newer program through the depot: who may sign it, what is tried, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.contract.errors import BadData, NothingNew, Refused, TryLater
from edge_agent.updates.agent_program import program_path, update_program
from edge_agent.updates.depot import DepotClient
from edge_agent.updates.source import FolderSource
from tests.fakes.depot import Yard
from trainer.depot import roles
from trainer.depot.agent_program import publish_program
from trainer.depot.key_rotation import Rotation
from trainer.depot.targets import TargetFiles

if TYPE_CHECKING:
    from pathlib import Path

X86 = b"\x7fELF\x02" + bytes(13) + (62).to_bytes(2, "little")
ARM = b"\x7fELF\x02" + bytes(13) + (183).to_bytes(2, "little")


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """A depot with keys."""
    return Yard.make(tmp_path / "yard")


def offer(yard: Yard, content: bytes) -> str:
    """Publish a program."""
    return publish_program(yard.open(), content, yard.clock.now())


class Device:
    """One device's updater; what its installer was given, and how it ended."""

    def __init__(self, yard: Yard, folder: Path, machine: str = "x86_64") -> None:
        self._yard, self._folder, self._machine = yard, folder, machine
        self.given: list[bytes] = []
        self.code = 0

    def update(self) -> int:
        """As the timer does."""
        depot = DepotClient(FolderSource(self._yard.depot), self._folder / "tuf", self._yard.pinned)
        now = self._yard.clock.now()
        return update_program(depot, self._folder / "own", self._machine, now, self._install)

    def _install(self, program: Path) -> int:
        assert program.stat().st_mode & 0o777 == 0o700
        self.given.append(program.read_bytes())
        return self.code


def test_a_device_installs_what_is_new_and_only_once(yard: Yard, tmp_path: Path) -> None:
    """The very bytes that were signed reach the installer; the same offer is no news."""
    device = Device(yard, tmp_path / "device")
    with pytest.raises(NothingNew, match="no program for x86_64"):
        device.update()
    assert offer(yard, X86 + b"one") == "x86_64"
    assert offer(yard, ARM + b"one") == "aarch64"
    assert device.update() == 0
    with pytest.raises(NothingNew, match="is installed"):
        device.update()
    offer(yard, X86 + b"two")
    device.update()
    assert device.given == [X86 + b"one", X86 + b"two"]
    assert not (tmp_path / "device/own/edge-agent").exists()


def test_a_program_that_was_gone_back_from_is_not_tried_each_day(
    yard: Yard, tmp_path: Path
) -> None:
    """P2: its failure is remembered until another one is offered."""
    device = Device(yard, tmp_path / "device")
    device.code = 69
    offer(yard, X86 + b"bad")
    assert device.update() == 69
    with pytest.raises(NothingNew, match="was tried and failed"):
        device.update()
    assert len(device.given) == 1


def test_damaged_bytes_never_reach_the_installer(yard: Yard, tmp_path: Path) -> None:
    """P3: a program that was changed on the server is refused."""
    offer(yard, X86 + b"one")
    (stored,) = (yard.depot / "targets/agent/x86_64").iterdir()
    stored.write_bytes(X86 + b"0ne")
    device = Device(yard, tmp_path / "device")
    with pytest.raises(Refused):
        device.update()
    assert device.given == []


def test_a_key_of_the_server_cannot_offer_a_program(yard: Yard, tmp_path: Path) -> None:
    """P1: whoever holds the models key may list the path, and no device looks there."""
    path = program_path("x86_64")
    depot = yard.open()
    content = X86 + b"stolen key"
    from trainer.depot import metadata

    with depot.store.lock():
        current = metadata.Current(depot.store)
        models = current.delegate(roles.MODELS)
        line = TargetFiles(depot.store).put(path, content)
        depot._replace(current, roles.MODELS, models, models.targets | {path: line})
    device = Device(yard, tmp_path / "device")
    with pytest.raises(NothingNew, match="no program"):
        device.update()


def test_a_depot_that_nobody_renewed_gives_no_program(yard: Yard, tmp_path: Path) -> None:
    """Freshness is judged as for models."""
    offer(yard, X86)
    yard.clock.advance(20 * 86400)
    with pytest.raises(TryLater, match="expired"):
        Device(yard, tmp_path / "device").update()


def test_only_programs_for_known_machines_are_offered(yard: Yard) -> None:
    """A script, a 32-bit program or a truncated file is no program."""
    for content in (b"", b"#!/bin/sh\n", b"\x7fELF\x01" + X86[5:], X86[:18] + b"\x28\x00"):
        with pytest.raises(BadData, match="not a program"):
            offer(yard, content)


def test_without_the_targets_key_nothing_is_offered(yard: Yard) -> None:
    """The key lies in a drawer; the text says which one is missing."""
    for key in yard.keys.glob("targets*"):
        key.unlink()
    with pytest.raises(Refused, match="targets"):
        offer(yard, X86)


def test_a_rotation_keeps_the_offer(yard: Yard, tmp_path: Path) -> None:
    """Signing keys anew does not take the program from the depot, nor do releases."""
    offer(yard, X86)
    yard.publish("one")
    Rotation(yard, yard.clock, lambda: None).renew()
    assert Device(yard, tmp_path / "device").update() == 0
