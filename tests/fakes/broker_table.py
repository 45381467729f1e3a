"""The rows of the table of brokers: a broker, the way of an agent to it, and who listens there."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from paho.mqtt.enums import MQTTProtocolVersion

from tests.fakes.brokers import Aedes, RabbitMq
from tests.fakes.farm import ROOT
from tests.fakes.gate import Gate
from tests.fakes.mosquitto import Mosquitto
from tests.fakes.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DISCOVERY: Final = "homeassistant/device/farm-edge-farm-edge-1/config"
_OLD: Final = MQTTProtocolVersion.MQTTv311


@dataclass(frozen=True, slots=True)
class Row:
    """A row.

    Attributes:
        kind: The program.
        settings: Lines of mosquitto.conf; `{folder}` is the agent's.
        agent: More keys of the agent's section `[mqtt]`.
        refused: What it refuses, each as a word of the line that people are told.
        filters: These are filters that nobody may listen to.
    """

    name: str
    kind: Literal["mosquitto", "rabbitmq", "aedes", "bridge"] = "mosquitto"
    settings: tuple[str, ...] = ()
    agent: str = ""
    refused: tuple[str, ...] = ()
    filters: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A running row.

    Attributes:
        port: What the agent connects to.
        agent: More keys of its section `[mqtt]`.
        link: Cuts what lies between the agent and who listens.
        listener: Hears all.
        mend: Lifts every limit, without a restart.
    """

    port: int
    link: Gate
    listener: Subscriber
    mend: Callable[[], None] = field(default=lambda: None)
    agent: str = ""


_OLD_PROTOCOL: Final = 'protocol = "3.1.1"\n'
_TAKEN_WHILE_RUNNING: Final = {"acl_file {folder}/acl"}
"""What Mosquitto takes at SIGHUP; for other lines it is started anew."""
_TIGHT: Final = ("max_inflight_messages 1", "max_queued_messages 5")
ROWS: Final = (
    Row("mosquitto-5"),
    Row("mosquitto-311", agent=_OLD_PROTOCOL),
    Row(
        "mosquitto-access-list",
        settings=("acl_file {folder}/acl",),
        refused=(DISCOVERY,),
    ),
    Row(
        "mosquitto-size-5",
        settings=(*_TIGHT, "message_size_limit 3000"),
        refused=(DISCOVERY,),
    ),
    Row(
        "mosquitto-size-311",
        settings=(*_TIGHT, "message_size_limit 3000"),
        agent=_OLD_PROTOCOL,
        refused=(DISCOVERY,),
    ),
    Row("mosquitto-packet-5", settings=(*_TIGHT, "max_packet_size 3000"), refused=(DISCOVERY,)),
    Row("mosquitto-no-retain-5", settings=("retain_available false",), refused=("retain",)),
    Row(
        "mosquitto-no-retain-311",
        settings=("retain_available false",),
        agent=_OLD_PROTOCOL,
        refused=("retain",),
    ),
    Row("mosquitto-qos-0-5", settings=("max_qos 0",), refused=("QoS",)),
    Row("mosquitto-qos-0-311", settings=("max_qos 0",), agent=_OLD_PROTOCOL, refused=("QoS",)),
    Row("bridge", kind="bridge"),
    Row("rabbitmq", kind="rabbitmq"),
    Row("rabbitmq-refuses-discovery", kind="rabbitmq", refused=(DISCOVERY,)),
    Row("aedes", kind="aedes"),
    Row("aedes-refuses-discovery", kind="aedes", refused=(DISCOVERY,)),
    Row("aedes-refuses-filter", kind="aedes", refused=(f"{ROOT}/cmd/sync",), filters=True),
    Row(
        "aedes-websockets",
        kind="aedes",
        agent='[mqtt.websockets]\nenabled = true\npath = "/farm/mqtt"\n',
    ),
)


@contextmanager
def running(row: Row, folder: Path) -> Iterator[Surroundings]:
    """The broker and its listener; the link stands."""
    yield from _STARTS[row.kind](row, folder)


def _mosquitto(row: Row, folder: Path) -> Iterator[Surroundings]:
    (folder / "acl").write_text(f"topic readwrite #\ntopic deny {DISCOVERY}\n", "utf-8")
    settings = [line.format(folder=folder) for line in row.settings]
    # The listener hears everything, whatever the broker's limits are.
    broker = Mosquitto(folder / "broker", settings)
    with broker, Gate(broker.port) as link, Subscriber(broker.port) as listener:

        def mend() -> None:
            broker.set_options(())
            if not set(row.settings) <= _TAKEN_WHILE_RUNNING:
                broker.kill()
                listener.broker_will_be_killed()
                broker.start()
                listener.wait_subscribed_again()

        yield Surroundings(link.port, link, listener, mend, row.agent)


def _bridge(row: Row, folder: Path) -> Iterator[Surroundings]:
    """The agent's own broker hands everything on to a central one."""
    with Mosquitto(folder / "centre") as centre, Gate(centre.port) as link:
        settings = (
            "connection centre", f"address 127.0.0.1:{link.port}", "topic # out 1",
            "bridge_protocol_version mqttv50", "cleansession false", "restart_timeout 1 3",
            "notifications false",
        )  # fmt: skip
        with Mosquitto(folder / "own", settings) as own, Subscriber(centre.port) as listener:
            yield Surroundings(own.port, link, listener, agent=row.agent)


def _aedes(row: Row, folder: Path) -> Iterator[Surroundings]:
    broker = Aedes(folder / "broker", **{"filters" if row.filters else "refused": row.refused})
    port = broker.web_port if "websockets" in row.agent else broker.port
    with broker, Gate(port) as link, Subscriber(broker.port, protocol=_OLD) as listener:
        yield Surroundings(link.port, link, listener, broker.refuse, row.agent)


def _rabbitmq(row: Row, folder: Path) -> Iterator[Surroundings]:
    writable = "^(farm[.]|mark$)" if row.refused else ".*"
    broker = RabbitMq(folder / "broker", writable)
    (folder / "password").write_text(broker.login[1], "utf-8")
    account = f'username = "{broker.login[0]}"\npassword_file = "password"\n{row.agent}'
    with (
        broker,
        Gate(broker.port) as link,
        Subscriber(broker.port, protocol=_OLD, login=broker.login) as listener,
    ):
        yield Surroundings(link.port, link, listener, broker.allow_everything, account)


_STARTS: Final = {
    "mosquitto": _mosquitto, "bridge": _bridge, "aedes": _aedes, "rabbitmq": _rabbitmq,
}  # fmt: skip
