"""Damage to bytes as links and disks do it: overwritten, lost, doubled, cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random


def mutated(whole: bytes, dice: random.Random) -> bytes:
    """`whole` with one to six changes."""
    body = bytearray(whole)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(body) + 1)
        change = dice.randrange(4)
        if change == 0:
            body[at : at + 1] = bytes([dice.randrange(256)])
        elif change == 1:
            del body[at : at + dice.randint(1, 30)]
        elif change == 2:
            body[at:at] = body[at : at + dice.randint(1, 30)]
        else:
            body = body[: max(at, 1)]
    return bytes(body)
