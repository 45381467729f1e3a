"""What Home Assistant and a controller hear while the configuration of a running agent changes."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

from tests.fakes.farm import (
    OWN_RULES_ALONE,
    ROOT,
    ServiceProcess,
    fill_weather,
    install_release,
    write_config,
)
from tests.fakes.subscriber import Subscriber

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.mosquitto import Mosquitto

DISCOVERY = "homeassistant/device/farm-edge-farm-edge-1/config"
RULE = """
[[rules]]
name = "{}"
quantity = "air_temperature_c"
operator = ">="
threshold = 20.0
{}
"""
LIVE = RULE.format("hothouse", 'now = true\nrole = "indoor"')
SENSORS = "".join(
    f'[[sensors]]\ntopic = "greenhouse/{n}"\nquantity = "air_temperature_c"\nunit = "C"\n'
    'role = "indoor"\n'
    for n in (1, 2)
)


def test_a_reload_is_heard_as_news_alone(tmp_path: Path, broker: Mosquitto) -> None:
    """A rule, a sensor and the commands' deletions go; nothing else changes for a listener."""
    install_release(tmp_path / "state")
    fill_weather(tmp_path / "state")
    config = write_config(
        tmp_path, broker.port, OWN_RULES_ALONE + RULE.format("heat", "") + LIVE + SENSORS
    )
    text = config.read_text("utf-8")
    state = f"{ROOT}/alert/hothouse/state"
    with Subscriber(broker.port) as listener, ServiceProcess(config, tmp_path) as service:
        listener.wait(lambda heard: any(h.topic == f"{ROOT}/health" for h in heard))
        # A live rule is told within seconds of its first reading, and not at the next minute.
        listener.publish("greenhouse/1", b"25")
        listener.wait(lambda _: any(b'"raised"' in p for p in listener.payloads(state)), 15.0)
        # What deletes a retained request is not one.
        listener.publish(f"{ROOT}/cmd/snooze", b"", retain=True)
        before = len(listener.heard)
        config.write_text(
            text.replace('name = "heat"', 'name = "warm"').replace(
                SENSORS, SENSORS[: len(SENSORS) // 2]
            ),
            "utf-8",
        )
        service.forget()
        service.signal(signal.SIGHUP)
        listener.wait(
            lambda heard: (
                {f"{ROOT}/alert/warm/event", DISCOVERY} <= {h.topic for h in heard[before:]}
            )
        )
        listener.publish("greenhouse/2", b"25")
        listener.mark()
        news = [(h.topic.removeprefix(f"{ROOT}/"), h.payload) for h in listener.heard[before:]]
        service.stop()
    assert listener.payloads(f"{ROOT}/cmd/snooze/result") == []
    assert [payload for topic, payload in news if topic == "availability"] == []
    heard = [topic for topic, _ in news]
    gone = heard.index("alert/heat/event")
    assert json.loads(news[gone][1])["event_type"] == "cleared"
    assert gone < min(heard.index(DISCOVERY), heard.index("alert/warm/event"))
    assert (heard.index("alert/heat/state"), b"") in [
        (place, payload) for place, (_, payload) in enumerate(news)
    ]
    with Subscriber(broker.port, name="newcomer") as newcomer:
        newcomer.mark()
        kept = {h.topic for h in newcomer.heard if h.retain}
    assert f"{ROOT}/alert/heat/state" not in kept
    assert {f"{ROOT}/alert/warm/state", state, DISCOVERY} <= kept
