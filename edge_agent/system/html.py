"""HTML and SVG as text that is escaped unless it was made here. Pure."""

from __future__ import annotations

from html import escape
from typing import Final

Child = str | float | None
Attribute = str | float | bool | None
_EMPTY: Final = {"meta", "link", "input", "br", "path", "rect", "line", "polyline", "circle"}


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """An element; None children are left out, other text than `Markup` is escaped.

    Args:
        name: Its name.
        *children: What it holds.
        **attributes: By name, `_` for `-` and a last `_` dropped; True = without a value, None
            or False = left out.
    """
    inside = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _EMPTY and not children:
        return Markup(f"<{name}{inside}/>")
    return Markup(f"<{name}{inside}>{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """Several pieces as one."""
    return Markup("".join(_text(child) for child in children if child is not None))


def _text(child: str | float) -> str:
    if isinstance(child, Markup):
        return str.__str__(child)
    return escape(child, quote=False) if isinstance(child, str) else f"{child:g}"


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = value if isinstance(value, str) else f"{value:.5g}"
    return f' {name}="{escape(text)}"'
