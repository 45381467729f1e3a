"""How many examples a test takes that can afford fewer than hypothesis takes by itself."""

from __future__ import annotations

from typing import Final

from hypothesis import settings

_USUAL: Final = 100
"""What hypothesis takes by itself, and so the profile `fixed`."""


def examples(fixed: int) -> int:
    """As many with the fixed examples of `make test`, and in proportion in the random search."""
    return fixed * settings().max_examples // _USUAL
