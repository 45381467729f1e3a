"""A real Home Assistant, a real broker and a running agent: what a farmer sees (T2, S4, I1).

Every test looks at Home Assistant's log as well: nothing of ours is a warning there.
"""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.fakes.farm import (
    OWN_RULES_ALONE,
    ROOT,
    ServiceProcess,
    fill_weather,
    install_release,
    write_config,
)
from tests.fakes.home_assistant_core import PYTHON, HomeAssistant
from tests.fakes.mosquitto import Mosquitto
from tests.fakes.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.home_assistant, pytest.mark.timeout(300)]

OBJECT = "farm_edge_farm_edge_1"
HEAT = f"binary_sensor.{OBJECT}_alert_heat"
LIVE = f"binary_sensor.{OBJECT}_alert_hothouse"
TEMPERATURE = f"sensor.{OBJECT}_temperature_24h"
AGE = f"sensor.{OBJECT}_data_age"
RULES = f"""{OWN_RULES_ALONE}
[[rules]]
name = "heat"
quantity = "air_temperature_c"
operator = ">="
threshold = 20.0
[[rules]]
name = "hothouse"
quantity = "air_temperature_c"
operator = ">="
threshold = 30.0
now = true
role = "indoor"
[[sensors]]
topic = "greenhouse/air"
quantity = "air_temperature_c"
unit = "C"
role = "indoor"
max_age_s = 15
"""


class Farm:
    """A device, its broker, its sensor and the house that shows it."""

    def __init__(self, folder: Path, broker: Mosquitto, house: HomeAssistant) -> None:
        self.broker, self.house = broker, house
        install_release(folder / "state")
        fill_weather(folder / "state")
        self.config = write_config(folder, broker.port, RULES)
        self.service = ServiceProcess(self.config, folder)
        self.sensor = Subscriber(broker.port, f"{ROOT}/#", name="sensor")

    def measure(self, celsius: float) -> None:
        """One reading of the sensor."""
        self.sensor.publish("greenhouse/air", str(celsius).encode())

    def shows(self, **wanted: str) -> bool:
        """Whether the house shows the states of these entities."""
        names = {"heat": HEAT, "live": LIVE, "temperature": TEMPERATURE, "age": AGE}
        return all(self.house.state(names[key]) == state for key, state in wanted.items())

    def wait(self, celsius: float | None, timeout_s: float = 60.0, **wanted: str) -> None:
        """Wait until the house shows these states, with a reading each second."""
        self.house.wait(lambda: self._read(celsius) and self.shows(**wanted), timeout_s)

    def _read(self, celsius: float | None) -> bool:
        self.service.forget()  # its socket takes few lines that nobody reads
        if celsius is not None:
            self.measure(celsius)
            time.sleep(0.5)
        return True

    def reload(self, text: str) -> None:
        """Another configuration for the running agent."""
        self.config.write_text(text, "utf-8")
        self.service.forget()
        self.service.signal(signal.SIGHUP)
        self.service.wait_for_line("READY=1")

    def retained(self) -> set[str]:
        """Topics that the broker retains."""
        with Subscriber(self.broker.port, name="newcomer") as newcomer:
            newcomer.mark()
            return {h.topic for h in newcomer.heard if h.retain}


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    """All of it, running, the first hour worked and the live rule known."""
    if not PYTHON.exists():
        pytest.skip("Home Assistant is not here: make test-home-assistant brings it (770 MB)")
    with Mosquitto(tmp_path / "broker") as broker, HomeAssistant(tmp_path / "house") as house:
        house.onboard(broker.port)
        farm = Farm(tmp_path, broker, house)
        with farm.sensor, farm.service:
            farm.wait(35.0, heat="on", live="on", temperature="36.0")
            yield farm
            assert farm.service.stop()[0] == 0
        assert house.complaints() == []


def test_states_after_each_restart(farm: Farm) -> None:
    """Of Home Assistant, of the broker with all it retained, and of the agent."""
    house = farm.house
    house.stop()
    born = house.births
    house.start()
    farm.wait(35.0, 20.0, heat="on", live="on", temperature="36.0")
    house.wait(lambda: house.births > born)
    farm.broker.kill()
    house.wait(lambda: farm.shows(heat="unavailable", live="unavailable"))
    farm.sensor.broker_will_be_killed()
    farm.broker.start()
    farm.sensor.wait_subscribed_again()
    farm.wait(35.0, 60.0, heat="on", live="on", temperature="36.0")
    house.wait(lambda: house.births > born + 1)
    assert farm.service.stop()[0] == 0
    house.wait(lambda: farm.shows(heat="unavailable", live="unavailable", age="unavailable"))
    farm.service.start()
    farm.wait(35.0, heat="on", live="on", temperature="36.0")


