"""The rooftop logger's fault through a real broker into the store's hours."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import polars as pl
import pytest
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent import config
from edge_agent.contract.schema import AIR_TEMPERATURE, RELATIVE_HUMIDITY, WIND_SPEED
from edge_agent.core.events import EventQueue
from edge_agent.core.runtime import Runtime
from edge_agent.core.worker import Worker
from edge_agent.mqtt.connection import Received, Subscribed
from edge_agent.observations.source_choice import aggregate
from edge_agent.system.clock import SystemClock
from tests.fakes.farm import no_update
from tests.fakes.mosquitto import Mosquitto

if TYPE_CHECKING:
    from datetime import datetime

DATA = Path(__file__).parents[3] / "shared/data/farm_sensor/rooftop_aws_1min_2023_2024.parquet"
COLUMNS = {"ta": (AIR_TEMPERATURE, "C"), "hm": (RELATIVE_HUMIDITY, "%"), "ws": (WIND_SPEED, "m/s")}
MOVED = {"ta": 0.2, "hm": 1.0, "ws": 0.5}
"""Most that a fault may move an hour by: what leaving out any one good minute does as well."""
TURNS = 600


def settings(port: int) -> str:
    """One JSON topic with three numbers and the logger's own time."""
    text = f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\n'
    for name, (quantity, unit) in COLUMNS.items():
        text += (
            f'[[sensors]]\ntopic = "roof"\nfield = "{name}"\ntime_field = "at"\n'
            f'quantity = "{quantity}"\nunit = "{unit}"\n'
        )
    return text


def hours(folder: Path, port: int, minutes: pl.DataFrame, end: datetime) -> pl.DataFrame:
    """What the agent makes of minutes that come through the broker."""
    inbox: EventQueue = EventQueue()
    made = config.decode(settings(port).encode(), "c.toml")
    runtime = Runtime(made, folder, SystemClock(), lambda: True)
    logger = Client(CallbackAPIVersion.VERSION2, client_id="logger", protocol=MQTTv5)
    logger.max_queued_messages_set(0)
    with closing(Worker(lambda: runtime, inbox.put, no_update)) as agent:
        delivery = agent.delivery()
        taken = sent = 0
        listening = False
        for _ in range(TURNS):
            delivery.tick(runtime.clock.now())
            item = inbox.get(0.1)
            while item is not None:
                if isinstance(item, Received) and item.topic == "roof":
                    agent.take(item)
                    taken += 1
                else:
                    listening = listening or isinstance(item, Subscribed)
                    delivery.handle(item)  # type: ignore[arg-type]
                item = inbox.get(0.0)
            if listening and not sent:
                logger.connect("127.0.0.1", port)
                logger.loop_start()
                for tm, *values in minutes.iter_rows():
                    body = dict(zip(COLUMNS, values, strict=True)) | {"at": tm.isoformat()}
                    logger.publish("roof", msgspec.json.encode(body), qos=1)
                    sent += 1
            if sent and taken == sent:
                break
        delivery.disconnect(3.0)
        logger.loop_stop()
        assert taken == minutes.height
        runtime.intake.flush(runtime.store)
        aggregate(runtime.store, made.sensors, end - timedelta(hours=5), end)
        return runtime.store.hourly("sensor:outdoor", end - timedelta(hours=5), end)


@pytest.mark.skipif(not DATA.is_file(), reason="the shared rooftop record is not on this machine")
def test_a_fault_through_the_broker_moves_no_hour(tmp_path: Path) -> None:
    """130 C, 100 % and 983 m/s in one message, in the minutes that an hour is made of."""
    frame = pl.read_parquet(DATA, columns=["tm", *COLUMNS]).sort("tm")
    fault = frame.filter(pl.col("ta") > 100)["tm"][0]
    end = SystemClock().now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    later = (end - timedelta(minutes=5)).replace(tzinfo=None) - fault
    near = frame.filter(pl.col("tm").is_between(fault - timedelta(hours=4), fault))
    near = near.with_columns((pl.col("tm") + later).dt.replace_time_zone("UTC"))
    assert near["tm"][-1] == end.astimezone(UTC) - timedelta(minutes=5)
    with Mosquitto(tmp_path / "broker") as broker:
        faulty = hours(tmp_path / "one", broker.port, near, end)
        sound = hours(tmp_path / "two", broker.port, near.head(-1), end)
    assert faulty.height == sound.height >= 4
    for name, (quantity, _) in COLUMNS.items():
        apart = (faulty[quantity] - sound[quantity]).abs().max()
        assert isinstance(apart, float)
        assert apart <= MOVED[name], quantity
