"""`once`, `status`, `history`, `release` and `self-test` on an installed release."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from click.testing import CliRunner

from demo.agent import ShiftedClock
from edge_agent.commands.common import OwnClock
from edge_agent.commands.drill import drill
from edge_agent.commands.history import history
from edge_agent.commands.once import once
from edge_agent.commands.replay import replay
from edge_agent.commands.self_test import self_test
from edge_agent.commands.status import release, status
from edge_agent.commands.sync import sync
from edge_agent.commands.water import water
from edge_agent.contract.errors import FarmError, TryLater, UsageError
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, TIME, TIME_DTYPE
from edge_agent.core.runtime import DATABASE
from edge_agent.observations.store import Store
from edge_agent.system.database import connect
from edge_agent.system.instance_lock import InstanceLock
from tests.fakes.farm import install_release
from tests.fakes.forecasts import NOW
from tests.fakes.mosquitto import free_port

if TYPE_CHECKING:
    from pathlib import Path

    import click

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    """Configuration file of a device with a release and a week of hot weather."""
    text = f'[storage]\npath = "state"\n[mqtt]\nhost = "127.0.0.1"\nport = {free_port()}\n'
    (tmp_path / "c.toml").write_text(text)
    install_release(tmp_path / "state")
    hours = [NOW - timedelta(hours=back) for back in range(170)]
    values = {AIR_TEMPERATURE: [34.0 + h.hour % 3 for h in hours]}
    values[RELATIVE_HUMIDITY] = [50.0 + h.hour % 5 for h in hours]
    db = connect(tmp_path / "state" / DATABASE)
    Store(db).put_hourly(
        "station:108", pl.DataFrame({TIME: hours} | values, schema_overrides={TIME: TIME_DTYPE})
    )
    db.close()
    return tmp_path / "c.toml"


def call(command: click.Command, path: Path, *args: str, at: datetime = NOW) -> str:
    """Output of a command that must succeed, on a clock of its own."""
    result = CliRunner().invoke(
        command,
        ["--config", str(path), *args],
        obj=OwnClock(ShiftedClock(at)),
        catch_exceptions=False,
        standalone_mode=False,
    )
    assert result.exit_code == 0
    return result.stdout


def document(command: click.Command, path: Path, *args: str, at: datetime = NOW) -> dict[str, Any]:
    """JSON that a command prints."""
    parsed = json.loads(call(command, path, *args, "--json", at=at))
    assert isinstance(parsed, dict)
    return parsed


def test_once_forecasts_raises_and_queues_once(farm: Path) -> None:
    """The models of the installed release speak, the alert is queued, a second run adds nothing."""
    said = document(once, farm)
    assert said["source"] == "model_relayed_station"
    assert said["model_release"] == 3
    assert [a["rule"] for a in said["alerts"]] == ["heat", "vpd-high"]
    assert said["queued"] == said["waiting"] > 5
    again = document(once, farm, at=NOW + timedelta(minutes=1))
    assert (again["queued"], again["alerts"]) == (0, [])


def test_dry_run_leaves_nothing_behind(farm: Path) -> None:
    """What would be said is printed and forgotten."""
    said = document(once, farm, "--dry-run")
    assert [a["rule"] for a in said["alerts"]] == ["heat", "vpd-high"]
    assert (said["queued"], said["waiting"]) == (0, 0)
    assert document(status, farm)["alerts"] == {}


def dump(farm: Path) -> list[str]:
    """Everything in the device's database."""
    with closing(connect(farm.parent / "state" / DATABASE)) as db:
        return list(db.iterdump())


def test_a_past_hour_is_a_dry_run(farm: Path) -> None:
    """`--at` leaves latches, queue, forecasts and the trial of the release as they are (O3)."""
    call(once, farm)
    slots = (farm.parent / "state" / "slots.json").read_bytes()
    before = dump(farm)
    said = document(once, farm, "--at", (NOW - 6 * HOUR).isoformat(), at=NOW + HOUR)
    assert (said["at"], said["queued"]) == ("2026-06-30T23:00:00Z", 0)
    text = call(once, farm, "--at", (NOW - 6 * HOUR).isoformat(), at=NOW + HOUR)
    assert "dry run: nothing was written or sent" in text
    assert dump(farm) == before
    assert (farm.parent / "state" / "slots.json").read_bytes() == slots


