"""A device's side: a day of hourly cycles against a broker, and what its commands then say."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from tools.behaviour.broker import Broker, HeldPort
from tools.behaviour.folder import digests
from tools.behaviour.programs import executable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tools.behaviour.folder import Folder
    from tools.behaviour.programs import Call, Programs

HOUR: Final = timedelta(hours=1)
PLACE: Final = """
latitude = 37.5714
longitude = 126.9658
elevation_m = 86.0
station = 108
"""
HILL: Final = (
    """
[device]
site = "hill"
id = "edge-1"
name = "언덕 농장"
"""
    + PLACE
)
HOUSE: Final = (
    """
[device]
site = "house"
id = "edge-2"
language = "en"
"""
    + PLACE
    + """
[irrigation]
crop = "tomato"
soil = "loam"
area_m2 = 660.0
[quiet_hours]
start = "22:00"
end = "06:00"
[[sensors]]
topic = "roof/air"
field = "t"
time_field = "at"
quantity = "air_temperature_c"
unit = "C"
role = "outdoor"
[[sensors]]
topic = "roof/air"
field = "h"
time_field = "at"
quantity = "relative_humidity_pct"
unit = "%"
role = "outdoor"
[[sensors]]
topic = "house/air"
field = "t"
quantity = "air_temperature_c"
unit = "F"
role = "indoor"
[[sensors]]
topic = "house/bed"
quantity = "soil_moisture_pct"
unit = "%"
role = "soil"
"""
)

COMMANDS: Final = (
    ("predict", '{"id": "p1"}'),
    ("snooze", '{"id": "s1", "rule": "vpd-high", "minutes": 30}'),
    ("ack", '{"id": "a1", "rule": "no-such-rule"}'),
    ("snooze", "[]"),
    ("republish", '{"id": "r1"}'),
)
WAIT_S: Final = 60.0


@dataclass(slots=True)
class Device:
    """A device in a folder of its own.

    Args:
        name: Of the folder and of what is written.
        settings: Its configuration, but for depot, broker, state and page.
        start: Moment of the first cycle, UTC.
        hours: How many cycles.
        as_json: Whether `once` prints JSON.
    """

    programs: Programs
    out: Folder
    name: str
    settings: str
    start: datetime
    hours: int
    as_json: bool = False
    held: HeldPort = field(default_factory=HeldPort)
    calls: list[Call] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """Folder of configuration and state."""
        return self.programs.root / self.name

    @property
    def end(self) -> datetime:
        """Moment of the last cycle."""
        return self.start + (self.hours - 1) * HOUR

    @property
    def after(self) -> datetime:
        """An hour later: what the device shows then; its clock may not go back."""
        return self.end + HOUR

    def configure(self, broker_port: int) -> None:
        """Write the configuration."""
        self.root.mkdir(exist_ok=True)
        (self.root / "token").write_text("a-token-of-the-page\n", "utf-8")
        self.programs.stand_ins[f":{self.held.number}"] = ":<WEB>"
        self.programs.stand_ins[f" {self.held.number}"] = " <WEB>"
        self.programs.stand_ins[f":{broker_port}"] = ":<MQTT>"
        self.programs.stand_ins[f" {broker_port}"] = " <MQTT>"
        (self.root / "config.toml").write_text(
            f"{self.settings}\n[mqtt]\nhost = '127.0.0.1'\nport = {broker_port}\n"
            f"share_history = {'true' if 'outdoor' in self.settings else 'false'}\n"
            f"[depot]\npath = '../depot-{self.name}'\nroot_file = '../central/root.json'\n"
            "[storage]\npath = 'state'\nreserve_bytes = 1000000\n"
            f"[web]\nport = {self.held.number}\ntoken_file = 'token'\n",
            "utf-8",
        )

    def call(self, *arguments: str, at: datetime | None = None) -> Call:
        """`edge-agent` with these arguments and this configuration."""
        call = self.programs.call(
            "edge-agent", *arguments, "--config", "config.toml", at=at or self.after, cwd=self.root
        )
        self.calls.append(call)
        return call

    def work(self) -> None:
        """Sync, then a cycle for each hour; every message is noted with its hour."""
        with Broker(self.programs.root / f"{self.name}-broker") as broker:
            self.configure(broker.port)
            self.call("sync", at=self.start)
            if "roof/air" in self.settings:
                self._feed(broker)
            # The depot held the whole episode: what lies ahead of the clock stays unread.
            for number in range(self.hours):
                moment = self.start + number * HOUR
                self.call("once", *(["--json"] if self.as_json else []), at=moment)
                taken = broker.take()
                self.messages.append(f"# {moment:%Y-%m-%dT%H:%MZ}")
                self.messages.extend(taken)
            self.call("once", at=self.end)
            self.call("drill", "frost", at=self.end)
            self.call("doctor", "--json", at=self.end)
            self.messages.extend(["# drill and doctor", *broker.take()])
        self.call("once", "--wait", "2", at=self.after)
        self.call("drill", "frost", "--wait", "1", at=self.after)

    def look(self) -> None:
        """Commands that show; the broker is away."""
        for words in (
            ("status",),
            ("status", "--json"),
            ("history", "--count", "200"),
            ("history", "--json"),
            ("history", "export", "own.parquet"),
            ("release",),
            ("release", "--json"),
            ("queue", "ls"),
            ("queue", "ls", "--json"),
            ("queue", "verify"),
            ("queue", "export"),
            ("self-test",),
            ("self-test", "--json"),
            ("doctor",),
            ("doctor", "--offline", "--json"),
            ("once", "--dry-run", "--json"),
            ("sync",),
            ("check-config",),
            ("check-config", "--json"),
            ("support-bundle", "support.tar.gz"),
        ):
            self.call(*words)
        listed = self.call("history", "--json")
        for edge in json.loads(listed.out)[:3]:
            self.call("replay", "--explain", edge["id"])
            self.call("replay", "--explain", edge["id"], "--json")

    def write(self) -> None:
        """Everything into the recording."""
        for number, call in enumerate(self.calls):
            self.out.text(f"{self.name}/{number:02} {call.words[1]}.txt", self.programs.told(call))
        self.out.lines(f"{self.name}/mqtt.jsonl", self.messages)
        for database in sorted((self.root / "state").glob("*.db")):
            self.out.schema(f"{self.name}/schema {database.name}.sql", database)
        state = (line.split(maxsplit=2)[2] for line in digests(self.root / "state"))
        self.out.lines(f"{self.name}/state.txt", state)

    @contextmanager
    def service(self, at: datetime) -> Iterator[None]:
        """`edge-agent run` in the background."""
        log = self.root / "run.log"
        self.held.let_go()
        with (
            log.open("wb") as file,
            subprocess.Popen(  # noqa: S603 - the project's own program
                [executable("edge-agent"), "run", "--config", "config.toml"],
                cwd=self.root,
                env=self.programs.environment(at),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            ) as process,
        ):
            try:
                yield
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(30)
                self.held = HeldPort(self.held.number)

    def _feed(self, broker: Broker) -> None:
        """Two hours of sensor messages and some commands, to the service."""
        first = self.start - 2 * HOUR
        heard: set[str] = set()
        with self.service(self.start):
            _hear(broker, heard, "/health", 1)
            _hear(broker, heard, "homeassistant/", 1)
            for minute in range(0, 120, 5):
                at = first + minute * HOUR / 60
                air = {"t": 24 + minute / 60, "h": 70 - minute / 10, "at": at.isoformat()}
                broker.publish("roof/air", json.dumps(air))
            broker.publish("house/air", '{"t": 99.5}')
            broker.publish("house/air", "not json")
            broker.publish("house/bed", "31.5")
            base = "farm/v1/house/edge-2/cmd"
            for number, (command, payload) in enumerate(COMMANDS, 1):
                broker.publish(f"{base}/{command}", payload)
                _hear(broker, heard, "/result", number)
            time.sleep(2)
        heard.update(broker.take())
        # The service's threads speak in no fixed order.
        self.messages.append("# the service, each message once and sorted")
        self.messages.extend(sorted(heard))


def _hear(broker: Broker, heard: set[str], part: str, count: int) -> None:
    """Take messages until so many topics have this part."""
    end = time.monotonic() + WAIT_S
    while sum(part in json.loads(one)["topic"] for one in heard) < count:
        if time.monotonic() > end:
            raise TimeoutError(f"nobody said {part} {count} times")
        heard.update(broker.take())
        time.sleep(0.1)
