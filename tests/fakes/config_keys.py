"""Every key of a configuration's schema, with its type."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, get_args, get_origin

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator


def keys_of(
    kind: type[msgspec.Struct], at: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Path and annotation of every key that is no table; "0" is the first table of a list."""
    for field in msgspec.structs.fields(kind):
        struct, many = _struct_in(field.type)
        path = (*at, field.encode_name)
        if struct is None:
            yield path, field.type
        else:
            yield from keys_of(struct, (*path, "0") if many else path)


def _struct_in(annotation: Any) -> tuple[type[msgspec.Struct] | None, bool]:  # noqa: ANN401 - any
    if get_origin(annotation) is tuple:
        return _struct_in(get_args(annotation)[0])[0], True
    for part in get_args(annotation) if get_origin(annotation) is types.UnionType else ():
        if _struct_in(part)[0] is not None:
            return _struct_in(part)
    is_struct = isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)
    return (annotation if is_struct else None), False
