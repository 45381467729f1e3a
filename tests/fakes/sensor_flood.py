"""Sensors that speak very often: python -m tests.fakes.sensor_flood PORT SENSORS RATE SECONDS."""

from __future__ import annotations

import sys
import time

from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

TICKS_PER_S = 50


def flood(port: int, sensors: int, rate: int, seconds: int) -> int:
    """Publish `rate` readings a second, evenly, with QoS 1; their number, once the broker has them.

    Args:
        port: Of a broker on the loopback.
        sensors: Topics `flood/0`, `flood/1`...
        rate: Messages a second over all of them.
        seconds: How long.
    """
    client = Client(CallbackAPIVersion.VERSION2, client_id="flood", protocol=MQTTv5)
    client.max_queued_messages_set(0)
    client.connect("127.0.0.1", port)
    client.loop_start()
    last = client.publish("flood/begins", b"", qos=1)
    began, sent = time.monotonic(), 0
    for tick in range(seconds * TICKS_PER_S):
        due = rate * (tick + 1) // TICKS_PER_S
        while sent < due:
            last = client.publish(f"flood/{sent % sensors}", f'{{"t": {20 + sent % 7}}}', qos=1)
            sent += 1
        time.sleep(max(began + (tick + 1) / TICKS_PER_S - time.monotonic(), 0.0))
    last.wait_for_publish(60.0)
    client.loop_stop()
    client.disconnect()
    return sent


if __name__ == "__main__":
    sys.stdout.write(f"{flood(*(int(word) for word in sys.argv[1:5]))}\n")
