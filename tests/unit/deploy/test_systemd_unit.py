"""The unit file: valid, hardened, and in step with what the agent does."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_agent.errors import ConfigError, UsageError
from edge_agent.mail import PASSWORD
from edge_agent.service import PING_S, STOP_S

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "deploy" / "systemd" / "edge-agent.service"
PROGRAM = "/usr/lib/edge-agent/edge-agent"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine"
)


class _Unit(configparser.RawConfigParser):
    """Keeps the case of keys; of repeated keys the last one counts here."""

    def __init__(self) -> None:
        super().__init__(strict=False, delimiters="=")
        self.read_string(UNIT.read_text("utf-8"))

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def _analyze(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *args], capture_output=True, text=True, check=False, timeout=60
    )


@needs_systemd
def test_exposure_stays_below_the_threshold() -> None:
    """The score of `systemd-analyze security` is at most 1.5 of 10."""
    result = _analyze("security", "--offline=true", "--threshold=15", str(UNIT))
    assert result.returncode == 0, result.stdout[-2000:]


@needs_systemd
def test_the_threshold_bites(tmp_path: Path) -> None:
    """A unit without its hardening fails the same check, so the check above can fail."""
    bare = tmp_path / "edge-agent.service"
    lines = UNIT.read_text("utf-8").splitlines()
    hardened = lines.index("CapabilityBoundingSet=")
    bare.write_text("\n".join([*lines[:hardened], "[Install]", "WantedBy=multi-user.target"]))
    result = _analyze("security", "--offline=true", "--threshold=15", str(bare))
    assert result.returncode != 0


@needs_systemd
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say once the program is where the unit names it."""
    program = tmp_path / "edge-agent"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "edge-agent.service"
    unit.write_text(UNIT.read_text("utf-8").replace(PROGRAM, str(program)))
    result = _analyze("verify", str(unit))
    assert result.returncode == 0, result.stderr
    assert "edge-agent.service" not in result.stderr, result.stderr


def test_the_unit_agrees_with_the_code() -> None:
    """Times, exit codes, names and paths are those that the agent uses."""
    service = _Unit()["Service"]
    assert float(service["WatchdogSec"]) >= 2 * PING_S
    assert float(service["TimeoutStopSec"]) > STOP_S + 2
    codes = {str(UsageError.exit_code), str(ConfigError.exit_code)}
    assert set(service["RestartPreventExitStatus"].split()) == codes
    assert f"LoadCredential={PASSWORD}:" in UNIT.read_text("utf-8")
    assert service["ExecStart"] == f"{PROGRAM} run"


def test_no_start_depends_on_network_or_time() -> None:
    """Nothing is required, and nothing waits for the clock to be set."""
    unit = _Unit()["Unit"]
    assert not {"Requires", "BindsTo", "Requisite"} & set(unit)
    assert "time-sync" not in unit["After"]
