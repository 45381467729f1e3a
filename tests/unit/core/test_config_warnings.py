"""What a valid configuration most likely does not mean: one list for every place that tells it."""

from __future__ import annotations

import json
import re
import tomllib
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from edge_agent import config
from edge_agent.alerts import default_rules, rule_reach
from edge_agent.commands.check_config import check_config
from edge_agent.commands.doctor import doctor
from edge_agent.contract import events
from edge_agent.contract.stations import stations
from edge_agent.core import config_warnings
from edge_agent.settings import SENSOR_TOPIC_EXAMPLE, Config, Rule
from edge_agent.web.page.reasons_ko import in_korean

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLE = (Path(__file__).parents[3] / "config.example.toml").read_text("utf-8")
WRITTEN = (
    '[device]\nsite = "hill"\nid = "house-1"\nlatitude = 37.27\nlongitude = 127.01\nstation = 119\n'
)
RULE = '[[rules]]\nname = "own"\nquantity = "{}"\noperator = "{}"\nthreshold = {}\n'


def warned(text: str) -> dict[str, str]:
    """Path -> text of every warning that has a key in the file."""
    made = config.decode(text.encode(), "c.toml")
    return {warning.path: warning.text for warning in config_warnings.warnings(made)}


def of_rules(text: str) -> dict[str, str]:
    """The warnings about rules of the farm's own."""
    return {path: said for path, said in warned(WRITTEN + text).items() if "rules" in path}


def test_the_example_keys_are_those_that_the_example_file_sets() -> None:
    """The table cannot drift: keys and values are compared with the shipped file."""
    document = tomllib.loads(EXAMPLE)
    live = [f"{table}.{key}" for table, keys in document.items() for key in keys if keys]
    live = [key for key in live if not isinstance(attrgetter(key)(Config()), Struct)]
    assert tuple(live) == config_warnings.EXAMPLE_KEYS
    for key in live:
        table, name = key.split(".")
        assert attrgetter(key)(Config()) == document[table][name]
    assert f'## topic = "{SENSOR_TOPIC_EXAMPLE}"' in EXAMPLE


def test_the_untouched_example_is_told_key_by_key() -> None:
    """Name, place and broker; what was written by hand is not told."""
    sensor = f'[[sensors]]\ntopic = "{SENSOR_TOPIC_EXAMPLE}"\nquantity = "rain_mm"\nunit = "mm"\n'
    told = warned(EXAMPLE + sensor)["device.site"]
    assert told.startswith(f"{', '.join(config_warnings.EXAMPLE_KEYS)}, sensors[0].topic: as in")
    assert "device.id" not in warned('[device]\nid = "a"\n')["device.site"]
    assert not {key for key in warned(WRITTEN + sensor) if key.startswith(("device", "sensors"))}


def test_depot_and_trust_root(tmp_path: Path) -> None:
    """Without the root nothing can be taken, wherever it comes from."""
    root = tmp_path / "root.json"
    text = f'{WRITTEN}[depot]\npath = "/srv"\nroot_file = "{root}"\n'
    assert set(warned(WRITTEN)) == {"depot", "depot.root_file"}
    assert "there is no file" in warned(text)["depot.root_file"]
    root.write_text("{}")
    assert warned(text) == {}


@pytest.mark.parametrize(
    ("place", "path", "part"),
    [
        ((35.68, 139.69, 0), "device.latitude", "outside Korea: of KMA's stations the nearest is"),
        ((-37.27, 127.01, 0), "device.latitude", "outside Korea"),
        ((33.59, 130.4, 0), "device.latitude", "outside Korea"),  # Fukuoka is on KMA's grid.
        (
            (37.27, 127.01, 109),
            "device.station",
            "109 is no ASOS station of KMA: the nearest is 119",
        ),
        ((33.5, 126.5, 108), "device.station", "108 (Seoul) is 455 km away: the nearest is 184"),
        ((37.24, 131.87, 115), "", ""),  # Dokdo
        ((33.12, 126.27, 0), "", ""),  # Marado
        ((37.97, 124.63, 102), "", ""),  # Baengnyeongdo
    ],
)
def test_place_and_station(place: tuple[float, float, int], path: str, part: str) -> None:
    """Signs, exchanged numbers, numbers that no station has, and stations of another region."""
    keys = "latitude = {}\nlongitude = {}\nstation = {}\n".format(*place)
    told = warned(f'[device]\nsite = "hill"\nid = "a"\n{keys}')
    told = {key: text for key, text in told.items() if key.startswith("device")}
    assert list(told) == [path][: len(path)]
    assert part in told.get(path, "")


