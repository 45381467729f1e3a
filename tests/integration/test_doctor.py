"""`edge-agent doctor` and `support-bundle` on a device with a real broker and real faults."""

from __future__ import annotations

import json
import subprocess
import tarfile
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from click.testing import CliRunner

from edge_agent import config
from edge_agent.commands.doctor import doctor, support_bundle
from edge_agent.contract import manifest as contract
from edge_agent.core import certificates
from edge_agent.core.runtime import Runtime
from edge_agent.messages.message import Kind, Message
from edge_agent.settings import Tls
from edge_agent.system.clock import SystemClock
from edge_agent.updates.slots import Slots
from tests.fakes.certificates import Authority
from tests.fakes.depot import Yard
from tests.fakes.farm import ROOT, fill_weather, install_release, whole_release, write_config
from tests.fakes.mosquitto import Mosquitto, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "s3cret-of-the-broker"
TOKEN = "s3cret-of-the-page"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that wants a password, over TLS."""
    authority = Authority(tmp_path / "ca")
    cert, key = authority.issue("broker")
    (tmp_path / "password").write_text(PASSWORD)
    accounts = tmp_path / "accounts"
    subprocess.run(
        ["mosquitto_passwd", "-c", "-b", str(accounts), "farm", PASSWORD],
        check=True,
        capture_output=True,
    )
    options = [f"certfile {cert}", f"keyfile {key}", f"password_file {accounts}"]
    with Mosquitto(tmp_path / "broker", options, anonymous=False) as running:
        yield running


def _config(folder: Path, port: int, more: str = "", depot: str = "") -> Path:
    secure = (
        f'username = "farm"\npassword_file = "password"\n{more}'
        f'[mqtt.tls]\nenabled = true\nca = "ca/ca.pem"\n{depot}'
    )
    return write_config(folder, port, secure)


def _findings(path: Path, *args: str) -> dict[str, tuple[str, str, str]]:
    done = CliRunner().invoke(doctor, ["--config", str(path), "--json", *args])
    document: dict[str, Any] = json.loads(done.stdout)
    failed = any(f["outcome"] == "FAIL" for f in document["findings"])
    assert (done.exit_code, document["ok"]) == ((1, False) if failed else (0, True))
    return {f["check"]: (f["outcome"], f["seen"], f["advice"]) for f in document["findings"]}


def test_a_device_in_good_health(tmp_path: Path, broker: Mosquitto) -> None:
    """Every check is OK or a mere warning; the running service's session is left alone."""
    install_release(tmp_path / "state")
    fill_weather(tmp_path / "state")
    yard = Yard.of_now(tmp_path)
    depot = f'[depot]\npath = "{yard.depot}"\nroot_file = "root.json"\n'
    path = _config(tmp_path, broker.port, depot=depot)
    Runtime(config.load(path, {}), tmp_path / "state", SystemClock()).close()
    found = _findings(path)
    for check in ("secrets", "disk", "database", "data age", "model", "broker reach"):
        assert found[check][0] == "OK", found[check]
    assert found["broker login"][:2] == ("OK", "MQTT 5 as farm-edge-farm-edge-1-doctor")
    assert found["broker loop"] == ("OK", f"published and heard on {ROOT}/ping", "")
    # The test's own authority signs for a day.
    assert found["certificates"][0] == found["broker TLS"][0] == "WARN"
    assert "URGENT, ends in 0 days" in found["certificates"][1]
    assert found["depot"][0] in {"OK", "WARN"}
    assert "signed until" in found["depot"][1]
    assert not (tmp_path / "state" / "tuf").exists(), "the doctor keeps what it learned to itself"
    text = CliRunner().invoke(doctor, ["--config", str(path), "--offline"]).stdout
    assert "OK    disk: " in text
    assert "\n      -> " in text


