"""`edge-agent check-config`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner

from edge_agent.commands.check_config import check_config

if TYPE_CHECKING:
    from pathlib import Path


def test_lists_every_error_and_exits_78(tmp_path: Path) -> None:
    """One line an error, with file, line and key."""
    path = tmp_path / "c.toml"
    path.write_text('[device]\nlanguage = "jp"\nsitee = "x"\n')
    result = CliRunner().invoke(check_config, ["--config", str(path)])
    assert result.exit_code == 78
    lines = sorted(result.stderr.splitlines())
    assert lines == [
        f"{path}:2: device.language: 'jp' is not allowed: use one of ko, en",
        f"{path}:3: device.sitee: unknown key; did you mean 'site'?",
    ]


def test_prints_the_effective_configuration_without_secrets(tmp_path: Path) -> None:
    """Neither a password nor what an address hides is printed."""
    (tmp_path / "pw").write_text("hunter2")
    path = tmp_path / "c.toml"
    path.write_text(
        '[depot]\nurl = "https://kim:s3cret@depot.example/x?sig=abc"\n'
        '[mqtt]\nusername = "kim"\npassword_file = "pw"\n'
    )
    text = CliRunner().invoke(check_config, ["--config", str(path)])
    result = CliRunner().invoke(check_config, ["--config", str(path), "--json"])
    assert text.exit_code == result.exit_code == 0
    for secret in ("hunter2", "s3cret", "abc"):
        assert secret not in text.output + result.output
    assert "depot.example" in text.output
    document = json.loads(result.stdout)
    assert document["ok"] is True
    assert document["config"]["mqtt"]["password"] == "***"
    assert document["config"]["rules"][0]["name"] == "heat"


def test_errors_as_json(tmp_path: Path) -> None:
    """A program gets the errors as one document."""
    path = tmp_path / "c.toml"
    path.write_text("[mqtt]\nport = 70000\n")
    result = CliRunner().invoke(check_config, ["--config", str(path), "--json"])
    assert result.exit_code == 78
    (error,) = json.loads(result.stdout)["errors"]
    assert (error["path"], error["line"]) == ("mqtt.port", 2)


def test_quiet_says_nothing_of_a_good_file(tmp_path: Path) -> None:
    """The unit checks before each start: its journal is no place for the whole configuration."""
    path = tmp_path / "c.toml"
    path.write_text("")
    result = CliRunner().invoke(check_config, ["--quiet", "--config", str(path)])
    assert (result.exit_code, result.output) == (0, "")
