"""Environment for programs that the packaged agent starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def outer_environment(env: Mapping[str, str]) -> dict[str, str]:
    """The environment as it was before the single file unpacked itself.

    Its launcher puts its own libraries in front of the system's, and marks its children.
    """
    kept = {name: value for name, value in env.items() if not name.startswith("_PYI_")}
    before = kept.pop("LD_LIBRARY_PATH_ORIG", "")
    kept.pop("LD_LIBRARY_PATH", None)
    if before:
        kept["LD_LIBRARY_PATH"] = before
    return kept
