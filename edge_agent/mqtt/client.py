"""MQTT over paho, the only module that imports it. Policy lives in `mqtt.delivery`."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from paho.mqtt.client import Client, MQTTv5, MQTTv311, WebsocketConnectionError
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.contract.errors import FarmError
from edge_agent.mqtt import faults, handshake_faults, packet_options, reason_codes
from edge_agent.mqtt.connection import (
    LARGEST_IN,
    Acknowledged,
    Down,
    Event,
    Outgoing,
    Received,
    Subscribed,
    Subscription,
    Up,
    Version,
)
from edge_agent.mqtt.handshake_faults import HandshakeFailed
from edge_agent.mqtt.packet_options import WINDOW
from edge_agent.mqtt.reason_codes import NO_QOS_1, NO_RETAIN
from edge_agent.mqtt.subscribe_answers import SubscribeAnswers, packets
from edge_agent.mqtt.tls import TlsContext, tls_context

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage, MQTTMessageInfo
    from paho.mqtt.properties import Properties

    from edge_agent.mqtt.connection import Broker
    from edge_agent.system.ports import Clock

    _Report = Callable[[Event], None]

_CONNACK: Final = {"RetainAvailable": NO_RETAIN, "MaximumQoS": NO_QOS_1}
_CONNECT_TIMEOUT_S: Final = 10.0
_STOPPED_S: Final = 30.0
"""A network thread that did nothing for so long was stopped, or the machine slept."""


# paho raises on a code that MQTT 5 does not give to the packet.
ReasonCode.names = reason_codes.with_every_failure(
    ReasonCode.names,
    (PacketTypes.CONNACK, PacketTypes.PUBACK, PacketTypes.SUBACK, PacketTypes.DISCONNECT),
)


class _PahoClient(Client):
    """Keeps its TCP socket, since paho leaves it open when a websocket is refused."""

    tcp: socket.socket | None = None

    def _create_socket_connection(self) -> socket.socket:
        self.tcp = super()._create_socket_connection()
        return self.tcp


class MqttConnection:
    """`connection.Connection` over TCP, TLS or websockets.

    Each attempt has its own paho client and its own thread, so that renewed certificates, another
    protocol and a half-open socket need no special case.

    Args:
        broker: Where to.
        report: Called with every event, from the network thread; must not block.
        clock: Stamps what comes in.
    """

    def __init__(self, broker: Broker, report: _Report, clock: Clock) -> None:
        self._broker = broker
        self._report = report
        self._clock = clock
        self._numbers = count(1)
        self._attempt: _Attempt | None = None

    def connect(self, version: Version, without: Collection[int] = ()) -> None:
        """See `connection.Connection`."""
        number = next(self._numbers)
        self._attempt = _Attempt(self._broker, version, number, self._report, self._clock, without)

    def take_over(self, before: MqttConnection) -> bool:
        """See `connection.Connection`."""
        if before._broker != self._broker:
            return False
        # A password or certificate that was changed counts from the next attempt on.
        self._attempt, before._attempt = before._attempt, None
        self._numbers = before._numbers
        return True

    def publish(self, message: Outgoing) -> int | None:
        """See `connection.Connection`."""
        return None if self._attempt is None else self._attempt.publish(message)

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """See `connection.Connection`."""
        if self._attempt is not None:
            self._attempt.subscribe(subscriptions)

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """See `connection.Connection`."""
        if self._attempt is not None:
            self._attempt.unsubscribe(subscriptions)

    def drop(self, *, cleanly: bool = False) -> None:
        """See `connection.Connection`."""
        if self._attempt is not None and cleanly:
            self._attempt.leave()
        elif self._attempt is not None:
            self._attempt.drop()

    def disconnect(self, last: Outgoing | None, timeout_s: float) -> None:
        """See `connection.Connection`."""
        if self._attempt is not None:
            self._attempt.disconnect(last, timeout_s)
            self._attempt = None


class _Attempt:
    """One paho client; `without` has the codes of what is not asked of the broker."""

    def __init__(  # noqa: PLR0917 - private; all differ in type
        self,
        broker: Broker,
        version: Version,
        number: int,
        report: _Report,
        clock: Clock,
        without: Collection[int],
    ) -> None:
        self._broker = broker
        self._version: Version = version
        self._number = number
        self._report = report
        self._clock = clock
        self._unavailable = set(without)
        self._reached = self._accepted = self._silent = self._dropped = self._left = False
        self._subscribing = SubscribeAnswers()
        self._turned_at = clock.monotonic()
        self._tls: TlsContext | None = None
        self._end: Down | None = None
        self._client: _PahoClient | None = None
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._thread.start()

    def publish(self, message: Outgoing) -> int | None:
        client = self._client
        if client is None:
            return None
        info = self._send(client, message)
        return self._token(info.mid) if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def _send(self, client: Client, message: Outgoing) -> MQTTMessageInfo:
        properties = packet_options.of_publish(self._version, message)
        return client.publish(
            message.topic, message.payload, *self._allowed(message), properties=properties
        )

    def _allowed(self, message: Outgoing) -> tuple[int, bool]:
        retain = message.retain and NO_RETAIN not in self._unavailable
        return int(NO_QOS_1 not in self._unavailable), retain

    def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        client = self._client
        if client is None or not subscriptions:
            return
        filters: list[Any] = [
            (one.topic, packet_options.of_subscribe(self._version, one)) for one in subscriptions
        ]
        self._subscribing.ask(filters, client.subscribe)

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        topics = [subscription.topic for subscription in subscriptions]
        for part in packets(topics):
            if self._client is not None:
                self._client.unsubscribe(part)

    def leave(self) -> None:
        self._end = Down("connecting anew, to ask the broker for everything again", own=True)
        if self._client is not None:
            self._client.disconnect()

    def drop(self) -> None:
        self._dropped = True
        # Wakes the network thread, which closes the socket.
        if self._client is not None:
            for connection in self._sockets(self._client):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def disconnect(self, last: Outgoing | None, timeout_s: float) -> None:
        client = self._client
        if client is not None and last is not None:
            with suppress(RuntimeError, ValueError):
                self._send(client, last).wait_for_publish(timeout_s / 2)
            self._left = True
            client.disconnect()
            self._thread.join(timeout_s / 2)
        self._silent = True
        self.drop()

    def _run(self) -> None:
        end, client = Down("connection lost"), None
        try:
            client = self._make_client()
            self._open(client)
            self._reached = True
            self._client = client
            self._turned_at = self._clock.monotonic()
            while client.loop(timeout=1.0) == MQTTErrorCode.MQTT_ERR_SUCCESS:
                if self._was_stopped():
                    end = Down("this program was stopped for a while", own=True)
                    break
                self._turned_at = self._clock.monotonic()
        except HandshakeFailed as fault:
            end = Down(fault.why.seen, advice=fault.why.advice)
        except FarmError as fault:
            end = Down(str(fault))
        except Exception as fault:  # noqa: BLE001 - paho raises on malformed packets too; the connection just ends
            broker = self._broker
            end = Down(faults.in_words(fault, broker.host, broker.port, reached=self._reached))
        finally:
            self._client = None
            for unclosed in self._sockets(client):
                unclosed.close()
            end = self._explained(self._end or end)
            if not self._left:
                self._report_event(replace(end, reached=self._reached))

    def _sockets(self, client: _PahoClient | None) -> list[socket.socket]:
        both = (client.tcp if client else None, self._tls.socket if self._tls else None)
        return [connection for connection in both if connection is not None]

    def _open(self, client: _PahoClient) -> None:
        """Connect, and shake hands over TLS and for a websocket.

        Raises:
            HandshakeFailed: The broker is reached, and a handshake with it fails.
        """
        broker = self._broker
        try:
            client.connect(
                broker.host,
                broker.port,
                keepalive=broker.keepalive_s,
                **packet_options.of_connect(self._version),
            )
        except OSError as fault:
            refused = isinstance(fault, WebsocketConnectionError)
            why = handshake_faults.of_open(fault, broker, self._tls, refused=refused)
            if why is None:
                raise
            raise HandshakeFailed(why) from fault

    def _explained(self, end: Down) -> Down:
        """The end with its cause, where the broker hung up before it said anything."""
        early = self._reached and not self._accepted and end.code is None
        if not early or self._silent:
            return end
        ours = self._dropped or end.own
        if self._broker.tls is None or not ours:
            why = handshake_faults.of_silent_end(self._broker)
            if why is not None:
                return Down(why.seen, advice=why.advice)
        return replace(end, silent=not ours)

    def _make_client(self) -> _PahoClient:
        broker = self._broker
        five = self._version == "5"
        client = _PahoClient(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client_id,
            clean_session=None if five else True,
            protocol=MQTTv5 if five else MQTTv311,
            reconnect_on_failure=False,
            transport="websockets" if broker.websocket else "tcp",
        )
        if broker.websocket is not None:
            client.ws_set_options(broker.websocket.path, broker.websocket.headers)
        client.connect_timeout = _CONNECT_TIMEOUT_S
        client.max_inflight_messages_set(0)  # `Delivery` bounds them
        will = broker.will
        client.will_set(will.topic, will.payload, *self._allowed(will))
        if broker.username:
            client.username_pw_set(broker.username, broker.password())
        if broker.tls is not None:
            self._tls = tls_context(broker.tls)
            client.tls_set_context(self._tls)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        # With this callback set, publish() from another thread never writes to the socket itself.
        client.on_socket_register_write = lambda *_: None
        return client

    def _on_connect(
        self,
        _c: Client,
        _d: object,
        _flags: ConnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if code.is_failure:
            self._end = Down(f"broker refuses: {code.getName()}", code.value)
            return
        self._accepted = True
        if self._version == "5":  # which says what it does not take
            names = _CONNACK.items()
            self._unavailable = {c for name, c in names if not getattr(properties, name, 1)}
        takes = [reason not in self._unavailable for reason in _CONNACK.values()]
        window = getattr(properties, "ReceiveMaximum", WINDOW)
        largest = getattr(properties, "MaximumPacketSize", None)
        self._report_event(Up(self._version, min(WINDOW, window), largest, *takes))

    def _on_disconnect(
        self, _c: Client, _d: object, flags: DisconnectFlags, code: ReasonCode, *_: object
    ) -> None:
        if self._end is None and flags.is_disconnect_packet_from_server:
            self._end = Down(f"broker disconnects: {code.getName()}", code.value)

    def _on_publish(self, _c: Client, _d: object, mid: int, code: ReasonCode, *_: object) -> None:
        self._report_event(Acknowledged(self._token(mid), code.value, code.getName()))

    def _on_subscribe(
        self, _c: Client, _d: object, mid: int, codes: list[ReasonCode], *_: object
    ) -> None:
        refused = self._subscribing.answered(mid, [code.is_failure for code in codes])
        if refused is not None:
            self._report_event(Subscribed(refused))

    def _was_stopped(self) -> bool:
        return self._clock.monotonic() - self._turned_at > _STOPPED_S

    def _report_event(self, event: Event) -> None:
        if not self._silent:
            self._report(event)

    def _token(self, mid: int) -> int:
        # Packet ids have 16 bits and start again with every attempt.
        return self._number << 16 | mid

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        # After a stop the socket holds messages of before it, whose age nobody knows.
        if len(message.payload) > LARGEST_IN or self._was_stopped():
            return
        self._report_event(
            Received(
                topic,
                bytes(message.payload),
                message.retain,
                self._clock.now(),
                getattr(message.properties, "ResponseTopic", None),
                getattr(message.properties, "CorrelationData", None),
            )
        )
