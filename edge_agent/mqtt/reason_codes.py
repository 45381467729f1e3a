"""Reason codes of MQTT 5 by number, and names for those beyond the standard. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    _Names = Mapping[int, Mapping[str, Sequence[int]]]

REFUSAL: Final = 0x80
"""The smallest code of a refusal."""
NO_SUBSCRIBER: Final = 0x10
UNSUPPORTED_VERSION: Final = 0x84
NOT_AUTHORIZED: Final = 0x87
TAKEN_OVER: Final = 0x8E
TOO_LARGE: Final = 0x95
QUOTA: Final = 0x97
NO_RETAIN: Final = 0x9A
NO_QOS_1: Final = 0x9B
NOT_OF_A_MESSAGE: Final = frozenset(
    {0x88, 0x89, 0x8B, 0x8D, TAKEN_OVER, QUOTA, 0x98, 0x9C, 0x9D, 0x9F, 0xA0}
)
"""Codes of a DISCONNECT that do not speak of what was sent (MQTT 5, 3.14.2.1)."""


def with_every_failure(names: _Names, packets: Sequence[int]) -> dict[int, dict[str, list[int]]]:
    """A table of names in which each failure has one for each of these packets.

    Some brokers answer with a code that MQTT 5 does not give to that packet (Mosquitto: 0x95 in a
    PUBACK).

    Args:
        names: Code -> name -> packets that it is the name for.
        packets: Types of packets.
    """
    table = {code: _lists(by_name) for code, by_name in names.items()}
    for code in range(REFUSAL, 0x100):
        by_name = table.setdefault(code, {})
        named = {packet for packets_of_name in by_name.values() for packet in packets_of_name}
        name = next(iter(by_name), f"reason code 0x{code:02X}")
        by_name.setdefault(name, []).extend(p for p in packets if p not in named)
    return table


def _lists(by_name: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    return {name: list(packets) for name, packets in by_name.items()}
