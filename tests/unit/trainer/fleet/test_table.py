"""The fleet's table: what devices say of themselves, whatever they say."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime

import pytest

from edge_agent.contract.errors import UsageError
from trainer.fleet.retained_messages import BrokerAddress
from trainer.fleet.table import COLUMNS, devices, to_csv, to_html, to_text

NOW = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
BASE = "farm/v1"


def _said(name: str = "hill/a", **more: object) -> dict[str, bytes]:
    health = {
        "issued_at": "2026-07-01T12:01:30Z",
        "forecast_source": "model",
        "data_age_s": 5400,
        "outbox": {"waiting_alert": 2, "waiting_state": 1, "dropped_alert": 9},
        "alerts_raised": ["heat"],
        "problems": [],
        "skill": [
            {"quantity": "air_temperature_c", "lead_h": 24, "rmse": 1.9, "bias": 0.1},
            {"quantity": "relative_humidity_pct", "lead_h": 24, "rmse": 11.0},
        ],
        "something": "newer agents say",
    } | more
    model = {"agent_version": "0.3.0", "release": 17, "channel": "stable"}
    return {
        f"{BASE}/{name}/health": json.dumps(health).encode(),
        f"{BASE}/{name}/model": json.dumps(model).encode(),
        f"{BASE}/{name}/availability": b"online",
    }


def test_a_device_in_good_health() -> None:
    """Its row has versions, last seen, skill, and what waits."""
    (row,) = devices(_said(), BASE, NOW)
    assert (row.site, row.device, row.state) == ("hill", "a", "online")
    assert row.last_seen == datetime(2026, 7, 1, 12, 1, 30, tzinfo=UTC)
    assert (row.agent, row.release, row.channel) == ("0.3.0", 17, "stable")
    assert (row.source, row.data_age_h, row.rmse_24h, row.waiting) == ("model", 1.5, 1.9, 3)
    assert (row.alerts, row.faults) == (("heat",), ())


def test_a_device_that_fell_silent() -> None:
    """Online by its will, but without a word for hours: silent, and that is a fault."""
    (row,) = devices(_said(issued_at="2026-07-01T09:00:00Z"), BASE, NOW)
    assert (row.state, row.faults) == ("silent", ("silent for more than 3 h",))


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[]", b"{}", b'{"issued_at": 5}', b"[" * 9000])
def test_nonsense_is_a_fault_of_the_device(payload: bytes) -> None:
    """What cannot be read is said in its row; other devices are shown."""
    said = _said() | {f"{BASE}/low/b/health": payload, f"{BASE}/low/b/availability": b"\xfe"}
    rows = devices(said, BASE, NOW)
    assert [(row.device, row.state) for row in rows] == [("a", "online"), ("b", "unknown")]
    assert rows[1].faults[0].startswith("health: ")


def test_other_topics_are_passed_over() -> None:
    """Other bases, deeper topics and other kinds make no row."""
    topics = (
        "farm/v1/a/b/forecast/temperature",
        "other/a/b/health",
        "farm/v1/health",
        "farm/v1/a/b/cmd",
    )
    assert devices(dict.fromkeys(topics, b"{}"), BASE, NOW) == []


def test_csv_reads_back_and_carries_no_formula() -> None:
    """One line a device; a text that a spreadsheet would work out is quoted."""
    text = to_csv(devices(_said(problems=["=HYPERLINK(1)"]), BASE, NOW))
    (line,) = csv.DictReader(io.StringIO(text))
    assert tuple(line) == COLUMNS
    assert line["faults"] == "'=HYPERLINK(1)"
    assert line["alerts"] == "heat"


def test_html_is_escaped_and_asks_for_nothing() -> None:
    """A hostile device cannot put markup into the page."""
    page = to_html(devices(_said(problems=["<script>x</script>"]), BASE, NOW), NOW)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "0 of 1 devices are well" in page
    assert "src=" not in page.replace("default-src=", "")
    assert "http://" not in page
    assert "https://" not in page


def test_text_is_a_table() -> None:
    """Columns stand below each other."""
    head, row = to_text(devices(_said(), BASE, NOW)).splitlines()
    assert head.index("release") == row.index("17")


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("mqtt://broker", BrokerAddress("broker", 1883, tls=False, username="")),
        ("mqtts://me%40farm@broker:99", BrokerAddress("broker", 99, tls=True, username="me@farm")),
    ],
)
def test_an_address_names_a_broker(address: str, place: BrokerAddress) -> None:
    """Scheme, host, port and user; ports have defaults."""
    assert BrokerAddress.of(address) == place


@pytest.mark.parametrize(
    "address", ["broker", "http://broker", "mqtt://", "mqtt://b:port", "mqtt://u:secret@b"]
)
def test_a_wrong_address_is_told_without_its_password(address: str) -> None:
    """One line that says what to write; a password in it is refused and not repeated."""
    with pytest.raises(UsageError) as told:
        BrokerAddress.of(address)
    assert "secret" not in str(told.value)
