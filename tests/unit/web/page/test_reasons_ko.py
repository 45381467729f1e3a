"""Reasons in Korean: every one that the agent's own code gives is known."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_agent.contract.schema import QUANTITIES, TARGETS
from edge_agent.observations.source_gap import Gap
from edge_agent.web.page.reasons_ko import in_korean, problem_in_korean

PACKAGE = Path(__file__).parents[4] / "edge_agent"
SOURCES = ("forecasting/forecaster.py", "forecasting/fallback.py", "agronomy/irrigation.py")
COMPOSED = (
    "no approved release is installed; run `edge-agent sync`",
    "it gave no forecast where the release before it did: there is no observation",
    "release 6 was left: a first cycle failed: no usable observation at hand",
    "release 6 was left: the agent stopped within each of its last 3 cycles",
    "soil moisture 0.0 % is not plausible for sandy_loam (6 to 45 %): it is not used",
    (
        "KMA's forecasts since 2026-11-30T05:00Z are set aside: "
        "they are far from what is observed and was forecast before"
    ),
    "mqtt: not connected yet",
    "mqtt: broker disconnects: Session taken over; another client uses the same mqtt.client_id",
    "mqtt: broker refuses: Bad user name or password; check mqtt.username and mqtt.password_file",
    "mqtt: nothing accepts connections at 127.0.0.1:1883",
    "mqtt: the name broker.farm is not known here",
    "mqtt: no answer from 10.0.0.7:1883",
    "mqtt: 10.0.0.7:1883 cannot be reached: No route to host",
    "mqtt: connection lost: Connection reset by peer",
    "mqtt: broker refuses d/health: Not authorized",
    "mqtt: broker refuses d/health: 7000 bytes are longer than the broker takes (2000)",
    (
        "mqtt: broker refuses d/health: it ends the connection when it gets this message "
        "of 70 bytes (the longest it took has 7)"
    ),
    (
        "mqtt: broker refuses d/health: a message of 7000 bytes does not come back: "
        "the broker drops it"
    ),
    "mqtt: broker ends the connection on listening to house/#: check its access list",
    "mqtt: connecting anew, to ask the broker for everything again",
    "mqtt: broker keeps no retained message: who subscribes later waits for the next one",
    "mqtt: broker takes QoS 0 only: what is sent while the connection breaks is lost",
    "mqtt: broker does not allow listening to house/#: check its access list",
    "sensor gh/temp: 3 refused, last 93: 7 = 93 is outside -40 to 80",
    "sensor gh/temp: 1 refused, last unavailable: has no value (unavailable)",
    "sensor gh/temp t: silent for 25 min, last 21.5 °C",
    "sensor gh/temp: not heard since the start 16 min ago",
    (
        "sensor st/rain: 1 refused, last 9: rain_mm went from 0 to 9 within 1 minute, "
        "more than 200 mm an hour: not counted"
    ),
    (
        "sensor st/rain: 1 refused, last 9: rain_mm went from 0 to 9 within 2 minutes, "
        "more than the 200 mm of an hour at once: not counted"
    ),
    "sensor gh/temp: never heard",
    "sensor gh/t: 2 refused, last true: house/air temperature: is a boolean",
    "sensor gh/t: 2 refused, last 70 F: is in 'F', and the configuration says 'C'",
    "sensor gh/t: 2 refused, last x: 'x' is no number",
    "sensor gh/t: 2 refused, last x: has no time",
    "sensor gh/t: 2 refused, last x: not JSON: wrong from byte 1 on",
    "mqtt: /etc/pw: cannot be read: Permission denied; check the path",
    "mqtt: this program was stopped for a while",
    (
        "update: [depot] root_file is not set: copy root.json from the trainer's workspace by hand "
        "and name it there; without it no release can be trusted"
    ),
    "update: [depot] root_file /etc/root.json: No such file or directory",
    "update: https://depot.example/x: HTTP 503: the depot is out of service",
    (
        "update: https://depot.example/x: HTTP 302: redirects are not followed: log in to the "
        "network where it asks for that, or put the final address into [depot] url"
    ),
    (
        "update: /usb: timestamp: was signed until yesterday: nobody renewed it; what is installed "
        "goes on, new releases wait"
    ),
    (
        "update: the clock shows 2020-01-01 00:00 UTC, which cannot be right (it is later than "
        "2026-01-01 00:00): set the clock; until then nothing is installed, as old signatures "
        "could pass for fresh ones"
    ),
    "update: the disk refuses; releases and observations come once it takes writes",
    "outbox: agent.db: disk I/O error; check free space, permissions and the disk's health",
    "storage: everything is kept in memory: agent.db: disk I/O error",
    "storage: until 2026-07-01 09:00 UTC everything is kept in memory: agent.db: disk I/O error",
    "cycle: internal error: ValueError: what a library says of it",
    "reload: config.toml: rules[0].threshold: must be a number, not nan",
    "reload: ../dev/a.toml: rules[0].threshold: must be a number, not the text 'x'",
    "reload: a.toml: not TOML: line 3, column 7",
    "storage: everything is kept in memory: /var/lib/agent.db: database or disk is full",
    "storage: everything is kept in memory: agent.db: attempt to write a readonly database",
    "update: [depot] root_file /etc/root.json: Permission denied",
    "release 6 was left: asked for over the local API",
    "update: took more than 600 s: ended, it is tried again",
    "update: https://depot.example/x: check the link and the depot's address",
    (
        "device.warning_zone: KMA's warnings cannot be told, since the place is in no zone of the "
        "list: set the code or name of the zone, such as L1081400 or 진주시 (docs/operating.md)"
    ),
    "device.warning_zone: L1801400 is not in the list of KMA's zones: check the code",
    "no news of KMA's official warnings since 2026-11-30 02:00 UTC: see the depot and its relay",
)
"""Reasons that are put together of several."""


def _reasons() -> list[str]:
    """Texts of the modules that give reasons, with a 7 in each gap."""
    found = []
    for name in SOURCES:
        tree = ast.parse((PACKAGE / name).read_text("utf-8"))
        inner = {id(v) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for v in ast.walk(n)}
        docs = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = (v.value if isinstance(v, ast.Constant) else "7" for v in node.values)
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and id(node) not in inner | docs:
                found.append(str(node.value))
    return sorted({text for text in found if len(text.split()) > 3 and ":" not in text})


@pytest.mark.parametrize("reason", _reasons())
def test_every_reason_is_known(reason: str) -> None:
    """None is shown in English to who reads Korean."""
    assert re.search("[가-힣]", in_korean(reason)), reason


@pytest.mark.parametrize("reason", COMPOSED)
def test_every_part_of_a_reason_is_known(reason: str) -> None:
    """What a library says may stand in brackets; of the agent's own words none stays English."""
    korean = re.sub(r"\([^)]*\)", "", in_korean(reason))
    assert re.findall(r"[A-Za-z]+ [a-z]+ [a-z]+", korean) == []
    assert re.search("[가-힣]", korean)


