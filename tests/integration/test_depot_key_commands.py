"""`trainer init` and `trainer keys` as a person calls them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from edge_agent.system.clock import SystemClock
from edge_agent.system.console import run
from tests.fakes.clock import FakeClock
from trainer import cli

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def _call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["trainer", *words])
    code = run(cli.cli, "trainer")
    out, err = capsys.readouterr()
    return code, out, err


def test_init_makes_two_of_three_and_says_single_key_loudly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default is 2 of 3; one key alone comes with a warning on stderr."""
    code, out, err = _call(capsys, monkeypatch, "init", str(tmp_path / "a"))
    assert code == 0, err
    assert "any 2 of 3" in out
    assert len(list((tmp_path / "a/keys").glob("root-*.pem"))) == 3
    code, _, err = _call(capsys, monkeypatch, "init", str(tmp_path / "b"), "--single-key")
    assert code == 0, err
    assert "WARNING" in err
    assert len(list((tmp_path / "b/keys").glob("root-*.pem"))) == 1


def test_encrypted_keys_rotate_with_the_passphrase_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The passphrase comes from its file; without it a rotation is refused; it is never shown."""
    secret = tmp_path / "secret"
    secret.write_text("correct horse battery\n")
    monkeypatch.setenv("TRAINER_KEY_PASSPHRASE_FILE", str(secret))
    at = str(tmp_path / "farm")
    code, out, err = _call(capsys, monkeypatch, "init", at, "--encrypt")
    assert code == 0, err
    code, out, err = _call(capsys, monkeypatch, "keys", "rotate", "models", "--config", at)
    assert code == 0, err
    monkeypatch.delenv("TRAINER_KEY_PASSPHRASE_FILE")
    code, out, err = _call(capsys, monkeypatch, "keys", "rotate", "models", "--config", at)
    assert code == 77
    assert "horse" not in out + err
    secret.write_text("short\n")
    monkeypatch.setenv("TRAINER_KEY_PASSPHRASE_FILE", str(secret))
    code, _, err = _call(capsys, monkeypatch, "init", str(tmp_path / "c"), "--encrypt")
    assert (code, err.count("\n")) == (64, 1)


def test_rotate_revoke_and_renew_change_what_show_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command leaves the depot with the keys that `show` then names."""
    at = str(tmp_path / "farm")
    _call(capsys, monkeypatch, "init", at)

    def shown() -> dict[str, list[str]]:
        _, out, _ = _call(capsys, monkeypatch, "keys", "show", "--json", "--config", at)
        return {one["role"]: one["keyids"] for one in json.loads(out)}

    before = shown()
    for words in (["rotate", "snapshot"], ["revoke", before["root"][1][:16]], ["renew"]):
        code, _, err = _call(capsys, monkeypatch, "keys", *words, "--config", at)
        assert code == 0, err
    after = shown()
    assert after["snapshot"] != before["snapshot"]
    assert len(set(after["root"]) & set(before["root"])) == 2
    assert after["models"] == before["models"]
    code, _, err = _call(capsys, monkeypatch, "keys", "revoke", "zz", "--config", at)
    assert (code, err.count("\n")) == (66, 1)


def test_status_warns_before_signatures_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fresh: dates and no warning. Later each role that is due is named with what to do."""
    at = str(tmp_path / "farm")
    _call(capsys, monkeypatch, "init", at)
    code, out, err = _call(capsys, monkeypatch, "status", "--config", at)
    assert code == 0, err
    assert "signatures end: root 20" in out
    assert "warning" not in out + err
    clock = FakeClock(SystemClock().now() + timedelta(days=20))
    monkeypatch.setattr("trainer.commands.status.SystemClock", lambda: clock)
    code, out, err = _call(capsys, monkeypatch, "status", "--config", at)
    assert code == 0, err
    assert "warning: timestamp metadata has ended" in err
    assert "run `trainer daily` or `trainer relay`" in err
    assert "root metadata" not in err
    clock.advance(timedelta(days=660).total_seconds())
    code, out, _ = _call(capsys, monkeypatch, "status", "--config", at, "--json")
    document = json.loads(out)
    warned = {text.split()[0]: text for text in document["warnings"]}
    assert set(warned) == {role["role"] for role in document["roles"]}
    assert "ends in 49 days" in warned["root"]
    assert "`trainer keys renew`" in warned["targets"]
