"""Generates the function that writes values of one class: straight from the value, no dict between.

Every shape becomes *parts*: source expressions that yield bytes, evaluated in order and joined. A name bound by `:=`
in one part may be used in a later one. `+` is fastest up to four parts, `b"".join` above; `bytearray` never.

1. What is written can be read: every bound that a reader checks is checked here, by `no()`, which raises Unusual.
2. What is written is what fastavro writes for the same schema and data, byte by byte.
3. A value that is not valid may be written as another valid one (True as 1): values are validated where they enter.
"""

from __future__ import annotations

import functools
import struct
from typing import NoReturn
from uuid import UUID

from eventcore.annotations import shape_of
from eventcore.avro import anything, scalars, times
from eventcore.avro.limits import BODY_BYTES_MAX, ITEMS_MAX
from eventcore.avro.source import Source, constraint, is_small
from eventcore.avro.varint import SHORT, SHORT_MAX, SHORT_MIN, Unusual, write_long
from eventcore.errors import InvalidValue
from eventcore.shape import (
    LONG_MAX,
    LONG_MIN,
    Anything,
    Bool,
    Bytes,
    Choice,
    Day,
    Duration,
    Float,
    Ident,
    Instant,
    Int,
    Many,
    MapOf,
    Maybe,
    Number,
    OneOf,
    Record,
    SetOf,
    Shape,
    Str,
)
from eventcore.validate import validate
from eventcore.value import Value

PLUS_PARTS_MAX = 4  # measured: 71 ns by +, 78 by join on two parts; join wins from five on


def encoder_source(cls: type[Value], head: bytes) -> Source:
    """A module with `encode(value)`, the body, and `write(value)`, head and body."""
    source = Source(S=SHORT, w=write_long, no=_no, large=_large, wc=_write_count, pd=struct.Struct("<d").pack)
    source.names["explained"] = functools.partial(_explained, cls)
    functions: dict[type[Value], str] = {}
    body = _record_parts(cls, source, functions)
    small = is_small(cls)
    _entry("encode", body, None if small else BODY_BYTES_MAX, source)
    framed = (body[0], [source.bind(head, "head"), *body[1]])
    _entry("write", framed, None if small else len(head) + BODY_BYTES_MAX, source)
    return source


def _explained(cls: type[Value], value: Value, failure: Exception) -> InvalidValue:
    """The error that says why `value` cannot be written."""
    if type(value) is not cls:
        return InvalidValue(cls.__name__, f"expected {cls.__name__}, got {type(value).__name__} {value!r}")
    try:
        validate(value)
    except InvalidValue as invalid:
        return invalid
    return InvalidValue(cls.__name__, f"cannot be written: {str(failure) or type(failure).__name__}")


def _no() -> NoReturn:
    raise Unusual


def _large(size: int) -> NoReturn:
    raise Unusual(f"its {size} bytes are more than {BODY_BYTES_MAX}")


def _write_count(n: int) -> bytes:
    if n > ITEMS_MAX:
        raise Unusual(f"a field holds {n} items, more than {ITEMS_MAX}")
    return write_long(n)


Body = tuple[list[str], list[str]]  # statements, then the parts of what is returned


def _record_parts(cls: type[Value], source: Source, functions: dict[type[Value], str]) -> Body:
    loads: list[str] = []
    parts: list[str] = []
    for field in shape_of(cls):
        x = source.fresh("x")
        loads.append(f"{x} = v.{field.name}")
        parts += _parts(field.shape, x, source, functions)
    return loads, parts


def _entry(name: str, body: Body, bytes_max: int | None, source: Source) -> None:
    """A function for callers: every failure of a part becomes InvalidValue, as do more bytes than may be read."""
    loads, parts = body
    source.add(0, f"def {name}(v):")
    source.add(1, "try:")
    if bytes_max is None:
        source.add(2, *loads, f"return {_joined(parts)}")
    else:
        source.add(2, *loads, f"r = {_joined(parts)}", f"if len(r) <= {bytes_max}: return r", "large(len(r))")
    source.add(1, "except Exception as failure:", "    raise explained(v, failure) from failure")


def _function(name: str, body: Body, source: Source) -> None:
    loads, parts = body
    source.add(0, f"def {name}(v):")
    source.add(1, *loads, f"return {_joined(parts)}")


def _record(cls: type[Value], source: Source, functions: dict[type[Value], str]) -> str:
    """The name of the function that writes a nested class, made at its first use."""
    if cls not in functions:
        functions[cls] = name = source.fresh("record")
        _function(name, _record_parts(cls, source, functions), source)
    return functions[cls]


def _joined(parts: list[str]) -> str:
    if not parts:
        return 'b""'
    return " + ".join(parts) if len(parts) <= PLUS_PARTS_MAX else f'b"".join(({", ".join(parts)}))'


def _parts(shape: Shape, x: str, source: Source, functions: dict[type[Value], str]) -> list[str]:
    parts = _plain(shape, x, source, functions)
    if (holds := constraint(shape, x, source)) is not None:
        parts[0] = f"({parts[0]} if {holds} else no())"
    return parts


