"""`edge-agent drill` through a real broker, and `replay --explain` of what an agent said."""

from __future__ import annotations

import json
import sqlite3
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from edge_agent.commands.drill import drill
from edge_agent.commands.once import once
from edge_agent.commands.replay import replay
from edge_agent.contract.errors import FarmError, InputMissing, TryLater, UsageError
from edge_agent.core.runtime import DATABASE
from tests.fakes.farm import OWN_RULES_ALONE, ROOT, fill_weather, install_release
from tests.fakes.mosquitto import Mosquitto, free_port
from tests.fakes.subscriber import Subscriber

if TYPE_CHECKING:
    from pathlib import Path

    import click

RULES = f"""{OWN_RULES_ALONE}
[[rules]]
name = "heat"
quantity = "air_temperature_c"
operator = ">="
threshold = 30.0
[rules.action]
command = "vent_open"
"""


def farm(folder: Path, port: int) -> Path:
    """Configuration of a device with a release and hot weather."""
    path = folder / "c.toml"
    path.write_text(
        f'[storage]\npath = "state"\n[mqtt]\nhost = "127.0.0.1"\nport = {port}\n{RULES}'
    )
    install_release(folder / "state")
    fill_weather(folder / "state")
    return path


def call(command: click.Command, path: Path, *args: str) -> tuple[int, str]:
    """Exit code and output."""
    result = CliRunner().invoke(
        command, ["--config", str(path), *args], catch_exceptions=False, standalone_mode=False
    )
    return result.exit_code, result.stdout


def explained(path: Path, name: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document of an explanation."""
    result = CliRunner().invoke(replay, ["--config", str(path), "--explain", name, "--json"])
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return result.exit_code, found


def test_a_drill_reaches_who_listens(tmp_path: Path, broker: Mosquitto) -> None:
    """Marked, with an end and without an action; the retained state says nothing of it."""
    path = farm(tmp_path, broker.port)
    with Subscriber(broker.port) as controller:
        assert call(drill, path, "heat") == (0, "drill of heat: sent\n")
        controller.wait(lambda heard: any(h.topic.endswith("/availability") for h in heard[1:]))
        (body,) = controller.payloads(f"{ROOT}/alert/heat/event")
        topics = {heard.topic for heard in controller.heard}
    said = json.loads(body)
    assert (said["drill"], said["event_type"], said["action"]) == (True, "raised", None)
    assert "훈련" in said["text"]
    assert topics == {f"{ROOT}/alert/heat/event", f"{ROOT}/availability"}


def test_a_drill_that_does_not_arrive_is_told(tmp_path: Path) -> None:
    """A broker that is away, a rule that does not exist: exit 75 and 64, one line each."""
    path = farm(tmp_path, free_port())
    with pytest.raises(TryLater, match="drill of heat: it waits in the queue: "):
        call(drill, path, "heat", "--wait", "3")
    with pytest.raises(UsageError, match="no rule is called 'hail'; there are heat"):
        call(drill, path, "hail")


def test_an_alert_is_worked_out_again(tmp_path: Path) -> None:
    """The same verdict from what was kept, hour by hour; by the end of its id as well."""
    path = farm(tmp_path, free_port())
    _, text = call(once, path, "--wait", "0", "--json")
    (alert,) = json.loads(text)["alerts"]
    code, found = explained(path, alert["id"])
    assert (code, found["same"], found["differences"]) == (0, True, [])
    assert found["event"] == alert
    assert max(step["probability"] for step in found["steps"]) == alert["probability"]
    short = alert["id"].partition("/alert/")[2]
    shown = call(replay, path, "--explain", short)[1]
    assert "worked out again: the same" in shown
    assert alert["text"] in shown


def test_tampered_inputs_come_out_otherwise(tmp_path: Path) -> None:
    """What is shown is worked out, not copied: another limit, another verdict, exit 1."""
    path = farm(tmp_path, free_port())
    call(once, path, "--wait", "0")
    db = sqlite3.connect(tmp_path / "state" / DATABASE)
    ((name, inputs),) = db.execute("SELECT id, inputs FROM alert_log").fetchall()
    document = json.loads(zlib.decompress(inputs))
    document["rule"]["threshold"] = 60.0
    changed = zlib.compress(json.dumps(document).encode())
    db.execute("UPDATE alert_log SET inputs = ?", (changed,))
    db.commit()
    code, found = explained(path, name)
    assert (code, found["same"]) == (1, False)
    assert "event_type: raised was said, None comes out" in found["differences"]
    db.execute("UPDATE alert_log SET inputs = x'00'")
    db.commit()
    with pytest.raises(FarmError, match="kept inputs of an alert"):
        call(replay, path, "--explain", name)
    db.close()
    with pytest.raises(InputMissing, match="alert nothing: not among the last"):
        call(replay, path, "--explain", "nothing")


def test_replay_says_what_it_needs(tmp_path: Path) -> None:
    """Neither files nor an alert: exit 64."""
    with pytest.raises(UsageError, match="needs --observations"):
        call(replay, farm(tmp_path, free_port()))
