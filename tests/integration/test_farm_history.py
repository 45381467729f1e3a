"""A farm's own hours on their way: from the agent's cycle over a real broker into the lake."""

from __future__ import annotations

import json
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from demo.agent import ShiftedClock
from edge_agent.commands.common import OwnClock
from edge_agent.commands.history import history
from edge_agent.commands.once import once
from edge_agent.contract.errors import (
    BadData,
    InputMissing,
    NothingNew,
    StorageError,
    TryLater,
    UsageError,
)
from edge_agent.contract.schema import AIR_TEMPERATURE
from edge_agent.core.runtime import DATABASE
from edge_agent.observations import export as history_export
from edge_agent.observations.store import Store
from edge_agent.system.database import connect
from tests.fakes.bucket import bucket as a_bucket
from tests.fakes.farm import fill_weather, write_config
from tests.fakes.subscriber import Subscriber
from trainer.commands.farm import farm
from trainer.workspace.places import FarmId
from trainer.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    import click
    import polars as pl

    from edge_agent.system.ports import Clock
    from tests.fakes.mosquitto import Mosquitto

EDGE = FarmId("farm", "edge-1")
SENSOR = '[[sensors]]\ntopic = "roof"\nquantity = "air_temperature_c"\nunit = "C"\n'


@pytest.fixture
def device(tmp_path: Path, broker: Mosquitto) -> Path:
    """Configuration of a device that measures itself and shares it."""
    (tmp_path / "device").mkdir()
    fill_weather(tmp_path / "device" / "state", source=history_export.SOURCE)
    return write_config(tmp_path / "device", broker.port, f"share_history = true\n{SENSOR}")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Settings of an empty workspace."""
    (tmp_path / "work").mkdir()
    path = tmp_path / "work" / "trainer.toml"
    path.write_text("", "utf-8")
    return path


def call(command: click.Command, *args: str, clock: Clock | None = None) -> Any:  # noqa: ANN401 - JSON
    """Output of a command that must succeed, as JSON; on the system's clock or another."""
    done = CliRunner().invoke(
        command,
        [*args, "--json"],
        obj=None if clock is None else OwnClock(clock),
        catch_exceptions=False,
        standalone_mode=False,
    )
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def collect(broker: Mosquitto, workspace: Path) -> Any:  # noqa: ANN401 - JSON
    """What `trainer farm collect` makes of the broker."""
    address = f"mqtt://127.0.0.1:{broker.port}"
    return call(farm, "collect", "--mqtt", address, "--wait", "0.3", "--config", str(workspace))


def lake_rows(workspace: Path) -> pl.DataFrame:
    """What the lake has of the device."""
    return Workspace.open(workspace, {}).lake.observations(EDGE)


def test_a_week_goes_from_the_cycle_into_the_lake(
    broker: Mosquitto, device: Path, workspace: Path, tmp_path: Path
) -> None:
    """One cycle tells it, one collect has it; collect again is exit 11; an export says the same."""
    with pytest.raises(NothingNew, match="no farm shares its history below farm/v1"):
        collect(broker, workspace)
    with closing(connect(device.parent / "state" / DATABASE)) as db:
        hour = Store(db).newest(history_export.SOURCE)  # The machine's may be the next one by now.
    assert hour is not None
    call(once, "--config", str(device), clock=ShiftedClock(hour))
    done = collect(broker, workspace)
    assert [row["farm"] for row in done["farms"]] == ["farm/edge-1"]
    assert done["farms"][0]["added"] == 169
    with pytest.raises(NothingNew, match="the lake has all that the farms tell"):
        collect(broker, workspace)
    week = lake_rows(workspace)
    exported = tmp_path / "out.parquet"
    call(history, "export", str(exported), "--config", str(device))
    (row,) = call(farm, "import", str(exported), "--config", str(workspace))
    assert (row["changed"], row["revised"]) == (0, 0)
    whole = lake_rows(workspace)
    assert whole.height == 170
    assert whole.tail(week.height)[AIR_TEMPERATURE].equals(week[AIR_TEMPERATURE])
    (listed,) = call(farm, "ls", "--config", str(workspace))
    assert (listed["farm"], listed["hours"], listed["missing"][AIR_TEMPERATURE]) == (
        "farm/edge-1",
        170,
        0.0,
    )


def test_what_is_not_a_history_is_named(broker: Mosquitto, workspace: Path) -> None:
    """Exit 65 where nothing else is retained; a message beyond the limit is named as well."""
    with Subscriber(broker.port, "none") as stranger:
        stranger.publish("farm/v1/hill/a/history", b"{}", retain=True)
        stranger.publish("farm/v1/hill/b/history", b"x" * 70_000, retain=True)
    address = f"mqtt://127.0.0.1:{broker.port}"
    args = ["collect", "--mqtt", address, "--wait", "0.3", "--config", str(workspace)]
    done = CliRunner().invoke(farm, args)
    assert isinstance(done.exception, BadData)
    assert "passed over: farm/v1/hill/a/history: site: is missing" in done.stderr
    assert "passed over: farm/v1/hill/b/history: too long" in done.stderr


