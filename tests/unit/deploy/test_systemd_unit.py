"""The unit file: valid, hardened, and in step with what the agent does."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from edge_agent.contract.errors import ConfigError, UsageError
from edge_agent.core.loop import STOP_S
from edge_agent.core.masking import PASSWORD_CREDENTIAL, PUSH_CREDENTIAL, WEB_CREDENTIAL
from edge_agent.core.systemd_reports import PING_S
from trainer.ingest.village import FORECAST_OUT
from trainer.workspace.kma_sources import API_HUB, DATA_PORTAL

ROOT = Path(__file__).parents[3]
UNITS = ROOT / "deploy" / "systemd"
UNIT = UNITS / "edge-agent.service"
PROGRAM = "/usr/lib/edge-agent/edge-agent"
TRAINER = "/opt/farm-edge/bin/trainer"

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


def _made(text: str, folder: Path) -> str:
    """A unit whose programs are there."""
    program = folder / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return text.replace(PROGRAM, str(program)).replace(TRAINER, str(program))


@needs_systemd
@pytest.mark.parametrize(
    ("name", "tenths"),
    [
        ("edge-agent.service", 15),
        ("trainer.service", 15),
        ("trainer-relay.service", 15),
        ("trainer-warnings.service", 15),
        ("edge-agent-update.service", 50),
    ],
)
def test_exposure_stays_below_the_threshold(name: str, tenths: int) -> None:
    """Scores of `systemd-analyze security`, of 100 tenths; the updater is root and writes /opt."""
    result = _analyze("security", "--offline=true", f"--threshold={tenths}", str(UNITS / name))
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
@pytest.mark.parametrize(
    "name", sorted(p.name for p in UNITS.iterdir() if p.suffix in {".service", ".timer"})
)
def test_systemd_understands_every_line(name: str, tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say once the program is where the unit names it."""
    for unit in UNITS.iterdir():
        (tmp_path / unit.name).write_text(_made(unit.read_text("utf-8"), tmp_path))
    result = _analyze("verify", str(tmp_path / name))
    assert result.returncode == 0, result.stderr
    assert str(tmp_path) not in result.stderr, result.stderr


@needs_systemd
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("edge-agent.service", {PASSWORD_CREDENTIAL, WEB_CREDENTIAL, PUSH_CREDENTIAL}),
        ("trainer.service", {DATA_PORTAL.variable.lower(), API_HUB.variable.lower()}),
        ("trainer-relay.service", {DATA_PORTAL.variable.lower(), API_HUB.variable.lower()}),
        ("trainer-warnings.service", {DATA_PORTAL.variable.lower(), API_HUB.variable.lower()}),
    ],
)
def test_every_secret_may_be_a_credential(name: str, wanted: set[str], tmp_path: Path) -> None:
    """The unit has a line for each that the code asks for; systemd takes it when it is opened."""
    text = (UNITS / name).read_text("utf-8")
    assert set(re.findall(r"^#LoadCredential=([\w-]+):/etc/", text, re.MULTILINE)) == wanted
    opened = _made(text.replace("#LoadCredential=", "LoadCredential="), tmp_path)
    (tmp_path / name).write_text(opened)
    result = _analyze("verify", str(tmp_path / name))
    assert (result.returncode, str(tmp_path) in result.stderr) == (0, False), result.stderr


@needs_systemd
def test_the_trainer_is_called_by_night_and_late_in_the_morning() -> None:
    """Its timer's times, as systemd reads them, are 02:00 and 11:20 in Korea."""
    said = _next_runs("trainer.timer")
    assert " 17:00:00 UTC" in said
    assert " 02:20:00 UTC" in said


@needs_systemd
def test_the_relay_is_called_once_it_can_read_the_newest_issue_in_each_hour() -> None:
    """The first run after a base time asks for that issue; 24 runs a day follow each other."""
    said = _next_runs("trainer-relay.timer", "--iterations=24")
    runs = [int(hour) for hour in re.findall(r" (\d\d):17:00 UTC", said)]
    assert sorted(set(runs)) == list(range(24))
    assert timedelta(minutes=17) >= FORECAST_OUT
    service = (UNITS / "trainer-relay.service").read_text("utf-8")
    (minutes,) = re.findall(r"^TimeoutStartSec=(\d+)min$", service, re.MULTILINE)
    assert int(minutes) < 60


@needs_systemd
def test_warnings_are_asked_for_every_ten_minutes() -> None:
    """144 runs a day, none in the minute of the relay."""
    said = _next_runs("trainer-warnings.timer", "--iterations=12")
    minutes = [int(minute) for minute in re.findall(r" \d\d:(\d\d):00 UTC", said)]
    assert sorted(set(minutes)) == [4, 14, 24, 34, 44, 54]


def test_both_units_of_the_trainer_work_as_the_same_account_in_the_same_folder() -> None:
    """One lake, one depot, one quota, one set of keys; only what is called differs."""
    names = ("Description", "ExecStart", "SuccessExitStatus", "Restart", "TimeoutStartSec", "#")
    day, hour = (
        [
            line
            for line in (UNITS / name).read_text("utf-8").splitlines()
            if not line.startswith(names)
        ]
        for name in ("trainer.service", "trainer-relay.service")
    )
    assert hour == day


def _next_runs(name: str, *args: str) -> str:
    text = (UNITS / name).read_text("utf-8")
    times = [line.partition("=")[2] for line in text.splitlines() if line.startswith("OnCalendar=")]
    return _analyze("calendar", "--base-time=2026-07-01 00:00:00 UTC", *args, *times).stdout


def test_the_unit_agrees_with_the_code() -> None:
    """Times, exit codes, names and paths are those that the agent uses."""
    service = _Unit()["Service"]
    assert float(service["WatchdogSec"]) >= 2 * PING_S
    assert float(service["TimeoutStopSec"]) > STOP_S + 2
    codes = {str(UsageError.exit_code), str(ConfigError.exit_code)}
    assert set(service["RestartPreventExitStatus"].split()) == codes
    assert service["ExecStart"] == f"{PROGRAM} run"


def test_no_start_depends_on_network_or_time() -> None:
    """Nothing is required, and nothing waits for the clock to be set."""
    unit = _Unit()["Unit"]
    assert not {"Requires", "BindsTo", "Requisite"} & set(unit)
    assert "time-sync" not in unit["After"]