def test_each_ailment_has_its_line(tmp_path: Path, broker: Mosquitto) -> None:
    """A new device, a wrong password, a strange authority, nobody there: what and what to do."""
    path = _config(tmp_path, broker.port)
    found = _findings(path)
    assert found["database"][0] == "WARN"
    assert found["model"] == (
        "FAIL", "no release is installed",
        "edge-agent sync, or edge-agent sync --from a USB stick's folder",
    )  # fmt: skip
    assert found["depot"][0] == "WARN"
    (tmp_path / "password").write_text("wrong")
    found = _findings(path)
    assert found["broker login"][0] == "FAIL"
    assert "mqtt.password_file" in found["broker login"][2]
    assert "wrong" not in json.dumps(found["broker login"])
    (tmp_path / "ca" / "ca.pem").write_bytes(Authority(tmp_path / "x", "x").file.read_bytes())
    found = _findings(path)
    assert found["broker TLS"][0] == "FAIL"
    assert "mqtt.tls.ca" in found["broker TLS"][2]
    path.write_text(path.read_text().replace(str(broker.port), str(free_port())))
    assert _findings(path)["broker reach"][2].startswith("check mqtt.host, mqtt.port")
    path.write_text("[mqtt]\nprot = 5\n")
    outcome, seen, advice = _findings(path)["configuration"]
    assert (outcome, "prot" in seen, "check-config" in advice) == ("FAIL", True, True)


def test_a_broker_that_hides_the_agents_own_messages(tmp_path: Path) -> None:
    """An access list without the ping's topic is found, whichever half it forbids."""
    install_release(tmp_path / "state")
    acl = tmp_path / "acl"
    for rights, seen in (("write", "nothing came back"), ("read", "refuses to take")):
        acl.write_text(f"topic {rights} #\n")
        with Mosquitto(tmp_path / rights, [f"acl_file {acl}"]) as broker:
            outcome, said, advice = _findings(write_config(tmp_path, broker.port))["broker loop"]
        assert outcome == "FAIL"
        assert seen in said
        assert f"{ROOT}/ping" in advice


def test_a_refused_alert_is_not_to_be_given_up(tmp_path: Path) -> None:
    """The doctor names cause and mend; what ended meanwhile is no warning."""
    path = write_config(tmp_path, 1)
    with closing(Runtime(config.load(path, {}), tmp_path / "state", SystemClock())) as runtime:
        topics = [f"{ROOT}/alert/{rule}/event" for rule in ("frost", "heat")]
        for topic in topics:
            runtime.outbox.put(Message(topic, topic, b"{}", Kind.ALERT))
            runtime.outbox.refused(topic, "Not authorized")
        outcome, seen, advice = _findings(path, "--offline")["queue"]
        assert (outcome, seen) == (
            "WARN", f"broker refuses 2 topics ({topics[0]}, {topics[1]}): Not authorized",
        )  # fmt: skip
        assert "let this client write there" in advice
        assert "the agent tries again by itself, cmd/republish at once" in advice
        assert "drop" not in advice
        for topic in topics:
            runtime.outbox.take_back(topic)
        outcome, seen, _ = _findings(path, "--offline")["queue"]
    assert outcome == "OK"
    assert seen.startswith("2 messages that the broker had refused ended or were replaced")


