"""Values of which nothing is declared, as bytes of MessagePack: what a field typed Any is on the wire.

A schema says `bytes` of such a field, so it promises nothing, and `schema freeze` refuses it: what is unknown cannot be
released. Equal values of equal types have equal bytes, since a Map iterates in the order of its keys.
"""

from __future__ import annotations

from typing import cast

import msgspec

from eventcore.shape import Anything
from eventcore.validate import problem_of
from eventcore.value import Map


def pack(value: object) -> bytes:
    """The bytes of a plain value. Raises ValueError for any other."""
    if (problem := problem_of(Anything(), value, "")) is not None:
        raise ValueError(problem[1])
    return msgspec.msgpack.encode(value, enc_hook=_as_dict)


def unpack(data: bytes) -> object:
    """The value that some bytes say. Raises ValueError where they say none, or one that `pack` would not write."""
    try:
        value = _settled(msgspec.msgpack.decode(data))
    except (msgspec.MsgspecError, RecursionError, TypeError) as broken:
        raise ValueError(f"no MessagePack of a plain value: {broken}") from broken
    if (problem := problem_of(Anything(), value, "")) is not None:
        raise ValueError(problem[1])
    return value


def _as_dict(value: object) -> object:
    if isinstance(value, Map):
        return dict(cast("Map[object]", value))
    raise ValueError(f"{value!r} is no plain value")


def _settled(value: object) -> object:
    """Lists become tuples, dicts become Maps."""
    if isinstance(value, list):
        return tuple(map(_settled, cast("list[object]", value)))
    if isinstance(value, dict):
        return Map({key: _settled(item) for key, item in cast("dict[str, object]", value).items()})
    return value
