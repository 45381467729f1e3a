"""Mistakes in a configuration that passed without a word, or were told in the wrong place."""

from __future__ import annotations

import pytest

from edge_agent import config
from edge_agent.core import config_warnings

SENSOR = '[[sensors]]\ntopic = "a"\nquantity = "rain_mm"\nunit = "mm"\n'


@pytest.mark.parametrize("key", ["field", "time_field"])
@pytest.mark.parametrize("path", ["a..b", "a[", "values[x]", "a.", ".a", "a]b", "[1"])
def test_a_path_that_leads_nowhere_is_warned_of(key: str, path: str) -> None:
    """A name may be just so, therefore it is no error."""
    settings = config.decode(f"{SENSOR}{key} = '{path}'".encode(), "c.toml", {})
    told = [w.text for w in config_warnings.warnings(settings) if w.path.startswith("sensors")]
    assert told == [f"sensors[0].{key}: {path!r} is no path such as SHT31.Temperature or values[0]"]


@pytest.mark.parametrize(
    "path", ["a", "$.temperature", "$[0].a", "a[0][1].b", "json:a.b", "[3]", "온도.값"]
)
def test_a_path_is_taken(path: str) -> None:
    """As `foreign_json.find` reads it."""
    settings = config.decode(f"{SENSOR}field = '{path}'".encode(), "c.toml", {})
    assert not [w for w in config_warnings.warnings(settings) if w.path.startswith("sensors")]


@pytest.mark.parametrize(
    ("text", "env", "path", "words"),
    [
        ('host = "300.1.1.1"', {}, "mqtt.host", "must be a name or an address"),
        ('host = "10.0.1"', {}, "mqtt.host", "must be a name or an address"),
        ("port = 0", {}, "mqtt.port", "must be a whole number from 1 to 65535"),
        ("port = 70000", {}, "mqtt.port", "must be a whole number from 1 to 65535"),
        ("", {"EDGE_AGENT__FOO": "1"}, "environment: EDGE_AGENT__FOO", "unknown key"),
        (
            "",
            {"EDGE_AGENT__MQTT__PORT": "x"},
            "environment: EDGE_AGENT__MQTT__PORT",
            "whole number",
        ),
    ],
)
def test_a_mistake_is_told_where_it_is(
    text: str, env: dict[str, str], path: str, words: str
) -> None:
    """With the limits that hold, and the variable of the environment that sets it."""
    with pytest.raises(config.InvalidConfig) as caught:
        config.decode(f"[mqtt]\n{text}\n".encode(), "c.toml", env)
    (problem,) = caught.value.problems
    assert problem.path == path
    assert words in problem.text
    assert (problem.line is None) == bool(env)
