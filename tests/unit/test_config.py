"""Configuration: strict, whole, and the example file kept honest."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from edge_agent import config
from edge_agent.contract.errors import ConfigError, InputMissing
from edge_agent.settings import Config, Rule, Sensor

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "config.example.toml").read_text("utf-8")


def problems(text: str, **env: str) -> dict[str, str]:
    """Path -> text of every problem that decoding finds."""
    with pytest.raises(config.InvalidConfig) as caught:
        config.decode(text.encode(), "c.toml", env)
    return {problem.path: problem.text for problem in caught.value.problems}


def opened(mark: str) -> str:
    """The example with the commented keys (`#`) or also the examples (`##`) made live."""
    text = re.sub(r"^#([a-z0-9_]+ = )", r"\1", EXAMPLE, flags=re.MULTILINE)
    return re.sub(r"^## ", "", text, flags=re.MULTILINE) if mark == "##" else text


def test_empty_file_is_the_defaults() -> None:
    """Nothing at all is a valid configuration."""
    assert config.decode(b"", "c.toml") == Config()


def test_example_as_it_is_equals_the_defaults() -> None:
    """The example as shipped changes nothing."""
    assert config.decode(EXAMPLE.encode(), "example") == Config()


def test_example_with_every_comment_opened_equals_the_defaults() -> None:
    """A commented key shows its default."""
    assert config.decode(opened("#").encode(), "example") == Config()


def test_example_lists_every_key() -> None:
    """No key is missing from the example, sensors, rules and actions included."""
    document = msgspec.toml.decode(opened("##").encode())
    config.decode(opened("##").encode(), "example")

    def missing(kind: type[msgspec.Struct], found: dict[str, object], at: str) -> list[str]:
        lost = [f"{at}{f}" for f in kind.__struct_fields__ if f not in found]
        for name, value in found.items():
            default = getattr(Config(), name, None) if at == "" else None
            if isinstance(default, msgspec.Struct) and isinstance(value, dict):
                lost += missing(type(default), value, f"{name}.")
        return lost

    assert missing(Config, document, "") == []
    assert set(Sensor.__struct_fields__) == set(document["sensors"][0])
    assert set(Rule.__struct_fields__) == set(document["rules"][0])


def test_every_problem_is_told_at_once_with_its_path() -> None:
    """Faults of types, ranges, names and choices come together."""
    found = problems(
        '[devise]\nx = 1\n[device]\nlatitude = 200\nstation = "a"\nlanguage = "jp"\n'
        '[[rules]]\nname = "heat"\nquantity = "air_temperature_c"\noperator = "=>"\n'
    )
    assert found["devise"] == "unknown key; did you mean 'device'?"
    assert "90" in found["device.latitude"]
    assert found["device.station"] == "must be a whole number from 0 to 999, not the text 'a'"
    assert found["device.language"] == "'jp' is not allowed: use one of ko, en"
    assert found["rules[0].operator"] == "'=>' is not allowed: use one of >=, >, <=, <"
    assert found["rules[0].threshold"] == "is missing"


def test_problem_knows_its_line() -> None:
    """The line of the faulty key is found, in the second of two tables of one list too."""
    rule = '[[rules]]\nname = "{}"\nquantity = "air_temperature_c"\noperator = ">"\nthreshold = 1\n'
    text = "[device]\n\nlatitude = 200\n" + rule.format("a") + rule.format("B")
    with pytest.raises(config.InvalidConfig) as caught:
        config.decode(text.encode(), "c.toml")
    assert {p.path: p.line for p in caught.value.problems} == {
        "device.latitude": 3,
        "rules[1].name": 10,
    }


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('[depot]\nurl = "https://x"\npath = "y"', "depot"),
        ('[depot]\nurl = "ftp://x"', "depot.url"),
        ('[device]\ntimezone = "Asia/Soul"', "device.timezone"),
        ('[irrigation]\nplanted_on = "May"', "irrigation.planted_on"),
        ('[irrigation]\ncrop = "tomatoe"', "irrigation.crop"),
        ('[mqtt]\nhost = ""', "mqtt.host"),
        ("[mqtt]\nport = 0", "mqtt.port"),
        ('[mqtt]\npassword_file = "x"', "mqtt.username"),
        ("[mqtt]\nshare_history = true", "mqtt.share_history"),
        ('[mqtt.tls]\ncert = "x"', "mqtt.tls"),
        ('[mqtt.tls]\nalpn = ["mqtt"]', "mqtt.tls.alpn"),
        ('[mqtt.websockets]\npath = "mqtt"', "mqtt.websockets.path"),
        ('[mqtt.websockets]\npath = "/ HTTP/1.0"', "mqtt.websockets.path"),
        ('[mqtt.websockets]\nhost_header = "a\\r\\nb: c"', "mqtt.websockets.host_header"),
        ('[web]\nhost = "0.0.0.0"', "web.token_file"),
        ('[web]\nhost = "::"', "web.token_file"),
        ('[web]\nhost = ""', "web.host"),
        ('[web]\ntrusted_proxies = ["192.168.0.2", "nginx"]', "web.trusted_proxies[1]"),
        ('[[sensors]]\ntopic = "a"\nquantity = "air_temp"\nunit = "C"', "sensors[0].quantity"),
        ('[[sensors]]\ntopic = "a"\nquantity = "rain_mm"\nunit = "C"', "sensors[0].unit"),
        ('[[sensors]]\ntopic = "a/#"\nquantity = "rain_mm"\nunit = "mm"', "sensors[0].topic"),
        (2 * '[[sensors]]\ntopic = "a"\nquantity = "rain_mm"\nunit = "mm"\n', "sensors[1]"),
    ],
)
def test_keys_that_do_not_fit_together(text: str, path: str) -> None:
    """Each check between keys names the key to change."""
    assert list(problems(text)) == [path]


BARE = "must be a name or an address alone"


@pytest.mark.parametrize(
    ("host", "keys"),
    [
        ("mqtt://127.0.0.1", 'host = "127.0.0.1"'),
        ("127.0.0.1:1884", 'host = "127.0.0.1", port = 1884'),
        (" broker.local", 'host = "broker.local"'),
        ("broker.local\\n", 'host = "broker.local"'),
        ("[::1]", 'host = "::1"'),
        ("[fd00::1]:1884", 'host = "fd00::1", port = 1884'),
        ("http://broker.local/", 'host = "broker.local"'),
        ("MQTTS://broker:8883/x?y", 'host = "broker", port = 8883, [mqtt.tls] enabled = true'),
        ("tcp://[::1]:1883", 'host = "::1", port = 1883'),
        (
            "mqtts://kim:a/b#c:d@e@broker",
            'host = "broker", [mqtt.tls] enabled = true, username and password_file',
        ),
        (
            "wss://broker/farm",
            'host = "broker", [mqtt.tls] enabled = true, [mqtt.websockets] enabled = true, path',
        ),
        ("kim@broker", 'host = "broker", username and password_file'),
    ],
)
def test_a_broker_given_as_an_address_is_told_with_the_right_keys(host: str, keys: str) -> None:
    """The name alone, and what else stands in the address under its own key; no password."""
    assert problems(f'[mqtt]\nhost = "{host}"') == {"mqtt.host": f"{BARE}: {keys}"}
    told = problems("", EDGE_AGENT__MQTT__HOST=host.replace("\\n", "\n"))
    assert told == {"environment: EDGE_AGENT__MQTT__HOST": f"{BARE}: {keys}"}


@pytest.mark.parametrize(
    "host", [" ", "a b", "a,b", "a..b", "x:port", "x:0", "\u200b", "s3cret:/@"]
)
def test_a_broker_that_cannot_be_named_is_told(host: str) -> None:
    """No machine has such a name; without one to propose, the form and the key of the port."""
    (text,) = problems(f'[mqtt]\nhost = "{host}"').values()
    assert text == f"{BARE}, such as 192.168.0.10; the port has its own key, mqtt.port"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "fe80::1%eth0", "broker_1.local.", "농장.example", "a-b"]
)
def test_names_and_addresses_of_brokers(host: str) -> None:
    """What a connection can be made to is taken as it is."""
    assert config.decode(f'[mqtt]\nhost = "{host}"'.encode(), "c.toml").mqtt.host == host


@pytest.mark.parametrize("key", ["depot.url", "push.url"])
@pytest.mark.parametrize(
    "url",
    [
        "http://[::1", " https://x", "https://x ", "https://x:99999", "http://x:ab/", "http://a b/",
        "x", "HTTPS://x", "http://u@/", "http://x/\\n",
    ],
)  # fmt: skip
def test_web_addresses_are_checked_whole(key: str, url: str) -> None:
    """An address that no connection can be made to is an error of its key."""
    section, name = key.split(".")
    assert list(problems(f'[{section}]\n{name} = "{url}"')) == [key]


def test_the_page_listens_on_an_address_alone() -> None:
    """The port of the page has its own key too; what belongs to a broker is not proposed."""
    for host, keys in (
        ("https://me@0.0.0.0:8080", 'host = "0.0.0.0", port = 8080'),
        ("[::]", 'host = "::"'),
        (" 127.0.0.1", 'host = "127.0.0.1"'),
    ):
        assert problems(f'[web]\nhost = "{host}"') == {"web.host": f"{BARE}: {keys}"}


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ('quantity = "station_pressure_hpa"', "rules[0].quantity"),
        ("over_h = 3", "rules[0].over_h"),
        ('aggregate = "sum"', "rules[0].aggregate"),
        ('aggregate = "fall"', "rules[0].over_h"),
        ('all = [{quantity="rain", operator=">", threshold=0}]', "rules[0].all[0].quantity"),
        ('all = [{quantity="rain_mm", operator="over", threshold=0}]', "rules[0].all[0].operator"),
        ("for_h = 30", "rules[0].for_h"),
        ("clear = 31.0", "rules[0].clear"),
        ("probability = 1.0", "rules[0].probability"),
        ('message = "{valeu}"', "rules[0].message"),
        ('message = "{value:.1f}"', "rules[0].message"),
        ('message = "{value!r}"', "rules[0].message"),
    ],
)
def test_rule_that_cannot_work(line: str, path: str) -> None:
    """A rule that could never do what it says is refused."""
    keys = {"name": '"a"', "quantity": '"air_temperature_c"', "operator": '">="', "threshold": "30"}
    key, _, value = line.partition(" = ")
    text = "[[rules]]\n" + "\n".join(f"{k} = {v}" for k, v in (keys | {key: value}).items())
    assert list(problems(text)) == [path]


def test_environment_overrides_the_file() -> None:
    """EDGE_AGENT__SECTION__KEY wins and is read by the type of its key."""
    env = {
        "EDGE_AGENT__MQTT__PORT": "8883",
        "EDGE_AGENT__DEVICE__ID": "42",
        "EDGE_AGENT__MQTT__TLS__ENABLED": "true",
        "EDGE_AGENT__SENSORS": '[{topic="a", quantity="rain_mm", unit="mm"}]',
        "EDGE_AGENT_CONFIG": "not a key",
        "PATH": "/bin",
    }
    made = config.decode(b"[mqtt]\nport = 1", "c.toml", env)
    assert made.mqtt.port == 8883
    assert made.device.id == "42"
    assert made.mqtt.tls.enabled is True
    assert made.sensors == (Sensor(topic="a", quantity="rain_mm", unit="mm"),)


def test_environment_faults_are_told_by_variable() -> None:
    """A wrong override is an error like a wrong line, and no fault of the file."""
    found = problems("", EDGE_AGENT__MQTT__PORT="many", EDGE_AGENT__MQTT__PROT="1")
    at = "environment: EDGE_AGENT__MQTT__"
    assert found[f"{at}PORT"] == "must be a whole number from 1 to 65535, not the text 'many'"
    assert found[f"{at}PROT"] == "unknown key; did you mean 'port'?"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a = ", b"=" * 2_000_000, b"[" * 100_000])
def test_bytes_that_are_no_toml(content: bytes) -> None:
    """Anything that is not TOML is one clear fault."""
    with pytest.raises(config.InvalidConfig):
        config.decode(content, "c.toml")


@pytest.mark.parametrize(
    ("content", "line", "part"),
    [
        (b"[mqtt]\nport = \n", 2, "not TOML: Invalid value (at line 2, column 8)"),
        ('[device]\nname = "농장"'.encode("cp949"), None, "save the file as UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_its_line(
    content: bytes, line: int | None, part: str
) -> None:
    """A slip of the pen has a line; a Korean editor's old encoding has a remedy."""
    with pytest.raises(config.InvalidConfig) as caught:
        config.decode(content, "c.toml")
    (problem,) = caught.value.problems
    assert problem.line == line
    assert part in problem.text


