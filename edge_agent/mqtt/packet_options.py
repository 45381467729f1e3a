"""Options and properties of the packets that are sent, in the form of paho."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_agent.mqtt.connection import LARGEST_IN

if TYPE_CHECKING:
    from edge_agent.mqtt.connection import Outgoing, Subscription, Version

WINDOW: Final = 10


def of_connect(version: Version) -> dict[str, Any]:
    """More arguments of `Client.connect`."""
    if version != "5":
        return {}
    # Without an expiry interval the session ends with its connection.
    properties = _properties(
        PacketTypes.CONNECT, ReceiveMaximum=WINDOW, MaximumPacketSize=LARGEST_IN
    )
    return {"clean_start": True, "properties": properties}


def of_publish(version: Version, message: Outgoing) -> Properties | None:
    """Properties of a PUBLISH; None under MQTT 3.1.1, which has none."""
    if version != "5":
        return None
    properties = _properties(PacketTypes.PUBLISH, PayloadFormatIndicator=1)
    if message.json:
        properties.ContentType = "application/json"
    if message.expiry_s is not None:
        properties.MessageExpiryInterval = message.expiry_s
    if message.correlation is not None:
        properties.CorrelationData = message.correlation
    for pair in message.headers:
        properties.UserProperty = pair
    return properties


def of_subscribe(version: Version, subscription: Subscription) -> SubscribeOptions | int:
    """Options of a filter; its QoS alone under MQTT 3.1.1."""
    if version != "5":
        return 1
    handling = SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE
    if subscription.commands:
        handling = SubscribeOptions.RETAIN_DO_NOT_SEND
    # Not as published: the flag then marks only what the broker had kept, as with 3.1.1.
    return SubscribeOptions(
        qos=1, noLocal=not subscription.own, retainAsPublished=False, retainHandling=handling
    )


def _properties(packet: int, **values: int) -> Properties:
    properties = Properties(packet)  # type: ignore[no-untyped-call] # paho's own is untyped
    for name, value in values.items():
        setattr(properties, name, value)
    return properties
