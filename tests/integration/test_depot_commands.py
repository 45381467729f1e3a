"""`edge-agent sync`, `trainer rollback|serve|keys` as a person calls them."""

from __future__ import annotations

import contextlib
import io
import json
from typing import TYPE_CHECKING

import polars as pl
import pytest

from edge_agent import cli as agent_cli
from edge_agent.contract.bundles import station_path
from edge_agent.contract.schema import TIME, TIME_DTYPE
from edge_agent.system.clock import SystemClock
from edge_agent.system.console import run
from tests.fakes.depot import Yard, release
from tests.fakes.tiny_release import tiny_release
from trainer import cli as trainer_cli
from trainer.depot.keyring import KeyRing
from trainer.depot.publisher import Depot
from trainer.setup import create
from trainer.workspace.store import FolderStore

if TYPE_CHECKING:
    from pathlib import Path

    from trainer.workspace.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace as `trainer init` makes it."""
    return create(tmp_path / "farm")


@pytest.fixture
def config(tmp_path: Path, workspace: Workspace) -> Path:
    """An agent's configuration that follows that workspace's depot as a folder."""
    path = tmp_path / "config.toml"
    path.write_text(
        f'[depot]\npath = "{workspace.depot}"\nroot_file = "{workspace.root}/root.json"\n'
        f'[storage]\npath = "{tmp_path}/state"\n'
    )
    return path


def _publish(workspace: Workspace, word: str = "tiny") -> int:
    depot = Depot(FolderStore(workspace.depot), KeyRing(workspace.keys), SystemClock())
    return depot.publish("stable", *tiny_release(word))


def _agent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["edge-agent", *words])
    code = run(agent_cli.cli, "edge-agent")
    out, err = capsys.readouterr()
    return code, out, err


def _trainer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["trainer", *words])
    code = run(trainer_cli.cli, "trainer")
    out, err = capsys.readouterr()
    return code, out, err


def test_sync_installs_once_and_then_says_nothing_new(
    workspace: Workspace,
    config: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A real release passes its golden windows and is live; the second call exits 11."""
    _publish(workspace)
    code, out, err = _agent(capsys, monkeypatch, "sync", "--config", str(config), "--json")
    assert code == 0, err
    assert json.loads(out)["release"] == 1
    code, _, err = _agent(capsys, monkeypatch, "sync", "--config", str(config))
    assert (code, err.count("\n")) == (11, 1)


def test_sync_before_the_first_release_is_for_later(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty channel is no fault: exit 75, one line."""
    code, _, err = _agent(capsys, monkeypatch, "sync", "--config", str(config))
    assert (code, err.count("\n")) == (75, 1)
    assert "no release on this channel yet" in err


def test_sync_from_a_foreign_depot_is_refused(
    workspace: Workspace,
    config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stick with somebody else's depot: exit 77, the file is named, nothing is installed."""
    _publish(workspace)
    Yard.make(tmp_path / "other").publish()
    code, _, err = _agent(
        capsys,
        monkeypatch,
        "sync",
        "--config",
        str(config),
        "--from",
        str(tmp_path / "other/depot"),
    )
    assert code == 77, err
    assert "timestamp.json" in err
    assert err.count("\n") == 1


def test_sync_without_a_root_is_a_configuration_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the root given by hand nothing can be trusted: exit 78, and what to do."""
    path = tmp_path / "config.toml"
    path.write_text(f'[depot]\npath = "{tmp_path}"\n[storage]\npath = "{tmp_path}/state"\n')
    code, _, err = _agent(capsys, monkeypatch, "sync", "--config", str(path))
    assert code == 78
    assert "root.json" in err


def test_a_model_that_computes_otherwise_here_is_refused(
    workspace: Workspace,
    config: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Golden windows of other models: the self-check stops the switch, exit 77."""
    import msgspec

    from tests.fakes.depot import ref

    manifest, files = tiny_release()
    golden = json.loads(files[manifest.golden.path])
    golden["windows"][0]["predictions"]["air_temperature_c"][0] += 1.0
    content = json.dumps(golden).encode()
    files[manifest.golden.path] = content
    manifest = msgspec.structs.replace(manifest, golden=ref(manifest.golden.path, content))
    Depot(FolderStore(workspace.depot), KeyRing(workspace.keys), SystemClock()).publish(
        "stable", manifest, files
    )
    code, _, err = _agent(capsys, monkeypatch, "sync", "--config", str(config))
    assert code == 77, err
    assert "self-check" in err
    assert "air_temperature_c" in err


def test_rollback_is_a_new_release_with_the_old_models(
    workspace: Workspace,
    config: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Going back makes release 3 out of release 1, logs why, and the device takes it."""
    from trainer.depot.releases import reconcile

    for word in ("one", "two"):
        _publish(workspace, word)
        reconcile(workspace, SystemClock())
    _agent(capsys, monkeypatch, "sync", "--config", str(config))
    at = str(workspace.root)
    code, out, err = _trainer(
        capsys, monkeypatch, "rollback", "--to", "1", "--reason", "too warm", "--config", at
    )
    assert code == 0, err
    assert "release 3" in out
    code, out, err = _agent(capsys, monkeypatch, "sync", "--config", str(config))
    assert code == 0, err
    assert "too warm" in out
    lines = [
        json.loads(line) for line in (workspace.root / "releases.jsonl").read_text().splitlines()
    ]
    assert [(one["release"], one["channel"]) for one in lines] == [
        (1, "stable"),
        (2, "stable"),
        (3, "stable"),
    ]
    assert lines[2]["why"] == "too warm"
    code, _, err = _trainer(
        capsys, monkeypatch, "rollback", "--to", "9", "--reason", "no", "--config", at
    )
    assert code == 66, err


def test_keys_show_tells_what_is_here(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every role with its keys; no private key in the output."""
    code, out, err = _trainer(
        capsys, monkeypatch, "keys", "show", "--json", "--config", str(workspace.root)
    )
    assert code == 0, err
    found = {one["role"]: one for one in json.loads(out)}
    assert found["root"]["threshold"] == 2
    assert len(found["root"]["keyids"]) == 3
    assert len(found["models"]["here"]) == 1
    assert "PRIVATE" not in out


def test_a_refused_release_does_not_keep_the_weather_away(
    workspace: Workspace,
    config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A release for other feature code: exit 77, and the relayed hours are stored all the same."""
    import sqlite3

    from edge_agent.contract.schema import empty_frame

    depot = Depot(FolderStore(workspace.depot), KeyRing(workspace.keys), SystemClock())
    depot.publish("stable", *release("strange"))
    hours = empty_frame().vstack(
        empty_frame()
        .clear(1)
        .with_columns(
            pl.lit(SystemClock().now()).dt.truncate("1h").cast(TIME_DTYPE).alias(TIME),
            pl.lit(21.5).alias("air_temperature_c"),
        )
    )
    buffer = io.BytesIO()
    hours.write_parquet(buffer)
    depot.publish_bundles({station_path(108): buffer.getvalue()})
    code, _, err = _agent(capsys, monkeypatch, "sync", "--config", str(config))
    assert code == 77, err
    assert "feature code" in err
    with contextlib.closing(sqlite3.connect(tmp_path / "state/agent.db")) as database:
        text = "\n".join(database.iterdump())
    assert "21.5" in text
