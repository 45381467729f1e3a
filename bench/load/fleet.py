"""A fleet on one real Mosquitto and one real depot: what a broker and a server carry.

    python -m bench.load.fleet [--devices 10000] [--window 60] [--syncs 200] [--keep FILE]
    python -m bench.load.fleet --plot docs/reconnects.svg

A real agent's hour is recorded first. Then every device connects as the agent does (MQTT 5, clean
session, last will), says that hour under its own name, loses the broker for ten seconds and
returns by the agent's own pauses; and some follow a real depot with the real TUF client. Devices
and servers share this machine, so the figures are lower bounds. `--keep` writes down how they
returned; `--plot` draws what is kept beside what the agent's pauses foretell, and measures nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from bench.load import reconnects
from bench.load.depot import cpu_s, nginx
from edge_agent.contract.errors import NothingNew
from edge_agent.mqtt.backoff import Backoff
from edge_agent.updates.http_source import HttpLimits
from tests.fakes import farm
from tests.fakes.certificates import Authority
from tests.fakes.depot import Device, Yard
from tests.fakes.fleet import per_second
from tests.fakes.mosquitto import Mosquitto
from tests.fakes.subscriber import Heard, Subscriber

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]

AWAY_S = 10.0
HANDSHAKES = 500


def record(folder: Path) -> list[Heard]:
    """Everything that a real agent says in one hour's work."""
    folder.mkdir()
    broker = Mosquitto(folder)
    broker.start()
    farm.install_release(folder / "state")
    farm.fill_weather(folder / "state")
    config = farm.write_config(folder, broker.port, "discovery = false\n")
    try:
        with Subscriber(broker.port, f"{farm.ROOT}/#") as ear:
            with farm.ServiceProcess(config, folder) as service:
                service.wait_for_line("READY=1")
                heard = ear.wait(lambda all_of_it: any("/health" in h.topic for h in all_of_it))
                time.sleep(2.0)
            heard = list(ear.heard)
    finally:
        broker.kill()
    return [message for message in heard if "/ping" not in message.topic]


@dataclass(slots=True)
class Tally:
    """What the devices count together."""

    connected: list[float]
    acknowledged: int = 0
    refused: int = 0


