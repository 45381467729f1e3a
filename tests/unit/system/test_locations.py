"""Where files live."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.contract.errors import ConfigError, InputMissing
from edge_agent.system import locations


def test_state_folder_order() -> None:
    """Configured path, systemd's folder, root's, the user's: in that order."""
    env = {"STATE_DIRECTORY": "/s/one:/s/two", "XDG_STATE_HOME": "/x", "HOME": "/home/kim"}
    assert locations.state_folder("/c", env, root=True) == Path("/c")
    assert locations.state_folder("", env, root=True) == Path("/s/one")
    del env["STATE_DIRECTORY"]
    assert locations.state_folder("", env, root=True) == Path("/var/lib/edge-agent")
    assert locations.state_folder("", env, root=False) == Path("/x/edge-agent")
    env["XDG_STATE_HOME"] = "relative"
    assert locations.state_folder("", env, root=False) == Path("/home/kim/.local/state/edge-agent")


def test_no_configuration_names_the_places(tmp_path: Path) -> None:
    """The error lists where it looked."""
    with pytest.raises(InputMissing, match=r"nowhere/config\.toml"):
        locations.config_file(None, {"CONFIGURATION_DIRECTORY": str(tmp_path / "nowhere")})


def test_secret_from_file_then_credential(tmp_path: Path) -> None:
    """A password file wins over systemd's credential; neither is no secret."""
    (tmp_path / "mqtt-password").write_text("from-systemd\n")
    (tmp_path / "own").write_text(" from-file \n")
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert locations.secret(str(tmp_path / "own"), "mqtt-password", env) == "from-file"
    assert locations.secret("", "mqtt-password", env) == "from-systemd"
    assert locations.secret("", "mqtt-password", {}) is None


@pytest.mark.parametrize("content", [b"", b"  \n", b"\xff\xff", b"x" * 5000])
def test_unusable_secret_is_an_error_without_its_content(tmp_path: Path, content: bytes) -> None:
    """A secret that cannot be used stops the start, and is not printed."""
    (tmp_path / "p").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        locations.secret(str(tmp_path / "p"), "mqtt-password", {})
    assert "xxx" not in str(caught.value)


def test_named_secret_that_is_absent_is_an_error(tmp_path: Path) -> None:
    """A password file that is named must be there."""
    with pytest.raises(ConfigError, match="No such file"):
        locations.secret(str(tmp_path / "absent"), "mqtt-password", {})
