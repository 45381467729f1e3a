"""A release of format 2 in a depot that devices of both formats follow."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from edge_agent.contract import manifest as contract
from edge_agent.contract.errors import Refused
from edge_agent.updates import policy
from tests.fakes import former_manifest
from tests.fakes.depot import Device, Yard
from tests.fakes.guided_release import GUIDANCE_DIGEST, guided_release

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.contract.manifest import Manifest


def _device(yard: Yard, name: str) -> Device:
    device = Device(yard.root / name, yard.pinned, yard.clock, guidance_digest=GUIDANCE_DIGEST)
    assert device.sync(yard.depot) == 1
    return device


def _read_as_before(content: bytes) -> Manifest:
    former_manifest.decode(content)
    return contract.decode(content)


def test_each_device_does_what_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of format 2 installs it; one of format 1 keeps what it runs and says what to do."""
    yard = Yard.make(tmp_path / "yard")
    yard.publish("one")
    newer, former = _device(yard, "newer"), _device(yard, "former")
    guided, files = guided_release()
    assert yard.open().publish("stable", guided, files) == 2
    assert newer.sync(yard.depot) == 2
    live = newer.slots.load()
    assert live is not None
    assert live.manifest.guidance == guided.guidance
    for file in guided.files():
        assert live.read(file) == files[file.path]
    before = SimpleNamespace(**vars(contract) | {"decode": _read_as_before})
    with monkeypatch.context() as at_format_1:
        at_format_1.setattr(policy, "contract", before)
        for _ in range(2):
            with pytest.raises(Refused, match=r"'farm-edge/manifest/2', .*: update the agent"):
                former.sync(yard.depot)
            assert former.live() == 1
        # A later release without such models is for everybody again.
        yard.publish("three")
        assert former.sync(yard.depot) == 3
    assert newer.sync(yard.depot) == 3


def test_another_code_of_guidance_is_refused(tmp_path: Path) -> None:
    """Inputs that mean something else on this device: it keeps what it runs (A5)."""
    yard = Yard.make(tmp_path / "yard")
    yard.publish("one")
    device = _device(yard, "device")
    device.guidance_digest = "0" * 64
    yard.open().publish("stable", *guided_release())
    with pytest.raises(Refused, match=r"feature code of guidance 9d9d9d9d9d9d, .* 000000000000"):
        device.sync(yard.depot)
    assert device.live() == 1