def test_what_is_said_meanwhile_keeps_nobody_listening(broker: Mosquitto, workspace: Path) -> None:
    """Only what is retained counts; a fleet that speaks without a pause does not hold it up."""
    heard = threading.Event()

    def speak() -> None:
        for _ in range(100):
            stranger.publish("farm/v1/hill/a/history", b"{}")
            if heard.wait(0.05):
                break

    with Subscriber(broker.port, "none") as stranger:
        speaker = threading.Thread(target=speak)
        speaker.start()
        try:
            with pytest.raises(NothingNew, match="no farm shares its history"):
                collect(broker, workspace)
        finally:
            heard.set()
            speaker.join()


def test_a_table_without_a_name_is_named_by_options(workspace: Path, tmp_path: Path) -> None:
    """All five or none; a place that is not on earth is a wrong call; good files come in anyway."""
    table = tmp_path / "old.csv"
    table.write_text("time,air_temperature_c\n2024-01-31T04:00:00Z,1.5\n", "utf-8")
    place = ["--latitude", "37.5", "--longitude", "127", "--elevation", "86"]
    where = ["--config", str(workspace)]
    for options, text in (
        (["--site", "hill"], "--device lacks: give all five or none"),
        (["--site", "hill", "--device", "A b", *place], "who the hours are of: .*device"),
    ):
        with pytest.raises(UsageError, match=text):
            call(farm, "import", str(table), *where, *options)
    named = ["--site", "hill", "--device", "a", *place]
    args = ["import", str(tmp_path / "none.csv"), str(table), *where, *named]
    done = CliRunner().invoke(farm, args)
    assert done.exit_code == InputMissing.exit_code
    assert done.stdout == "old.csv: farm hill/a: 1 hours new, 0 changed\n"
    assert "none.csv: no such file" in done.stderr
    shown = CliRunner().invoke(farm, ["ls", *where], catch_exceptions=False).stdout
    assert shown.splitlines()[1].split() == [
        *("hill/a", "1", "2024-01-31", "2024-01-31", "04:00", "0.0%", "100.0%")
    ]
    there = ["--latitude", "35.2", "--longitude", "128.6", "--elevation", "20"]
    moved = CliRunner().invoke(farm, ["move", "hill/a", *there, "--since", "2024-02-01", *where])
    assert moved.stdout == (
        "farm hill/a: enrolled at another place; hours from 2024-02-01 (KST) on count\n"
    )
    done = CliRunner().invoke(farm, ["import", str(table), *where, *named])
    assert done.exit_code == BadData.exit_code
    assert "old.csv: farm hill/a: it lies elsewhere than where it was enrolled" in done.stderr


def test_another_writer_holds_the_lake(broker: Mosquitto, device: Path, workspace: Path) -> None:
    """Exit 75, and nothing is written."""
    call(once, "--config", str(device))
    with Workspace.open(workspace, {}).lake_lock(), pytest.raises(TryLater):
        collect(broker, workspace)
    assert lake_rows(workspace).is_empty()


def test_farms_live_in_a_bucket(
    tmp_path: Path, device: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours and place of a farm come back from a real S3 server as from a folder."""
    pytest.importorskip("moto.server", reason="moto is not installed")
    pytest.importorskip("trainer.workspace.s3", reason="obstore is not installed")
    exported = tmp_path / "out.parquet"
    call(history, "export", str(exported), "--config", str(device))
    call(farm, "import", str(exported), "--config", str(workspace))
    local = lake_rows(workspace)
    with a_bucket() as env:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        workspace.write_text('lake_path = "s3://farm/lake"\n', "utf-8")
        (row,) = call(farm, "import", str(exported), "--config", str(workspace))
        assert row["added"] == 170
        (listed,) = call(farm, "ls", "--config", str(workspace))
        assert listed["farm"] == "farm/edge-1"
        assert lake_rows(workspace).equals(local)


def test_a_damaged_farm_hides_no_other(device: Path, workspace: Path, tmp_path: Path) -> None:
    """`farm ls` lists the others, names the file, and ends with its exit code."""
    exported = tmp_path / "out.csv"
    call(history, "export", str(exported), "--config", str(device))
    for name in ("edge-1", "edge-2"):
        exported.write_text(exported.read_text("utf-8").replace("edge-1", name), "utf-8")
        call(farm, "import", str(exported), "--config", str(workspace))
    (tmp_path / "work" / "lake" / "farms" / "farm" / "edge-1.json").write_bytes(b"{")
    done = CliRunner().invoke(farm, ["ls", "--config", str(workspace)])
    assert done.exit_code == StorageError.exit_code
    assert "farms/farm/edge-1.json is damaged: remove it" in done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["farm", "farm/edge-2"]