@pytest.mark.parametrize("name", ["mqtt/tls_faults.py", "updates/http_source.py"])
def test_each_hint_of_a_connection_is_known(name: str) -> None:
    """Constants of the modules that tell causes and advice; new ones need their Korean."""
    tree = ast.parse((PACKAGE / name).read_text("utf-8"))
    docs = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    inner = {id(v) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for v in ast.walk(n)}
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and id(node) not in docs | inner
        if isinstance(node.value, str)
        and len(node.value.split()) > 3
        and not node.value.endswith(("'s", "%d"))
    ]
    assert len(texts) >= 4
    for text in texts:
        told = in_korean(text if "tls" in name else f"https://depot.example: HTTP 500: {text}")
        assert re.search("[가-힣]", told), text


def test_a_problem_that_nobody_translated_is_called_one() -> None:
    """The farmer reads Korean first; the words are for whoever helps."""
    assert problem_in_korean("push: no such host") == "문제가 있습니다(원문: push: no such host)"
    assert problem_in_korean("there is no observation") == "관측값이 없습니다"


@pytest.mark.parametrize(
    "problem",
    [
        "reload: ../dev/a.toml: rules[0].threshold: must be a number, not the text 'x'",
        "storage: everything is kept in memory: /var/lib/agent.db: database or disk is full",
        "outbox: agent.db: disk I/O error; check free space, permissions and the disk's health",
    ],
)
def test_a_cause_of_the_system_is_not_left_in_english(problem: str) -> None:
    """In brackets neither."""
    korean = problem_in_korean(problem)
    assert "원문" not in korean
    assert re.findall(r"[A-Za-z]+ [a-z]+ [a-z]+", korean) == []


def test_there_are_reasons() -> None:
    """The test above looks at something."""
    assert len(_reasons()) >= 9


def test_numbers_stay() -> None:
    """A reason keeps its figures; an unknown one is left alone."""
    assert in_korean("newest usable observation is 5 h old") == "가장 새 관측값이 5시간 전 것입니다"
    assert in_korean("push: no such host") == "push: no such host"


@pytest.mark.parametrize("quantity", TARGETS)
@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("station:108", "관측소 108"),
        ("cell:60-127", "격자 60-127"),
        ("guidance:village", "동네예보"),
    ],
)
def test_a_gap_of_the_own_sensor(quantity: str, source: str, name: str) -> None:
    """Every form of its text, with what both say, how far they are apart and since when."""
    at = datetime(2026, 12, 31, 15, tzinfo=UTC)
    gap = Gap(quantity, source, at, 18.0, 6.0, 12.0, at - timedelta(hours=9), whole=False)
    unit = QUANTITIES[quantity].unit
    apart = in_korean(gap.text)
    for part in (QUANTITIES[quantity].ko.text, name, "2026-12-31 06:00 UTC부터", "15:00"):
        assert part in apart
    assert re.findall(rf"(\d+)(?:\.0)?{unit}", apart) == ["18", "6", "12"]
    assert "이전부터" in in_korean(replace(gap, whole=True).text)
    assert "그대로" in in_korean(replace(gap, median=None).text)
