"""The same value, made anew: equal to the first, in other memory, its sets iterating the other way round.

A function that decides by identity, or by the order in which a set happens to iterate, gives another result for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar, cast

from msgspec import Struct

from eventcore.value import Map

T = TypeVar("T")


class Turned(frozenset[Any]):
    """A set that iterates from its other end. Sets promise no order, so nobody may notice."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return iter(list(super().__iter__())[::-1])


def anew(value: T) -> T:
    """An equal value in which every set iterates the other way round."""
    return cast("T", _anew(value))


def _anew(value: object) -> object:
    match value:
        case Struct():
            return type(value)(**{name: _anew(getattr(value, name)) for name in value.__struct_fields__})
        case tuple():
            return tuple(_anew(item) for item in cast("tuple[object, ...]", value))
        case frozenset():
            return Turned(_anew(item) for item in cast("frozenset[object]", value))
        case Map():
            return Map({key: _anew(item) for key, item in cast("Map[object]", value).items()})
        case _:
            return value
