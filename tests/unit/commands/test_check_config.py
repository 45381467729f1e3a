"""`edge-agent check-config`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner

from edge_agent.commands.check_config import check_config

if TYPE_CHECKING:
    from pathlib import Path


def test_lists_every_error_and_exits_78(tmp_path: Path) -> None:
    """One line an error, with file, line and key, from the first line of the file to the last."""
    path = tmp_path / "c.toml"
    path.write_text(
        '[device]\nlanguage = "jp"\nsitee = "x"\n[mqtt]\nhost = ""\n[web]\nport = "a"\n'
    )
    result = CliRunner().invoke(check_config, ["--config", str(path)])
    assert result.exit_code == 78
    assert result.stderr.splitlines() == [
        f"{path}:2: device.language: 'jp' is not allowed: use one of ko, en",
        f"{path}:3: device.sitee: unknown key; did you mean 'site'?",
        f"{path}:5: mqtt.host: must name the broker",
        f"{path}:7: web.port: must be a whole number from 0 to 65535, not the text 'a'",
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
    (tmp_path / "root.json").write_text("{}")
    path.write_text(
        '[device]\nsite = "hill"\nlatitude = 37.27\n[depot]\npath = "depot"\n'
        'root_file = "root.json"\n'
    )
    result = CliRunner().invoke(check_config, ["--quiet", "--config", str(path)])
    assert (result.exit_code, result.output) == (0, "")


def test_a_broker_given_as_an_address_is_one_error(tmp_path: Path) -> None:
    """It ends here, and not as a name that nobody knows once the service runs."""
    path = tmp_path / "c.toml"
    path.write_text('[mqtt]\nhost = "mqtts://kim:s3cret@10.0.0.2:8883"\n')
    result = CliRunner().invoke(check_config, ["--quiet", "--config", str(path)])
    assert (result.exit_code, result.stdout) == (78, "")
    assert result.stderr == (
        f'{path}:2: mqtt.host: must be a name or an address alone: host = "10.0.0.2", port = 8883, '
        "[mqtt.tls] enabled = true, username and password_file\n"
    )


OWN_RULES = """[device]
language = "en"
[builtin]
off = ["dryness", "house-hot"]
[[rules]]
name = "heat"
quantity = "air_temperature_c"
operator = ">="
threshold = 35.0
severity = "critical"
[[rules]]
name = "house-freezing"
quantity = "air_temperature_c"
operator = "<"
threshold = 3.0
now = true
role = "indoor"
for_h = 2
"""


def test_lists_the_rules_in_force_and_those_that_are_off(tmp_path: Path) -> None:
    """An own rule stands beside the built-in ones, and replaces the one whose name it has."""
    path = tmp_path / "c.toml"
    path.write_text(OWN_RULES)
    result = CliRunner().invoke(check_config, ["--config", str(path), "--json"])
    document = json.loads(result.stdout)
    rules = {rule["name"]: rule for rule in document["rules"]}
    assert {name: rule["origin"] for name, rule in rules.items()} == {
        "frost": "built-in",
        "frost-watch": "built-in",
        "vpd-high": "built-in",
        "cold-snap": "built-in",
        "heavy-rain": "built-in",
        "rain-soon": "built-in",
        "strong-wind": "built-in",
        "heavy-snow": "built-in",
        "heat": "own",
        "house-freezing": "own",
    }
    assert rules["heat"] == {
        "name": "heat",
        "origin": "own",
        "condition": "air temperature at or above 35°C within 24 h, at a chance of 50% or more",
        "severity": "critical",
    }
    assert rules["vpd-high"]["condition"] == (
        "vapour pressure deficit at or above 1.6 kPa for 3 h within 24 h, "
        "at a chance of 50% or more"
    )
    assert rules["house-freezing"]["condition"] == "indoor air temperature below 3°C now, for 2 h"
    assert document["rules_off"] == ["dryness", "house-hot"]
    in_effect = [rule["name"] for rule in document["config"]["rules"]]
    assert sorted(in_effect) == sorted(rules)
    text = CliRunner().invoke(check_config, ["--config", str(path)]).stdout
    assert f"heat (own, critical): {rules['heat']['condition']}\n" in text
    assert "frost (built-in, critical): " in text
    assert "Off: dryness, house-hot" in text


PROBES = """[builtin]
off = ["frost", "dryness"]
[[sensors]]
topic = "s/moisture"
quantity = "soil_moisture_pct"
unit = "%"
role = "soil"
[[sensors]]
topic = "s/air"
quantity = "air_temperature_c"
unit = "C"
[[rules]]
name = "dry"
quantity = "soil_moisture_pct"
operator = "<"
threshold = 20.0
now = true
role = "soil"
[[rules]]
name = "thirsty"
quantity = "vapour_pressure_deficit_kpa"
operator = ">"
threshold = 2.0
now = true
[[rules]]
name = "frost"
quantity = "air_temperature_c"
operator = "<"
threshold = 1.0
"""


def test_names_each_thing_as_it_is(tmp_path: Path) -> None:
    """The soil is named once, and an own rule is in force where the built-in one is off."""
    path = tmp_path / "c.toml"
    path.write_text(PROBES)
    text = CliRunner().invoke(check_config, ["--config", str(path)]).stdout
    assert "dry (own, warning): soil moisture below 20% now\n" in text
    assert "Off: dryness. In effect" in text
    document = CliRunner().invoke(check_config, ["--config", str(path), "--json"]).stdout
    assert json.loads(document)["rules_off"] == ["dryness"]


def test_warns_of_a_live_rule_without_a_sensor(tmp_path: Path) -> None:
    """Such a rule is unknown for ever; the configuration is good."""
    path = tmp_path / "c.toml"
    (tmp_path / "root.json").write_text("{}")
    written = '[device]\nsite = "hill"\nlatitude = 37.27\n[depot]\npath = "depot"\n'
    path.write_text(f'{written}root_file = "root.json"\n{PROBES}')
    warning = (
        "rule thirsty: no sensor of role outdoor measures relative_humidity_pct, "
        "so it is always unknown"
    )
    result = CliRunner().invoke(check_config, ["--config", str(path)])
    assert result.exit_code == 0
    assert result.stderr == f"{path}:27: warning: {warning}\n"
    result = CliRunner().invoke(check_config, ["--quiet", "--config", str(path)])
    assert (result.exit_code, result.output) == (0, f"{path}:27: warning: {warning}\n")
    result = CliRunner().invoke(check_config, ["--config", str(path), "--json"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout)["warnings"] == [warning]


def test_an_unknown_built_in_rule_cannot_be_switched_off(tmp_path: Path) -> None:
    """A name with a slip would leave a rule on that a person believes to be off."""
    path = tmp_path / "c.toml"
    path.write_text('[builtin]\noff = ["heat", "frosty"]\n')
    result = CliRunner().invoke(check_config, ["--config", str(path)])
    assert result.exit_code == 78
    assert result.stderr == (
        f"{path}:2: builtin.off: 'frosty' is not allowed; did you mean 'frost'? (one of heat, "
        "dryness, frost, frost-watch, vpd-high, cold-snap, heavy-rain, rain-soon, "
        "strong-wind, heavy-snow, dew-at-sunrise, bud-frost, house-hot, house-cold)\n"
    )


def test_a_short_token_is_refused_and_stops_no_alerts(tmp_path: Path) -> None:
    """Exit 78 by hand, with what to do; before a start a warning, as alerts need no page."""
    path, token = tmp_path / "c.toml", tmp_path / "token"
    path.write_text('[web]\ntoken_file = "token"\n')

    def check(*options: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(check_config, [*options, "--config", str(path)])
        return result.exit_code, result.stdout, result.stderr

    for short in ("p4prika", "12345678901", "토마토는 빨갛다"):
        token.write_text(f"{short}\n")
        code, _, told = check()
        assert (code, told.startswith(f"{path}:2: web.token_file: ")) == (78, True)
        assert "fewer than 12 characters" in told
        assert "openssl rand -hex 16" in told
        code, shown, _ = check("--json")
        assert (code, json.loads(shown)["errors"][0]["path"]) == (78, "web.token_file")
        code, _, told = check("--quiet")
        assert (code, "warning: web.token_file" in told) == (0, True)
        assert short not in told
    token.write_text("two lines\nof a token\n")
    assert check()[0] == 78
    token.write_text("123456789012\n")
    code, _, told = check()
    assert (code, "web.token_file" in told) == (0, False)
    path.write_text('[web]\nport = 0\ntoken_file = "gone"\n')
    assert check()[0] == 0
    path.write_text('[web]\ntoken_file = "gone"\n')
    assert "cannot be read" in check()[2]
    path.write_text('[web]\ntoken_file = "/run/credentials/edge-agent.service/web-token"\n')
    assert check()[0] == 0