def _plain(shape: Shape, x: str, source: Source, functions: dict[type[Value], str]) -> list[str]:
    match shape:
        case Bool():
            return [rf'(b"\1" if {x} is True else b"\0" if {x} is False else no())']
        case Int(low, high):
            return [_int(low, high, x, source)]
        case Float():
            return [f"pd({x})"]
        case Str():
            n, b = source.fresh("n"), source.fresh("b")
            return [f"(S[{n}] if ({n} := len({b} := {x}.encode())) <= {SHORT_MAX} else w({n}))", b]
        case Bytes():
            n = source.fresh("n")
            return [f"(S[{n}] if ({n} := len({x})) <= {SHORT_MAX} else w({n}))", x]
        case Anything():
            n, b = source.fresh("n"), source.fresh("b")
            packed = f"{source.bind(anything.pack, 'anything')}({x})"
            return [f"(S[{n}] if ({n} := len({b} := {packed})) <= {SHORT_MAX} else w({n}))", b]
        case Number(precision, scale):
            return [f"{source.bind(scalars.number_writer(precision, scale), 'number')}({x})"]
        case Instant():
            return [f"{source.bind(times.instant_writer(), 'instant')}({x})"]
        case Day():
            return [f"{source.bind(times.write_day, 'day')}({x})"]
        case Duration():
            return [f"{source.bind(times.write_duration, 'duration')}({x})"]
        case Ident():
            pack, uuid = source.bind(scalars.pack_uuid, "pack"), source.bind(UUID, "uuid")
            return [f'(b"H" if type({x}) is {uuid} else no())', f"{pack}({x})[2:]"]  # msgspec would pack anything
        case Choice():
            return [_choice(shape, x, source)]
        case Maybe(OneOf(classes)):
            return [rf'(b"\0" if {x} is None else {_one_of(classes, 1, x, source, functions)})']
        case Maybe(of):
            inner = " + ".join(_parts(of, x, source, functions)) or 'b""'
            return [rf'(b"\0" if {x} is None else b"\2" + {inner})']
        case OneOf(classes):
            return [_one_of(classes, 0, x, source, functions)]
        case Many(of) | SetOf(of):
            item = source.fresh("i")
            items = f"[{_joined(_parts(of, item, source, functions))} for {item} in {x}]"
            return [_block(f"sorted({items})" if isinstance(shape, SetOf) else items, x, source)]
        case MapOf(of):
            key, item = source.fresh("k"), source.fresh("i")
            parts = [*_parts(Str(), key, source, functions), *_parts(of, item, source, functions)]
            return [_block(f"[{_joined(parts)} for {key}, {item} in {x}._items.items()]", x, source)]
        case Record(cls):
            return [f"{_record(cls, source, functions)}({x})"]


def _int(low: int, high: int, x: str, source: Source) -> str:
    first, last = max(low, SHORT_MIN), min(high, SHORT_MAX)
    if (first, last) == (low, high):
        return f"(S[{x}] if {low} <= {x} <= {high} else no())"
    if (low, high) == (LONG_MIN, LONG_MAX):
        return f"(S[{x}] if {first} <= {x} <= {last} else w({x}))"

    def bounded(n: int) -> bytes:
        return write_long(n) if low <= n <= high else _no()

    return f"(S[{x}] if {first} <= {x} <= {last} else {source.bind(bounded, 'bounded')}({x}))"


def _choice(choice: Choice, x: str, source: Source) -> str:
    """An enum is looked up by a plain attribute: hashing a member runs Python code (56 ns against 19)."""
    if choice.cls is None:
        key, keys = x, choice.members
    elif all(isinstance(member, choice.cls) and isinstance(member.value, str) for member in choice.members):
        key, keys = f"{x}._value_", choice.symbols
    else:
        key, keys = f"{x}._name_", choice.symbols
    table = {symbol: write_long(index) for index, symbol in enumerate(keys)}
    return f"{source.bind(table, 'symbol')}[{key}]"


def _one_of(
    classes: tuple[type[Value], ...], first: int, x: str, source: Source, functions: dict[type[Value], str]
) -> str:
    branches: list[str] = []
    for index, cls in enumerate(classes, first):
        branches.append(f"{source.bind(cls, 'cls')}: ({write_long(index)!r}, {_record(cls, source, functions)})")
    table, branch = source.fresh("branches"), source.fresh("u")
    source.add(0, f"{table} = {{{', '.join(branches)}}}")
    return f"(({branch} := {table}[type({x})])[0] + {branch}[1]({x}))"


def _block(items: str, x: str, source: Source) -> str:
    """One block of all items, then the empty block; nothing but the latter where there are none."""
    n = source.fresh("n")
    count = f"(S[{n}] if ({n} := len({x})) <= {SHORT_MAX} else wc({n}))"
    return rf'({count} + b"".join({items}) + b"\0" if {x} else b"\0")'
