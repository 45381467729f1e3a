"""`sync`: what it says where no release is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from edge_agent.commands.sync import sync
from edge_agent.contract import features
from edge_agent.contract.errors import NothingNew
from edge_agent.contract.manifest import FeatureContract, Rollout
from tests.fakes.depot import Yard
from tests.fakes.farm import write_config

if TYPE_CHECKING:
    from pathlib import Path


def test_a_device_outside_the_rollout_is_told_so(tmp_path: Path) -> None:
    """The release is not "here already"."""
    yard = Yard.of_now(tmp_path)
    contract = FeatureContract(features.digest(), ("a",), 72, "0")
    yard.publish("two", features=contract, rollout=Rollout(0.0, "salt"))
    depot = f'[depot]\npath = "{yard.depot}"\nroot_file = "root.json"\n'
    config = write_config(tmp_path, 1883, depot)
    with pytest.raises(NothingNew) as told:
        CliRunner().invoke(
            sync, ["--config", str(config)], catch_exceptions=False, standalone_mode=False
        )
    assert str(told.value) == (
        "nothing new: channels/stable/manifest.json: release 2 is rolled out to 0 % of the "
        "devices, and this one is not among them yet; no new observations"
    )