def test_a_damaged_database_is_told_and_left_where_it_is(tmp_path: Path) -> None:
    """The doctor sets nothing aside: that is the service's business."""
    fill_weather(tmp_path / "state")
    database = tmp_path / "state" / "agent.db"
    install_release(tmp_path / "state")
    path = write_config(tmp_path, 1)
    assert _findings(path, "--offline")["database"][0] == "FAIL", "no outbox yet"
    content = bytearray(database.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    database.write_bytes(content)
    assert _findings(path, "--offline")["database"][0] == "FAIL"
    assert database.read_bytes() == content


def test_a_damaged_release_is_told(tmp_path: Path) -> None:
    """The one before it is at work, and that is a warning."""
    install_release(tmp_path / "state")
    slots = Slots(tmp_path / "state")
    content, files = whole_release()
    newer = msgspec.structs.replace(contract.decode(content), release=4)
    installed = slots.switch(slots.stage(contract.encode(newer), files))
    path = _config(tmp_path, free_port())
    assert _findings(path, "--offline")["model"][0] == "OK"
    installed.path(newer.golden).write_bytes(b"")
    outcome, seen, advice = _findings(path, "--offline")["model"]
    assert (outcome, seen[:9]) == ("WARN", "release 3")
    assert "release 4 is damaged on this disk" in seen
    assert "edge-agent sync" in advice


def test_the_bundle_holds_no_secret(tmp_path: Path, broker: Mosquitto) -> None:
    """Passwords, tokens, keys and what an address hides are in none of its files."""
    install_release(tmp_path / "state")
    fill_weather(tmp_path / "state")
    (tmp_path / "token").write_text(TOKEN)
    depot = '[depot]\nurl = "http://mole:s3cret%2Fdepot@127.0.0.1:9/x?key=s3cret-query"\n'
    path = _config(tmp_path, broker.port, depot=depot)
    path.write_text(path.read_text().replace("port = 0", 'port = 0\ntoken_file = "token"'))
    # Where a secret must not be, it may have been written by hand: a topic, a name.
    path.write_text(path.read_text() + f'[device]\nname = "{PASSWORD} {TOKEN}"\n')
    target = tmp_path / "bundle.tar.gz"
    done = CliRunner().invoke(support_bundle, [str(target), "--config", str(path)])
    assert done.exit_code == 0, done.output
    with tarfile.open(target) as bundle:
        texts = {
            member.name: extracted.read().decode()
            for member in bundle
            if (extracted := bundle.extractfile(member)) is not None
        }
    assert {name.rpartition("/")[2] for name in texts} == {
        "config.json", "doctor.json", "versions.json", "release.json", "queue.json",
        "alerts.json", "service.log",
    }  # fmt: skip
    for name, text in texts.items():
        for secret in (PASSWORD, TOKEN, "s3cret", "mole", "PRIVATE KEY"):
            assert secret not in text, name
    shown = json.loads(texts["edge-agent-support/config.json"])
    assert shown["device"]["name"] == "*** ***"
    assert shown["depot"]["url"] == "http://***@127.0.0.1:9/x?***"
    assert target.stat().st_mode & 0o077 == 0
    again = CliRunner().invoke(support_bundle, [str(target), "--config", str(path)])
    assert again.exit_code != 0, "nothing is overwritten"


def test_certificates_are_warned_of_in_time(tmp_path: Path) -> None:
    """Nothing at 31 days, a warning at 30, an urgent one at 7, an end that is over."""
    authority = Authority(tmp_path / "ca")
    cert, key = authority.issue("agent")
    tls = Tls(enabled=True, cert=str(cert), key=str(key))
    ((name, end),) = certificates.ends(tls)
    assert name == "mqtt.tls.cert"
    assert abs(end - SystemClock().now() - timedelta(days=1)) < timedelta(minutes=5)

    def said(days: float) -> str:
        return " ".join(certificates.warnings(tls, end - timedelta(days=days)))

    assert said(31) == ""
    assert said(29.5).startswith("mqtt.tls.cert: ends in 29 days")
    assert "URGENT, ends in 6 days" in said(6.5)
    assert "ended on" in said(-1)
    assert "No such file" in certificates.warnings(
        Tls(enabled=True, ca=str(tmp_path / "no")), end
    )[0]  # fmt: skip
    assert certificates.warnings(Tls(ca="unused"), end) == ()


def test_a_bundle_of_authorities_speaks_until_its_last_ends(tmp_path: Path) -> None:
    """An authority that ends beside its successor is no reason to warn."""
    one, two = Authority(tmp_path / "one"), Authority(tmp_path / "two")
    both = tmp_path / "both.pem"
    both.write_bytes(one.file.read_bytes() + two.file.read_bytes())
    ((_, end),) = certificates.ends(Tls(enabled=True, ca=str(both)))
    ((_, first),) = certificates.ends(Tls(enabled=True, ca=str(one.file)))
    assert end >= first