def test_an_hour_of_the_future_is_refused(farm: Path) -> None:
    """Exit 64, with the time that the clock shows; some minutes are no future (O5)."""
    call(once, farm, "--at", (NOW + timedelta(minutes=4)).isoformat())
    with pytest.raises(UsageError, match="in the future: the clock shows 2026-07-01T05:00Z"):
        call(once, farm, "--at", (NOW + HOUR).isoformat())
    with pytest.raises(UsageError, match="in the future"):
        call(once, farm, "--dry-run", "--at", "2099-01-01T00:00Z")


def test_looking_at_what_was_decided_changes_nothing(farm: Path) -> None:
    """`replay --explain`, `status`, `history` and `release` only read (O3)."""
    call(once, farm)
    before = dump(farm)
    alert = json.loads(call(history, farm, "--json"))[0]["id"]
    assert document(replay, farm, "--explain", alert)["same"] is True
    call(status, farm)
    call(release, farm)
    assert dump(farm) == before


def test_a_drill_is_the_only_thing_that_a_drill_leaves(farm: Path) -> None:
    """Latches, states and forecasts stay; one event waits (O3)."""
    call(once, farm)
    before = dump(farm)
    with pytest.raises(TryLater):
        call(drill, farm, "frost", "--wait", "0")
    new = [line for line in dump(farm) if line not in before]
    assert {line.split(" VALUES")[0] for line in new} <= {
        'INSERT INTO "outbox"',
        'INSERT INTO "sqlite_sequence"',
    }
    assert len([line for line in new if "/alert/frost/" in line]) == 1


def test_a_drill_beside_the_service_is_delivered_by_it(farm: Path) -> None:
    """It is queued, which is all there is to do: exit 0."""
    with InstanceLock(farm.parent / "state") as lock:
        assert lock.held()
        text = call(drill, farm, "heat")
    assert text == "drill of heat: queued; the running service sends it within about a minute\n"
    assert document(status, farm)["outbox"]["waiting"] == {"alert": 1}


def test_once_beside_the_service_keeps_nothing_that_the_service_keeps(farm: Path) -> None:
    """Soil water, forecasts and scores, which the service makes of what it hears, stay (O3)."""
    text = farm.read_text("utf-8")
    farm.write_text(f'{text}[irrigation]\ncrop = "tomato"\n', "utf-8")
    call(once, farm)
    before = dump(farm)
    with InstanceLock(farm.parent / "state") as lock:
        assert lock.held()
        # Edited, and not read by the service yet.
        farm.write_text(text.replace("[mqtt]", '[mqtt]\nbase_topic = "elsewhere"'), "utf-8")
        call(once, farm, "--wait", "0", at=NOW + HOUR)
        farm.write_text(f'{text}[irrigation]\ncrop = "tomato"\n', "utf-8")
        call(once, farm, "--wait", "0", at=NOW + HOUR)
    changed = {line.split('"')[1] for line in set(dump(farm)) ^ set(before)}
    assert changed <= {"outbox", "outbox_counts", "latches", "sqlite_sequence", "alert_log"}
    new = [line for line in dump(farm) if line not in before]
    assert not [line for line in new if "/advice/" in line or "/availability" in line]


def test_once_for_people(farm: Path) -> None:
    """A table of both targets, the alert's text, what waits."""
    text = call(once, farm)
    assert "air temperature" in text
    assert "relative humidity" in text
    assert "alert: [주의] 고온" in text
    assert "wait for the broker (" in text, "and why"


def test_once_refuses_a_time_it_cannot_read(farm: Path) -> None:
    """One line, exit 64."""
    with pytest.raises(UsageError, match="--at 'noon'"):
        call(once, farm, "--at", "noon")


def test_history_keeps_what_was_said(farm: Path) -> None:
    """The alert of `once`, with its text."""
    call(once, farm)
    line, _ = call(history, farm).splitlines()
    assert line.startswith("2026-07-01 05:00 UTC  heat  raised  [주의] 고온")
    assert json.loads(call(history, farm, "--json"))[0]["edge"] == "raised"


