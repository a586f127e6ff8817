"""Values as JSON and back: what a command takes as an argument, and what is shown of values and of records without a class.

What is shown of a command can be given to `send`: decimals are strings, instants ISO 8601, durations too (PT30S), bytes
base64, a set is a list, a map an object.
"""

from __future__ import annotations

import types
import typing
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

import msgspec

from eventcore.context import COUNTER_BITS
from eventcore.errors import InvalidValue
from eventcore.value import Map, Value

V = TypeVar("V", bound=Value)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TAG = "$type"


def value_of(cls: type[V], text: str) -> V:
    """The value of class `cls` that a JSON text says. Raises InvalidValue, naming the field where one is to blame."""
    try:
        return msgspec.json.decode(text, type=cls, dec_hook=_map_of)
    except (msgspec.MsgspecError, UnicodeEncodeError) as wrong:
        raise InvalidValue(cls.__name__, f"{_problem(str(wrong))}. {_expected(cls)}") from wrong
    except RecursionError as deep:
        raise InvalidValue(cls.__name__, "the JSON is nested too deep") from deep


def field_of(cls: type[Value], name: str, text: str) -> object:
    """The value of one field that a plain text says, as `2026-01-31` for a date. Raises InvalidValue."""
    wanted = typing.get_type_hints(cls, include_extras=True)[name]
    try:
        return msgspec.convert(text, wanted, strict=False)
    except msgspec.ValidationError as wrong:
        raise InvalidValue(f"{cls.__name__}.{name}", f"{_problem(str(wrong))}; it says {text!r}") from wrong


def plain(value: object) -> Any:
    """The value as JSON has it: dicts, lists, texts, numbers."""
    return msgspec.to_builtins(value, enc_hook=_plain_map, str_keys=True)


def data_of(value: object) -> Any:
    """The same without the class of the outermost value, for where it is said beside it."""
    found = plain(value)
    if isinstance(found, dict):
        found = cast("dict[str, object]", found)
        return {key: item for key, item in found.items() if key != TAG}
    return found


def json_of(value: object) -> str:
    """One line of JSON."""
    return msgspec.json.encode(data_of(value)).decode()


def shown(value: object) -> str:
    """A value of ours in one line: `Deposited {"amount":5}`."""
    fields = data_of(value)
    return f"{type(value).__name__} {msgspec.json.encode(fields).decode()}" if fields else type(value).__name__


def time_text(time_ms: int) -> str:
    """Unix milliseconds as ISO 8601 in UTC; as a number where no calendar has them."""
    try:
        return f"{(EPOCH + timedelta(milliseconds=time_ms)).isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"
    except OverflowError:
        return f"{time_ms} ms"


def stamp_text(stamp: int) -> str:
    """The physical part of a hybrid clock's stamp."""
    return time_text(stamp >> COUNTER_BITS)


def key_text(key: bytes | None) -> str | None:
    """A record's key as text: an id, or what is nobody's id with its bytes escaped."""
    return None if key is None else key.decode("utf-8", "backslashreplace")


def _map_of(wanted: Any, found: object) -> object:
    if typing.get_origin(wanted) is not Map:
        raise TypeError(f"a value of type {wanted} has no JSON form")
    (item,) = typing.get_args(wanted)
    entries: dict[str, object] = msgspec.convert(found, types.GenericAlias(dict, (str, item)), dec_hook=_map_of)
    return Map(entries)


def _plain_map(value: object) -> object:
    if isinstance(value, Map):
        return dict(cast("Map[object]", value))
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _problem(said: str) -> str:
    """What msgspec says, without the place where it is the whole text."""
    return said.removesuffix(" - at `$`").replace(" - at `$.", " at `").rstrip(".")


def _expected(cls: type[Value]) -> str:
    names = [f"{f.name}{'' if f.required else ' (optional)'}" for f in msgspec.structs.fields(cls)]
    return f"{cls.__name__} has {', '.join(names) if names else 'no fields: write {}'}"