class Agent:
    """One device on the event loop: paho does the protocol, the loop waits for its socket.

    Args:
        number: Makes its name.
        port: The broker's.
        messages: What it publishes in an hour.
        tally: Where it counts.
        window_s: `mqtt.reconnect_s`.
    """

    def __init__(
        self, number: int, port: int, messages: Sequence[Heard], tally: Tally, window_s: float
    ) -> None:
        self._name = f"farm/v1/fleet/edge-{number}"
        self._port = port
        self._messages = messages
        self._tally = tally
        self._backoff = Backoff(random.random, window_s)
        self._loop = asyncio.get_running_loop()
        self._up = self._loop.create_future()
        self._waiting: set[int] = set()
        self._done = self._loop.create_future()
        self._client = Client(CallbackAPIVersion.VERSION2, f"edge-{number}", protocol=MQTTv5)
        self._client.will_set(f"{self._name}/availability", b"offline", qos=1, retain=True)
        self._client.max_inflight_messages_set(0)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_socket_open = self._on_open
        self._client.on_socket_close = self._on_close
        self._client.on_socket_register_write = self._on_write
        self._client.on_socket_unregister_write = self._on_written
        self._lost: asyncio.Event = asyncio.Event()

    async def start(self, after_s: float) -> None:
        """Connect for the first time."""
        await asyncio.sleep(after_s)
        await self._dial()

    async def say(self, after_s: float) -> None:
        """Publish the recorded hour; return when all of it is acknowledged."""
        await asyncio.sleep(after_s)
        for message in self._messages:
            topic = message.topic.replace(farm.ROOT, self._name)
            info = self._client.publish(topic, message.payload, qos=1, retain=message.retain)
            self._waiting.add(info.mid)
        await self._done

    async def come_back(self) -> None:
        """Notice the loss, and return by the agent's own pauses."""
        await self._lost.wait()
        while True:
            await asyncio.sleep(self._backoff.pause(None))
            if await self._dial():
                return

    def keep_alive(self) -> None:
        """Let paho ping the broker where that is due."""
        self._client.loop_misc()

    async def part(self) -> None:
        """Hang up."""
        self._client.disconnect()

    async def _dial(self) -> bool:
        self._up = self._loop.create_future()
        try:
            self._client.connect("127.0.0.1", self._port, clean_start=True)
            await asyncio.wait_for(self._up, 30.0)
        except (OSError, TimeoutError):
            self._tally.refused += 1
            return False
        self._tally.connected.append(time.monotonic())
        return True

    def _on_open(self, _client: Client, _data: object, sock: Any) -> None:  # noqa: ANN401 - paho's own
        self._loop.add_reader(sock, self._client.loop_read)

    def _on_close(self, _client: Client, _data: object, sock: Any) -> None:  # noqa: ANN401 - paho's own
        self._loop.remove_reader(sock)

    def _on_written(self, _client: Client, _data: object, sock: Any) -> None:  # noqa: ANN401 - paho's own
        self._loop.remove_writer(sock)

    def _on_write(self, _client: Client, _data: object, sock: Any) -> None:  # noqa: ANN401 - paho's own
        self._loop.add_writer(sock, self._client.loop_write)

    def _on_connect(self, *_: object) -> None:
        if not self._up.done():
            self._up.set_result(None)

    def _on_disconnect(self, *_: object) -> None:
        self._lost.set()

    def _on_publish(self, _client: Client, _data: object, mid: int, *_: object) -> None:
        self._tally.acknowledged += 1
        self._waiting.discard(mid)
        if not self._waiting and not self._done.done():
            self._done.set_result(None)


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


async def crowd(
    broker: Mosquitto, messages: list[Heard], devices: int, window_s: float
) -> tuple[float, list[int]]:
    """Connect all, let all publish, stop the broker, watch them return.

    Returns:
        The broker's CPU for a connection in microseconds, and returns in each second.
    """
    tally = Tally([])
    empty = rss_mb(broker.pid)
    agents = [Agent(n, broker.port, messages, tally, window_s) for n in range(devices)]
    pulse = asyncio.create_task(keep_alive(agents))
    spread = devices / 500
    connect_us = await measured(
        f"{devices} devices connect",
        broker,
        [agent.start(random.uniform(0, spread)) for agent in agents],
    )
    each = (rss_mb(broker.pid) - empty) / devices * 1024
    print(f"  broker: {rss_mb(broker.pid):.0f} MB, {each:.1f} KB a connection")
    hour = devices * len(messages) / 1500
    await measured(
        f"{devices} x {len(messages)} messages of one hour",
        broker,
        [agent.say(random.uniform(0, hour)) for agent in agents],
    )
    print(f"  {tally.acknowledged} acknowledged")
    tally.connected.clear()
    tally.refused = 0
    broker.kill()
    lost = [asyncio.create_task(agent.come_back()) for agent in agents]
    await asyncio.sleep(AWAY_S)
    broker.start()
    began = time.monotonic()
    await asyncio.gather(*lost)
    times = [at - began for at in tally.connected]
    returned = per_second(times)
    print(
        f"away for {AWAY_S:.0f} s: all {len(times)} back after {max(times):.0f} s, "
        f"{max(returned)} in the busiest second, half within "
        f"{statistics.median(times):.0f} s; {tally.refused} attempts met no broker"
    )
    pulse.cancel()
    for agent in agents:
        await agent.part()
    return connect_us, returned


async def keep_alive(agents: Sequence[Agent]) -> None:
    """What paho's own loop would do now and then."""
    while True:
        await asyncio.sleep(15.0)
        for agent in agents:
            agent.keep_alive()