def test_status_names_what_runs(farm: Path) -> None:
    """Release, data, alerts, queue and clock."""
    call(once, farm)
    said = document(status, farm)
    assert said["release"] == 3
    assert said["alerts"]["heat"].keys() == {"level", "since", "held_back"}
    assert said["observations"]["station:108"]["newest"] == "2026-07-01T05:00:00Z"
    assert said["alerts"]["heat"]["level"] == "raised"
    assert said["outbox"]["waiting"]["alert"] == 2
    assert "alerts.heat.level: raised" in call(status, farm)


def test_once_lists_the_problems_of_the_status(farm: Path) -> None:
    """A past hour has no problems of now, so the key is left out there."""
    later = NOW + 48 * HOUR
    for args in ((), ("--dry-run",)):
        problems = document(once, farm, *args, at=later)["problems"]
        assert "newest observation is 48 h old" in problems
        assert problems == document(status, farm, at=later)["problems"]
    assert "problems" not in document(once, farm, "--at", (NOW - HOUR).isoformat())
    ahead = pl.DataFrame({TIME: [later + HOUR], AIR_TEMPERATURE: [20.0]})
    with closing(connect(farm.parent / "state" / DATABASE)) as db:
        Store(db).put_hourly("station:108", ahead)
    # An hour that a clock was ahead by hides nothing.
    assert "newest observation is 48 h old" in document(status, farm, at=later)["problems"]


def test_a_state_that_has_run_out_is_unknown_in_the_status(farm: Path) -> None:
    """Without a service nobody has judged the rule since (T2)."""
    call(once, farm)
    (end,) = {state["valid_until"] for state in document(once, farm, "--dry-run")["states"]}
    before, after = (datetime.fromisoformat(end) + n * MINUTE for n in (-1, 1))
    assert document(status, farm, at=before)["alerts"]["heat"]["level"] == "raised"
    alerts = document(status, farm, at=after)["alerts"]
    assert {alert["level"] for alert in alerts.values()} == {"unknown"}


def test_water_that_was_given_is_in_the_status(farm: Path) -> None:
    """Reported by a person, in mm or litres; refused without a crop or without an amount."""
    assert document(status, farm)["water"] is None
    with pytest.raises(UsageError, match=r"irrigation\.crop is not set"):
        call(water, farm, "--mm", "10")
    text = farm.read_text()
    farm.write_text(f'{text}[irrigation]\ncrop = "tomato"\narea_m2 = 100\ncovered = true\n')
    assert call(water, farm, "--mm", "10").startswith("noted: 10 mm at 20")
    later = NOW + timedelta(minutes=1)
    assert document(water, farm, "--litres", "500", at=later)["ok"]
    sums = document(status, farm, at=later)["water"]
    assert (sums["given_mm"], sums["last_given_mm"]) == (15.0, 5.0)
    assert "water.given_mm: 15.0" in call(status, farm)
    for wrong in (["--mm", "nan"], ["--mm", "-1"], ["--mm", "5", "--at", "soon"], []):
        with pytest.raises(UsageError):
            call(water, farm, *wrong)
    assert document(status, farm)["water"]["given_mm"] == 15.0


def test_water_names_its_own_options(farm: Path) -> None:
    """One amount, by the options of the command and not by the keys of MQTT."""
    for amounts in ((), ("--litres", "6000", "--mm", "2")):
        with pytest.raises(UsageError, match="give --mm or --litres, one of them"):
            call(water, farm, *amounts)


def test_status_tells_how_far_a_crop_is(farm: Path) -> None:
    """Degree days since planting over the whole days known; chill hours of fruit trees alone."""
    assert document(status, farm)["growth"] is None
    text = farm.read_text()
    farm.write_text(f'{text}[irrigation]\ncrop = "tomato"\nplanted_on = "2026-06-28"\n')
    found = document(status, farm)["growth"]
    # From 34 to 36 C each day: 25 over the base; the store ends at 14 h of 1 July in Korea.
    assert found == {"crop": "tomato", "degree_days": 75, "base_c": 10.0}
    farm.write_text(f'{text}[irrigation]\ncrop = "pear"\n')
    assert document(status, farm)["growth"] == {"crop": "pear", "chill_hours": 0}


def test_release_tells_which_and_why(farm: Path) -> None:
    """Number, reason, model versions."""
    said = document(release, farm)
    assert (said["release"], said["reason"], said["previous"]) == (3, "first", None)
    assert said["tuned"] is None
    assert "release: 3" in call(release, farm)