def test_unknown_is_shown_as_unknown(farm: Farm) -> None:
    """A sensor that falls silent; then the station's data; then messages that come no more."""
    house = farm.house
    farm.wait(None, 90.0, live="unknown")
    farm.wait(35.0, 15.0, live="on")
    # The station's data are old: what rests on the forecast is not shown, the farm's sensor is.
    fresh = json.loads(farm.sensor.payloads(f"{ROOT}/fresh")[-1])
    farm.sensor.publish(
        f"{ROOT}/fresh", json.dumps(fresh | {"state": "offline"}).encode(), retain=True
    )
    house.wait(lambda: farm.shows(heat="unavailable", temperature="unavailable"))
    assert farm.shows(live="on")
    farm.sensor.publish(f"{ROOT}/fresh", json.dumps(fresh).encode(), retain=True)
    house.wait(lambda: farm.shows(heat="on"))
    # The same description with three seconds in the place of three hours.
    topic = "homeassistant/device/farm-edge-farm-edge-1/config"
    with Subscriber(farm.broker.port, topic, name="description") as reader:
        payload = reader.wait(bool)[0].payload
    document = json.loads(payload)
    state = farm.sensor.payloads(f"{ROOT}/alert/heat/state")[-1]
    for component in document["components"].values():
        if "expire_after" in component:
            assert component["expire_after"] == 3 * 3600
            component["expire_after"] = 3
    farm.sensor.publish(topic, json.dumps(document).encode(), retain=True)
    house.wait(lambda: farm.shows(heat="unavailable", live="unavailable"))
    farm.sensor.publish(f"{ROOT}/alert/heat/state", state, retain=True)
    house.wait(lambda: farm.shows(heat="on"))
    house.wait(lambda: farm.shows(heat="unavailable"), 10.0)


def test_a_reload_shows_what_changed_and_nothing_else(farm: Farm) -> None:
    """Nothing is unavailable for a moment; `cleared` is heard before the entity of a rule goes."""
    house, text = farm.house, farm.config.read_text("utf-8")
    before = len(house.changes())
    farm.reload(text)
    farm.reload(text.replace("greenhouse/air", "greenhouse/other"))
    farm.reload(text.replace('name = "heat"', 'name = "warm"'))
    warm = HEAT.replace("heat", "warm")
    house.wait(lambda: house.state(warm) == "on")
    changes = house.changes()[before:]
    gone = {entity for entity, state in changes if state == "removed"}
    news = {HEAT.replace("heat", "warm"), f"event.{OBJECT}_event_warm"}
    assert gone == {HEAT, f"event.{OBJECT}_event_heat"}
    assert {entity for entity, state in changes if state == "unavailable"} <= news
    event = f"event.{OBJECT}_event_heat"
    assert [state for entity, state in changes if entity == event] == ["cleared", "removed"]
    assert changes.index((event, "cleared")) < changes.index((HEAT, "removed"))
    assert set(house.entities()).isdisjoint(gone)
    assert f"{ROOT}/alert/heat/state" not in farm.retained()
    # At its birth the agent sends everything again: nothing of the rule is among it.
    house.stop()
    house.start()
    asked = len(farm.sensor.heard)
    farm.sensor.wait(lambda heard: any(h.topic == f"{ROOT}/model" for h in heard[asked:]), 90.0)
    assert set(house.entities()).isdisjoint(gone)
    assert f"{ROOT}/alert/heat/state" not in farm.retained()


def test_nothing_is_left_of_a_device_that_is_renamed_and_then_hidden(farm: Farm) -> None:
    """The registry has the new name alone, and is empty once discovery is switched off."""
    house, text = farm.house, farm.config.read_text("utf-8")
    farm.reload(f"{text}[device]\nid = 'well'\n")
    well = HEAT.replace("edge_1", "well")
    house.wait(lambda: house.state(well) == "on")
    assert house.devices() == ["farm well"]
    assert [entity for entity in house.entities() if OBJECT in entity] == []
    assert [topic for topic in farm.retained() if topic.startswith(f"{ROOT}/")] == []
    hidden = text.replace("[mqtt]\n", "[mqtt]\ndiscovery = false\n")
    farm.reload(f"{hidden}[device]\nid = 'well'\n")
    house.wait(lambda: house.entities() == [])
    assert house.devices() == []


def test_a_new_name_for_people_leaves_every_value(farm: Farm) -> None:
    """Home Assistant takes values of a new description as expired; they follow at once."""
    house, text = farm.house, farm.config.read_text("utf-8")
    shown = [e for e in house.entities() if house.state(e) not in {"unknown", "unavailable"}]
    farm.reload(f"{text}[device]\nname = 'Glasshouse'\n")
    house.wait(lambda: house.devices() == ["Glasshouse"])
    house.wait(lambda: all(house.state(e) != "unavailable" for e in shown), 10.0)