async def measured(what: str, broker: Mosquitto, jobs: list[Any]) -> float:
    """Run jobs; the broker's CPU in microseconds for each."""
    before, began = cpu_s(broker.pid), time.monotonic()
    await asyncio.gather(*jobs)
    seconds = time.monotonic() - began
    spent = cpu_s(broker.pid) - before
    each_us = spent / len(jobs) * 1e6
    print(
        f"{what}: {seconds:.1f} s, broker {spent:.2f} s of CPU ({each_us:.0f} us a device)",
        flush=True,
    )
    return each_us


def encrypted(folder: Path) -> float:
    """Connect with TLS and part, one after the other; the broker's CPU in microseconds for each."""
    authority = Authority(folder)
    certificate, key = authority.issue("broker")
    with Mosquitto(folder, [f"certfile {certificate}", f"keyfile {key}"]) as broker:
        before = cpu_s(broker.pid)
        for number in range(HANDSHAKES):
            client = Client(CallbackAPIVersion.VERSION2, f"edge-{number}", protocol=MQTTv5)
            client.tls_set(str(authority.file))
            client.connect("127.0.0.1", broker.port)
            while not client.is_connected():
                client.loop(1.0)
            client.disconnect()
        each_us = (cpu_s(broker.pid) - before) / HANDSHAKES * 1e6
    print(f"{HANDSHAKES} connections with TLS, ECDSA P-256: {each_us:.0f} us of CPU each")
    return each_us


def follow(folder: Path, count: int) -> None:
    """Devices with the real TUF client: first pull, and a poll that finds nothing new."""
    yard = Yard.make(folder / "yard")
    yard.publish("one")
    with nginx(yard.depot, folder) as (port, _):
        devices = [
            Device(
                folder / f"device-{n}", yard.pinned, yard.clock, id=f"edge-{n}", pace=HttpLimits()
            )
            for n in range(count)
        ]
        for what in ("first pull", "unchanged poll"):
            timed(what, devices, f"http://127.0.0.1:{port}")


def timed(what: str, devices: Sequence[Device], url: str) -> None:
    """All devices on a few threads; time and CPU of this process."""

    def pull(device: Device) -> None:
        with suppress(NothingNew):
            device.sync(url)

    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(pull, devices))
    after, seconds = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - began
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"{len(devices)} x {what}: {seconds:.1f} s, "
        f"{spent / len(devices) * 1e3:.1f} ms of CPU a device"
    )


def measure(devices: int, window_s: float, syncs: int, keep: Path | None) -> None:
    """Print the figures, and write down how the fleet returned."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        messages = record(folder / "recorded")
        size = sum(len(message.payload) for message in messages)
        print(f"an hour of one device: {len(messages)} messages, {size} bytes")
        tls_us = encrypted(folder / "tls")
        broker = Mosquitto(folder / "broker")
        broker.start()
        try:
            connect_us, returned = asyncio.run(crowd(broker, messages, devices, window_s))
        finally:
            broker.kill()
        if keep:
            costs = round(connect_us), round(tls_us)
            seen = reconnects.Measured(devices, window_s, AWAY_S, *costs, returned)
            keep.write_bytes(msgspec.json.encode(seen) + b"\n")
        follow(folder, syncs)


def main() -> None:
    """Measure, or draw what was measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.load.fleet")
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--window", type=float, default=60.0)
    parser.add_argument("--syncs", type=int, default=200)
    parser.add_argument("--keep", type=Path, help=f"e.g. {reconnects.FACTS.relative_to(ROOT)}")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    if options.plot:
        seen = msgspec.json.decode(reconnects.FACTS.read_bytes(), type=reconnects.Measured)
        options.plot.write_text(reconnects.draw(seen), "utf-8")
    else:
        measure(options.devices, options.window, options.syncs, options.keep)


if __name__ == "__main__":
    main()