def test_load_anchors_relative_paths_to_the_file(tmp_path: Path) -> None:
    """The service's working folder does not matter."""
    (tmp_path / "c.toml").write_text(
        '[depot]\npath = "depot"\nroot_file = "/etc/root.json"\n[storage]\npath = "state"\n'
    )
    made = config.load(tmp_path / "c.toml", {})
    assert made.depot.path == str(tmp_path / "depot")
    assert made.depot.root_file == "/etc/root.json"
    assert made.storage.path == str(tmp_path / "state")


def test_order_of_places(tmp_path: Path) -> None:
    """--config beats EDGE_AGENT_CONFIG, which beats systemd's folder."""
    for name in ("flag", "variable", "systemd"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.toml").write_text(f'[device]\nid = "{name}"\n')
    env = {
        "EDGE_AGENT_CONFIG": str(tmp_path / "variable" / "config.toml"),
        "CONFIGURATION_DIRECTORY": f"{tmp_path / 'absent'}:{tmp_path / 'systemd'}",
    }
    assert config.load(tmp_path / "flag" / "config.toml", env).device.id == "flag"
    assert config.load(None, env).device.id == "variable"
    del env["EDGE_AGENT_CONFIG"]
    assert config.load(None, env).device.id == "systemd"


def test_missing_file_is_told_apart_from_a_bad_one(tmp_path: Path) -> None:
    """No file is exit 66, a bad file exit 78."""
    with pytest.raises(InputMissing):
        config.load(tmp_path / "none.toml", {})
    (tmp_path / "c.toml").write_text("x = 1")
    with pytest.raises(ConfigError):
        config.load(tmp_path / "c.toml", {})


def test_no_rule_is_named_as_an_official_warning() -> None:
    """Its states would stand on the same topic, and its alert could not be acknowledged."""
    rule = (
        '[[rules]]\nname = "{}"\nquantity = "air_temperature_c"\noperator = ">="\nthreshold = 30\n'
    )
    assert problems(rule.format("official-heat")) == {
        "rules[0].name": "official-* are KMA's official warnings: take another"
    }
    assert config.decode(rule.format("official").encode(), "c.toml").rules[0].name == "official"


def test_faults_of_type_do_not_hide_others() -> None:
    """Everything that can be judged is judged at once, and nothing that rests on a wrong key."""
    found = problems(
        '[device]\nlatitude = 200\ntimezone = "Asia/Soul"\n'
        '[builtin]\noff = ["frosty"]\n'
        '[[rules]]\nname = "Hot House"\nquantity = "temperature"\noperator = ">="\nthreshold = 30\n'
        '[[rules]]\nname = "b"\nquantity = "rain_mm"\nnow = "yes"\noperator = ">"\nthreshold = 1\n'
        '[[rules]]\nname = "c"\nquantity = "air_temperature_c"\noperator = "=>"\nthreshold = 1\n'
        "clear = 5.0\n"
        '[[rules]]\nname = "d"\nquantity = "rain_mm"\nnoww = true\noperator = ">"\nthreshold = 1\n'
        '[irrigation]\ncrop = 5\nbud_stage = "full_bloom"\n'
        '[mqtt]\nport = "many"\npassword_file = "pw"\nforecasts = ["dew"]\n'
        '[[sensors]]\ntopic = "t"\nfield = 5\nquantity = "rain_mm"\nunit = "mm"\n'
        + 2
        * '[[sensors]]\ntopic = "t"\nquantity = "rain_mm"\nunit = "mm"\n'
    )
    assert set(found) == {
        "device.latitude",
        "device.timezone",
        "builtin.off",
        "rules[0].name",
        "rules[0].quantity",
        "rules[1].now",
        "rules[2].operator",
        "rules[3].noww",
        "irrigation.crop",
        "mqtt.forecasts",
        "mqtt.port",
        "mqtt.username",
        "sensors[0].field",
        "sensors[2]",
    }


@pytest.mark.parametrize(
    ("text", "path", "example"),
    [
        ('[device]\nsite = "My Farm"', "device.site", "'greenhouse-1'"),
        ('[device]\nsite = ""', "device.site", "'greenhouse-1'"),
        ('[quiet_hours]\nstart = "10pm"\nend = "06:00"', "quiet_hours.start", "'22:00'"),
        ('[mqtt]\nbase_topic = "/farm/"', "mqtt.base_topic", "'farm/v1'"),
        ('[mqtt]\ndiscovery_prefix = "ha#"', "mqtt.discovery_prefix", "'homeassistant'"),
        (
            '[[sensors]]\ntopic = "a/#"\nquantity = "rain_mm"\nunit = "mm"',
            "sensors[0].topic",
            "'zigbee2mqtt/outdoor'",
        ),
    ],
)
def test_a_wrong_form_is_told_by_an_example(text: str, path: str, example: str) -> None:
    """A farmer reads no regular expression."""
    (told,) = problems(text).items()
    assert told[0] == path
    assert f"write it like {example}" in told[1]
    assert "regex" not in told[1]
    assert "^" not in told[1]


def test_a_field_of_no_payload_format_is_an_error() -> None:
    """`jsn:x` was taken for a path into JSON, so that every message was refused."""
    sensor = '[[sensors]]\ntopic = "a"\nquantity = "rain_mm"\nunit = "mm"\nfield = "{}"\n'
    found = problems(sensor.format("jsn:rain"))
    assert found == {
        "sensors[0].field": "'jsn' is no payload format; did you mean 'json'? (one of "
        "json, number); for a JSON name with a colon write '$.jsn:rain'"
    }
    for path in ("$.jsn:rain", "rain", "ENERGY.Total[0]"):
        config.decode(sensor.format(path).encode(), "c.toml")


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("scale", "0.1", True),
        ("scale", "-1", True),
        ("scale", "0", False),
        ("scale", "nan", False),
        ("scale", "inf", False),
        ("offset", "-273.15", True),
        ("offset", "nan", False),
        ("offset", "-inf", False),
    ],
)
def test_scale_and_offset_are_numbers(key: str, value: str, allowed: bool) -> None:
    """Neither is infinite, and no value is lost to a scale of 0."""
    text = (
        f'[[sensors]]\ntopic = "t"\nquantity = "air_temperature_c"\nunit = "C"\n{key} = {value}\n'
    )
    if allowed:
        config.decode(text.encode(), "c.toml")
        return
    with pytest.raises(config.InvalidConfig, match=rf"sensors\[0\]\.{key}: must be a number"):
        config.decode(text.encode(), "c.toml")