@pytest.mark.parametrize(
    ("zone", "part"),
    [
        ("L1801400", "L1801400 is not in the list of KMA's zones: check the code"),
        ("L1081400", "the place lies in"),
        ("", ""),
    ],
)
def test_zone_of_official_warnings(zone: str, part: str) -> None:
    """A mistyped code would hear nothing for ever; another place's zone hears of others."""
    keys = f'latitude = 35.18\nlongitude = 129.08\nstation = 159\nwarning_zone = "{zone}"\n'
    text = warned(f'[device]\nsite = "hill"\nid = "a"\n{keys}').get("device.warning_zone", "")
    assert bool(text) == bool(part)
    assert part in text


def test_no_station_is_far_from_itself() -> None:
    """Each station's own place and number are taken without a word."""
    for number, known in stations().items():
        keys = f"latitude = {known.site.latitude}\nlongitude = {known.site.longitude}\n"
        told = warned(f'[device]\nsite = "hill"\n{keys}station = {number}\n')
        assert not [key for key in told if key.startswith("device.")], number


@pytest.mark.parametrize(
    ("quantity", "operator", "threshold", "more", "part"),
    [
        ("air_temperature_c", ">", "45", "", "can never be raised: values are -40 to 45 °C, "),
        ("air_temperature_c", ">=", "45", "", ""),
        ("air_temperature_c", "<=", "-41", "", "can never be raised"),
        ("air_temperature_c", "<=", "50", "", "is always raised: values are -40 to 45 °C"),
        ("air_temperature_c", ">=", "30", "clear = -40.0", "never ends once it is raised"),
        ("relative_humidity_pct", ">", "100", "", "can never be raised"),
        ("relative_humidity_pct", "<", "0", "", "can never be raised"),
        ("relative_humidity_pct", "<", "1", "", ""),
        ("vapour_pressure_deficit_kpa", ">=", "16", "", "can never be raised"),
        ("air_temperature_c", ">=", "50", 'now = true\nrole = "indoor"', ""),
        ("air_temperature_c", ">=", "50", "now = true", "can never be raised"),
        ("rain_mm", ">=", "300", "now = true", "can never be raised: values are 0 to 200 mm"),
        ("soil_moisture_pct", "<", "200", 'now = true\nrole = "soil"', "is always raised"),
    ],
)
def test_thresholds_beyond_what_can_be(
    quantity: str, operator: str, threshold: str, more: str, part: str
) -> None:
    """A rule that nothing can raise, that everything raises, or whose alert cannot end."""
    sensors = "".join(
        f'[[sensors]]\ntopic = "{role}"\nrole = "{role}"\n'
        f'quantity = "{quantity}"\nunit = "{unit}"\n'
        for unit in [{"rain_mm": "mm", "air_temperature_c": "C"}.get(quantity, "%")]
        for role in ("indoor", "outdoor", "soil")
        if "now" in more
    )
    told = of_rules(sensors + RULE.format(quantity, operator, threshold) + more)
    assert list(told) == (["rules[0].threshold"] if part else [])
    assert part in told.get("rules[0].threshold", "")


@given(
    st.sampled_from(["air_temperature_c", "relative_humidity_pct", "vapour_pressure_deficit_kpa"]),
    st.sampled_from([">=", ">", "<=", "<"]),
    st.floats(-60, 120, allow_nan=False),
    st.booleans(),
)
def test_a_rule_without_a_fault_can_be_raised_and_can_end(
    quantity: str, operator: str, threshold: float, now: bool
) -> None:
    """There is a value that meets it, and one that does not; with a fault one of both is not."""
    rule = Rule(name="a", quantity=quantity, operator=operator, threshold=threshold, now=now)  # type: ignore[arg-type] # drawn from its values
    met = events.meets(rule_reach.limits_of(rule), rule.operator, threshold)
    assert (rule_reach.fault_of(rule) == "") == (met.any() and not met.all())