def test_a_farms_own_correction_is_used_and_told(farm: Path) -> None:
    """On its own sensors half a degree more; `release` and `status` say what is corrected."""
    state = farm.parent / "state"
    assert document(status, farm)["tuned"] is None
    db = connect(state / DATABASE)
    store = Store(db)
    store.put_hourly("sensor:outdoor", store.hourly("station:108", NOW - timedelta(days=8), NOW))
    call(once, farm)
    (plain,) = store.forecasts(NOW, NOW)
    (state / "slots.json").unlink()
    install_release(state, tuned_for="farm/edge-1")
    call(once, farm)
    (tuned,) = store.forecasts(NOW, NOW)
    db.close()
    before, after = (one.targets[AIR_TEMPERATURE].values for one in (plain, tuned))
    assert after == pytest.approx(before + 0.5)
    said = document(release, farm)["tuned"]
    assert said["targets"] == [AIR_TEMPERATURE, RELATIVE_HUMIDITY]
    assert said["trained_to"] == "2026-05-31T23:00:00Z"
    assert "tuned.targets: air_temperature_c, relative_humidity_pct\n" in call(release, farm)
    assert document(status, farm)["tuned"] == [AIR_TEMPERATURE, RELATIVE_HUMIDITY]


def test_climatology_claims_no_observation(farm: Path) -> None:
    """A year on nothing is known of the weather, and the line does not say otherwise."""
    said = call(once, farm, "--dry-run", at=NOW + timedelta(days=365))
    assert said.startswith("forecast from climatology")
    assert "newest observation" not in said.splitlines()[0]


def test_release_before_the_first_install(tmp_path: Path) -> None:
    """Nothing installed is a clear line, not an empty page."""
    (tmp_path / "c.toml").write_text('[storage]\npath = "state"\n')
    with pytest.raises(FarmError, match="edge-agent sync"):
        call(release, tmp_path / "c.toml")


def test_self_test_replays_the_release(farm: Path) -> None:
    """Every check passes on a good installation."""
    said = document(self_test, farm)
    assert said["ok"] is True
    assert {check["outcome"] for check in said["checks"]} == {"ok"}


def test_self_test_tells_of_the_farms_own_correction(farm: Path) -> None:
    """It forecasts with it and names device and targets; another device's is not told of."""
    state = farm.parent / "state"
    (state / "slots.json").unlink()
    install_release(state, tuned_for="farm/edge-1")
    checks = {check["name"]: check["detail"] for check in document(self_test, farm)["checks"]}
    assert checks["forecast"] == (
        "48 hours, corrected for farm/edge-1: air_temperature_c, relative_humidity_pct"
    )
    install_release(state, tuned_for="farm/edge-2")
    checks = {check["name"]: check["detail"] for check in document(self_test, farm)["checks"]}
    assert checks["forecast"] == "48 hours"


def test_self_test_finds_a_model_that_computes_otherwise(
    farm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that gives other numbers than where it was made fails the test, exit 1."""
    import edge_agent.forecasting.inference

    load = edge_agent.forecasting.inference.load_predictors

    def swapped(*args: Any) -> Any:  # noqa: ANN401 - stands in for the real loader
        good = load(*args)
        return {AIR_TEMPERATURE: good[RELATIVE_HUMIDITY], RELATIVE_HUMIDITY: good[AIR_TEMPERATURE]}

    monkeypatch.setattr(edge_agent.forecasting.inference, "load_predictors", swapped)
    result = CliRunner().invoke(self_test, ["--config", str(farm), "--json"])
    assert result.exit_code == 1
    outcome = {c["name"]: c["outcome"] for c in json.loads(result.stdout)["checks"]}
    assert outcome["golden windows"] == "failed"


def test_a_place_that_is_no_address_is_told(farm: Path) -> None:
    """A slip in `--from` is the call's fault, told without what the address may hide."""
    (farm.parent / "root.json").write_bytes(b"{}")
    farm.write_text(farm.read_text() + '[depot]\nroot_file = "root.json"\n')
    for place in ("http://kim:s3cret@[::1", "http://kim:s3cret@depot:80800/", "https://"):
        with pytest.raises(UsageError, match="no web address") as caught:
            call(sync, farm, "--from", place)
        assert "s3cret" not in str(caught.value)
