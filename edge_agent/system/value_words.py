"""What a key of a configuration takes, in words: no type, no regular expression. Pure."""

from __future__ import annotations

import types
from datetime import date, datetime, time
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import msgspec

from edge_agent.contract.farm_identity import WORDS

_TYPES: Final = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text in quotation marks",
}
_LONGEST: Final = 60


def wrong(value: Any, annotation: Any) -> str:  # noqa: ANN401 - any TOML value, any annotation
    """What to do about a value that its key does not take."""
    allowed, meta = literals(annotation), metas(annotation)
    pattern = next((part for part in meta if part.pattern), None)
    text = isinstance(value, str)
    if allowed:
        return f"{shown(value)} is not allowed: use one of {', '.join(map(str, allowed))}"
    if pattern is not None and text and len(value) <= (pattern.max_length or len(value)):
        words = (pattern.extra or {}).get(WORDS)
        example = next(iter(pattern.examples or ()), None)
        return f"{shown(value)} cannot be used: {words}; write it like {example!r}"
    return f"must be {wanted(annotation)}, not {'the text ' * text}{shown(value)}"


def wanted(annotation: Any) -> str:  # noqa: ANN401 - an annotation
    """What a key takes, such as "a whole number from 0 to 65535"."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return wanted(parts[0]) + "".join(map(_limits, metas(annotation)))
    if origin is Literal:
        return f"one of {', '.join(map(str, parts))}"
    if origin is types.UnionType:
        kinds = [wanted(part) for part in parts if part is not types.NoneType]
        return " or ".join(kinds)
    if origin is tuple:
        return "a list in [ ]" if parts[-1] is ... else f"a list of {len(parts)} values in [ ]"
    return _TYPES.get(annotation, "another value")


def literals(annotation: Any) -> tuple[Any, ...]:  # noqa: ANN401 - an annotation
    """The values that a key takes, where they are listed; else none."""
    if get_origin(annotation) is Annotated:
        return literals(get_args(annotation)[0])
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def metas(annotation: Any) -> tuple[msgspec.Meta, ...]:  # noqa: ANN401 - an annotation
    """The limits that stand in an annotation."""
    if get_origin(annotation) is not Annotated:
        return ()
    return tuple(part for part in get_args(annotation) if isinstance(part, msgspec.Meta))


def shown(value: Any) -> str:  # noqa: ANN401 - any TOML value
    """A value as it stands in the file, cut where it is long."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, date | datetime | time):
        return f"the date or time {value.isoformat()}"
    text = repr(str(value)) if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _limits(meta: msgspec.Meta) -> str:
    low = _number(meta.ge) if meta.ge is not None else None
    high = _number(meta.le) if meta.le is not None else None
    words = {
        "from {} to {}": (low, high),
        "of {} or more": (low,),
        "of {} or less": (high,),
        "above {} and below {}": (_number(meta.gt), _number(meta.lt)),
        "above {} and up to {}": (_number(meta.gt), high),
        "above {}": (_number(meta.gt),),
        "below {}": (_number(meta.lt),),
        "of {} to {} characters": (meta.min_length, meta.max_length),
        "of at most {} characters": (meta.max_length,),
        "that is not empty": (meta.min_length,),
    }
    for text, values in words.items():
        if None not in values:
            return " " + text.format(*values)
    return ""


def _number(value: float | None) -> str | None:
    return None if value is None else str(int(value) if value == int(value) else value)