@pytest.mark.parametrize("crop", ["apple", "strawberry"])
def test_the_built_in_rules_can_be_raised_and_can_end(crop: str) -> None:
    """Whatever the farm grows."""
    text = f'{WRITTEN}[irrigation]\ncrop = "{crop}"\n[[sensors]]\ntopic = "a"\nrole = "indoor"\n'
    made = config.decode(f'{text}quantity = "air_temperature_c"\nunit = "C"'.encode(), "c.toml")
    assert not [rule.name for rule in default_rules.in_force(made) if rule_reach.fault_of(rule)]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('[quiet_hours]\nstart = "07:00"\nend = "06:30"', "quiet_hours"),
        ('[quiet_hours]\nstart = "22:00"\nend = "06:00"', ""),
        ('[quiet_hours]\nstart = "00:30"\nend = "20:30"', ""),
        (f"[builtin]\noff = {list(default_rules.NAMES)}", "builtin.off"),
        ('[push]\nurl = "https://x"\nseverities = ["warning"]', ""),
        ('[push]\nurl = "https://x"\nseverities = []', "push.severities"),
        ('[push]\nurl = "https://x"\ntoken_file = "/none"', "push.token_file"),
        ('[web]\ntoken_file = "/none"', "web.token_file"),
        ('[web]\nport = 0\ntoken_file = "/none"', ""),
        ('[mqtt.tls]\nenabled = true\nca = "/none"', "mqtt.tls.ca"),
        ('[mqtt.tls]\nca = "/none"', ""),
    ],
)
def test_nobody_hears_and_nothing_is_there(text: str, path: str) -> None:
    """Alerts that reach nobody, and files that are named and not there."""
    told = [key for key in warned(WRITTEN + text) if not key.startswith("depot")]
    assert told == ([path] if path else [])


BROKEN: Mapping[str, str] = {
    "place": "[device]\nlatitude = 35.68\nlongitude = 139.69\n",
    "station": "[device]\nstation = 109\n",
    "never": RULE.format("air_temperature_c", ">", 90),
    "always": RULE.format("air_temperature_c", "<", 90),
    "endless": RULE.format("air_temperature_c", ">", 3) + "clear = -50.0\n",
    "deaf": RULE.format("rain_mm", ">", 3) + "now = true\n",
    "token": '[push]\nurl = "https://ntfy.example/farm"\ntoken_file = "/none/token"\n',
    "silent": '[push]\nurl = "https://ntfy.example/farm"\nseverities = []\n',
}


@pytest.mark.parametrize("case", BROKEN)
def test_the_farmers_page_tells_each_problem_in_korean(case: str) -> None:
    """No English word is left, except what is written so in the file."""
    (problem,) = config_warnings.problems(config.decode(BROKEN[case].encode(), "c.toml"))
    korean = in_korean(problem)
    names = (
        r"device\.\w+|push\.\w+|clear|own|outdoor|rain_mm|km|ASOS"
        r"|none|token|Seoul|\bTottori\b|[A-Z]\w+"
    )
    assert re.search("[가-힣]", korean)
    assert not re.search("[A-Za-z]{2}", re.sub(names, "", korean)), korean


def test_one_list_for_check_config_and_doctor(tmp_path: Path) -> None:
    """Both tell the same, the former with its line; neither is an error."""
    path = tmp_path / "c.toml"
    path.write_text(f'{WRITTEN}[storage]\npath = "state"\n{BROKEN["never"]}')
    told = [warning.text for warning in config_warnings.warnings(config.load(path, {}))]
    shown = CliRunner().invoke(check_config, ["--quiet", "--config", str(path)])
    assert shown.exit_code == 0
    assert f"{path}:13: warning: rule own: can never be raised" in shown.stderr
    assert [line.partition("warning: ")[2] for line in shown.stderr.splitlines()] == told
    found = json.loads(
        CliRunner().invoke(doctor, ["--offline", "--json", "--config", str(path)]).stdout
    )["findings"]
    assert [f["seen"] for f in found if f["check"] == "configuration"] == told
    assert {f["outcome"] for f in found if f["check"] == "configuration"} == {"WARN"}
