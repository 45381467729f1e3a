"""Environment for programs that the packaged agent starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def outer_environment(env: Mapping[str, str]) -> dict[str, str]:
    """The environment as it was before the single file unpacked itself.

    Its launcher puts its own libraries before the system's, and sets variables for its children.
    """
    outer = {name: value for name, value in env.items() if not name.startswith("_PYI_")}
    before = outer.pop("LD_LIBRARY_PATH_ORIG", "")
    outer.pop("LD_LIBRARY_PATH", None)
    if before:
        outer["LD_LIBRARY_PATH"] = before
    return outer
