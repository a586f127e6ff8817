"""From the classes of one version to those of another: a value of the same name and schema is the same value.

It is what a log does: what one version wrote, the other reads by its schema. Where a schema has changed, only the
author can say what becomes of a value, and gives a map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from eventcore.avro.codec import Codec, codec_for
from eventcore.check.source import shown
from eventcore.errors import EventcoreError, NotSupported
from eventcore.value import Value

NAMESPACE = "eventcore.refine"

Carry = Callable[[Any], Any]


def carried(given: Iterable[type[Value]], wanted: Iterable[type[Value]]) -> tuple[Carry, list[type[Value]]]:
    """A function from values of `given` classes to equal ones of `wanted` classes, and the classes that it cannot carry.

    Of those it gives None: no class of `wanted` has their name and their schema.
    """
    by_name = {cls.__name__: cls for cls in wanted}
    ways: dict[type[Value], Carry] = {}
    lost: list[type[Value]] = []
    for cls in given:
        way = _way(cls, by_name.get(cls.__name__))
        if way is None:
            lost.append(cls)
        else:
            ways[cls] = way

    def carry(value: Value) -> Any:
        way = ways.get(type(value))
        return None if way is None else way(value)

    return carry, lost


def mapped(carry: Carry, command: Any) -> Any:
    """What a map makes of a command. Raises NotSupported where the map raises anything but our own errors."""
    try:
        return carry(command)
    except EventcoreError:
        raise
    except Exception as error:
        raise NotSupported(
            f"the map of commands raises {type(error).__name__} ({error}) for {shown(command)}."
        ) from error


def _way(cls: type[Value], other: type[Value] | None) -> Carry | None:
    if other is None:
        return None
    if other is cls:
        return _same
    one: Codec[Any] = codec_for(cls, NAMESPACE)
    two: Codec[Any] = codec_for(other, NAMESPACE)
    if one.text != two.text:
        return None
    return lambda value: two.decode(one.encode(value))


def _same(value: Any) -> Any:
    return value
