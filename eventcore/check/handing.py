"""Whether code may take a value's fields past its attributes, where nobody sees that it looks at them.

`msgspec.structs.astuple` copies every field in C, and so do a few others. What they hand out may be compared by `is`, moved
or dropped, and none of that can be watched. So code that names one of them, here or in what it calls, is not watched at
all. It is asked what the code *names*: globals, attributes, closures, defaults, methods, and functions that objects hold.
Code of the standard library and of `eventcore` is known, and not walked.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import msgspec
from msgspec import structs

HANDING = (structs.astuple, structs.asdict, msgspec.to_builtins)
NAMES = frozenset(
    {
        *("astuple", "asdict", "to_builtins", "enc_hook", "super"),
        *("__getattribute__", "__get__", "__reduce__", "__reduce_ex__", "__rich_repr__", "__copy__", "__replace__"),
        *("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"),
    }
)
ENCODERS = (msgspec.json.Encoder, msgspec.msgpack.Encoder)
WALKED_MAX = 20_000  # things: whoever reaches more is not watched either
MANY_ITEMS = 1_000  # a table of handlers has fewer


def hands_out(*code: object) -> bool:
    """Whether functions or classes reach code that takes fields past their attributes; True as well where they reach too far."""
    walk = _Walk()
    waiting = list(code)
    while waiting:
        thing = waiting.pop()
        if id(thing) in walk.met:
            continue
        walk.met[id(thing)] = thing
        if len(walk.met) > WALKED_MAX or walk.is_handing(thing):
            return True
        waiting += walk.within(thing)
    return False


class _Walk:
    """What was met, kept alive so that an id stands for one thing."""

    def __init__(self) -> None:
        self.met: dict[int, object] = {}

    def is_handing(self, thing: object) -> bool:
        """Whether this takes fields past attributes, or is code that names what does."""
        if isinstance(thing, types.CodeType):
            return not NAMES.isdisjoint(_named(thing))
        if isinstance(thing, ENCODERS):
            return thing.enc_hook is not None
        return any(thing is each for each in HANDING)

    def within(self, thing: object) -> Iterable[object]:
        """What is reached from this in one step."""
        match thing:
            case types.FunctionType():
                return [] if _is_known(thing.__module__) else [thing.__code__, *_of_function(thing)]
            case types.MethodType():
                return [thing.__func__, thing.__self__]
            case functools.partial():
                partial = cast("Any", thing)
                return [partial.func, *partial.args, *partial.keywords.values()]
            case staticmethod() | classmethod():
                return [cast("Any", thing).__func__]
            case property():
                return [thing.fget, thing.fset, thing.fdel]
            case functools.cached_property():
                return [cast("Any", thing).func]
            case type():
                return [] if _is_known(thing.__module__) else [*thing.__bases__, *vars(thing).values()]
            case types.CodeType():
                return [each for each in thing.co_consts if isinstance(each, types.CodeType)]
            case Mapping():
                held = cast("Mapping[object, object]", thing)
                return [*held, *held.values()] if len(held) <= MANY_ITEMS else []
            case tuple() | list() | set() | frozenset():
                items = cast("Iterable[object]", thing)
                return list(items) if len(cast("tuple[object, ...]", thing)) <= MANY_ITEMS else []
            case types.ModuleType() | str() | bytes() | int() | float() | None:
                return []
            case _:
                return [type(thing), *_held(thing)]


def _of_function(function: types.FunctionType) -> Iterator[object]:
    """What a function names, by itself or through modules, and what is bound to it."""
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    yield from vars(function).values()
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # a name that is bound after the function was made
            continue
    names = _names(function.__code__)
    scopes: list[Mapping[str, object]] = [function.__globals__]
    for scope in scopes:  # which grows while it is read: a module's names are looked up in the modules that they name
        for name in names & scope.keys():
            found = scope[name]
            if not isinstance(found, types.ModuleType):
                yield found
            elif not _is_known(found.__name__) and not any(vars(found) is each for each in scopes):
                scopes.append(vars(found))


def _held(thing: object) -> Iterator[object]:
    """What an object holds in its fields."""
    yield from getattr(thing, "__dict__", {}).values()
    for name in getattr(type(thing), "__struct_fields__", ()):
        yield getattr(thing, name)
    wrapped = getattr(thing, "__wrapped__", None)
    if wrapped is not None:
        yield wrapped


def _names(code: types.CodeType) -> set[str]:
    """The globals and attributes that code names, with what is written in it."""
    inner = [_names(each) for each in code.co_consts if isinstance(each, types.CodeType)]
    return {*code.co_names, *(name for each in inner for name in each)}


def _named(code: types.CodeType) -> Iterator[str]:
    """What code names, also as a text or as a keyword."""
    yield from code.co_names
    for each in code.co_consts:
        if isinstance(each, str):
            yield each
        elif isinstance(each, tuple):
            yield from (name for name in cast("tuple[object, ...]", each) if isinstance(name, str))


@functools.cache
def _is_known(module: str | None) -> bool:
    top = (module or "builtins").partition(".")[0]
    return top != "__main__" and (top in sys.stdlib_module_names or top in {"builtins", "eventcore", "msgspec"})
