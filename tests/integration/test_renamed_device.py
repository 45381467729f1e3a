"""A device that gets another name leaves nothing of the old one on the broker (promise I1)."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests.fakes.farm import ServiceProcess, fill_weather, install_release, write_config
from tests.fakes.home_assistant import faults
from tests.fakes.subscriber import Heard, Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fakes.mosquitto import Mosquitto

OLD = "farm/v1/farm/edge-1"
OBJECT = "farm-edge-farm-edge-1"
OLD_DISCOVERY = f"homeassistant/device/{OBJECT}/config"
RENAMED = {
    "id": ("[device]\nid = 'well'\n", "farm/v1/farm/well", "farm-edge-farm-well"),
    "site": ("[device]\nsite = 'hill'\n", "farm/v1/hill/edge-1", "farm-edge-hill-edge-1"),
    "base_topic": ("base_topic = 'greenhouses'\n", "greenhouses/farm/edge-1", OBJECT),
}


def retained(broker: Mosquitto, name: str) -> dict[str, bytes]:
    """What the broker retains, by topic."""
    with Subscriber(broker.port, name=name) as newcomer:
        newcomer.mark()
        return {heard.topic: heard.payload for heard in newcomer.heard if heard.retain}


def under(root: str) -> Callable[[list[Heard]], bool]:
    """Whether a device of this root has told its health."""
    return lambda heard: any(h.topic == f"{root}/health" for h in heard)


def edges(controller: Subscriber) -> list[tuple[str, str]]:
    """Root and edge of the heat alert, in the order they were heard."""
    return [
        (heard.topic.removesuffix("/alert/heat/event"), json.loads(heard.payload)["event_type"])
        for heard in list(controller.heard)
        if heard.topic.endswith("/alert/heat/event")
    ]


@pytest.mark.parametrize("changed", RENAMED)
def test_only_the_new_topics_are_left(changed: str, tmp_path: Path, broker: Mosquitto) -> None:
    """The alert ends under the old name before it begins under the new one; nothing old is left."""
    line, root, object_id = RENAMED[changed]
    install_release(tmp_path / "state")
    fill_weather(tmp_path / "state")
    config = write_config(tmp_path, broker.port)
    with Subscriber(broker.port) as controller:
        with ServiceProcess(config, tmp_path) as service:
            controller.wait(under(OLD))
            service.stop()
        assert {f"{OLD}/availability", OLD_DISCOVERY} <= set(retained(broker, "before"))
        config.write_text(config.read_text("utf-8") + line, "utf-8")
        with ServiceProcess(config, tmp_path) as service:
            controller.wait(under(root))
            # The broker may tell the last will of the first process after the second has begun.
            controller.wait(
                lambda heard: (
                    [h.payload for h in heard if h.topic == f"{OLD}/availability"][-1:] == [b""]
                )
            )
            service.stop()
        assert edges(controller) == [(OLD, "raised"), (OLD, "cleared"), (root, "raised")]
    left = retained(broker, "after")
    discovery = f"homeassistant/device/{object_id}/config"
    assert [t for t in left if not t.startswith(f"{root}/") and t != discovery] == []
    assert {f"{root}/availability", f"{root}/alert/heat/state", discovery} <= set(left)
    assert faults(discovery, left[discovery]) == []
    assert OLD not in left[discovery].decode()


def test_a_last_will_after_the_renaming_is_taken_back(tmp_path: Path, broker: Mosquitto) -> None:
    """After a power cut the broker notices late, and says `offline` when all was taken back."""
    line, root, _ = RENAMED["id"]
    install_release(tmp_path / "state")
    fill_weather(tmp_path / "state")
    config = write_config(tmp_path, broker.port)
    with Subscriber(broker.port) as controller:
        with ServiceProcess(config, tmp_path) as service:
            controller.wait(under(OLD))
            service.kill()
        config.write_text(config.read_text("utf-8") + line, "utf-8")
        with ServiceProcess(config, tmp_path) as service:
            controller.wait(under(root))
            controller.publish(f"{OLD}/availability", b"offline", retain=True)
            controller.wait(
                lambda heard: (
                    [h.payload for h in heard if h.topic == f"{OLD}/availability"][-2:]
                    == [b"offline", b""]
                )
            )
            service.stop()
    assert [topic for topic in retained(broker, "after") if topic.startswith(f"{OLD}/")] == []


def test_back_to_the_old_name_at_once(tmp_path: Path, broker: Mosquitto) -> None:
    """A slip that is mended by two reloads leaves the device as it was, fully described."""
    line, other, _ = RENAMED["id"]
    install_release(tmp_path / "state")
    fill_weather(tmp_path / "state")
    config = write_config(tmp_path, broker.port)
    text = config.read_text("utf-8")
    with Subscriber(broker.port) as controller, ServiceProcess(config, tmp_path) as service:
        controller.wait(under(OLD))
        # The last state of an hour; what is retained before it comes is not all.
        controller.wait(lambda heard: any(h.topic == f"{OLD}/fresh" for h in heard))
        before = set(retained(broker, "before"))
        config.write_text(text + line, "utf-8")
        service.signal(signal.SIGHUP)
        controller.wait(under(other))
        service.forget()  # its socket takes few lines that nobody reads
        config.write_text(text, "utf-8")
        heard = len(controller.heard)
        service.signal(signal.SIGHUP)
        controller.wait(lambda found: under(OLD)(found[heard:]))
        service.forget()
        service.stop()
        raised = [root for root, edge in edges(controller) if edge == "raised"]
        assert raised == [OLD, other, OLD]
    left = retained(broker, "after")
    assert set(left) == before
    assert left[f"{OLD}/availability"] == b"offline"
