"""A state that notes which of its fields are looked at, and what a function makes of it.

It holds no values of its own: reading an attribute gives the real state's value and is noted, and everything that reaches
past attributes (`==`, `hash`, `replace`, an encoder) finds a Nothing, which raises Opaque as soon as it is used. A copy made
with some fields replaced holds these and Nothing elsewhere: so it tells what was changed. Each field has a Nothing of its
own, so that one which was moved to another field is noticed. That one is compared by `is` cannot be seen at all; code that
can get at one is not watched (`eventcore.check.handing`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, cast

import msgspec
from msgspec.structs import replace

from eventcore.value import Value


class Opaque(BaseException):
    """A watched state was looked at in a way that cannot be seen. No `except Exception` of the user's may catch it."""


def _refuse(*_: object, **__: object) -> NoReturn:
    raise Opaque


REFUSED = [
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "hash",
    "bool",
    "str",
    "repr",
    "format",
    "len",
    "iter",
    "contains",
    "getitem",
    "add",
    "radd",
    "sub",
    "rsub",
    "mul",
    "rmul",
    "floordiv",
    "truediv",
    "mod",
    "divmod",
    "pow",
    "neg",
    "pos",
    "abs",
    "int",
    "float",
    "index",
    "round",
    "and",
    "or",
    "xor",
    "rand",
    "ror",
    "rxor",
    "copy",
    "deepcopy",
    "reduce",
    "reduce_ex",
    "call",
]
Nothing = type("Nothing", (), {f"__{name}__": _refuse for name in REFUSED})


STRUCT = cast("Any", type(msgspec.Struct))


def _minds_subclasses(cls: type[Value]) -> bool:
    """Whether a class runs code of its own when another is derived from it: that would see the watched one, and keep it."""
    return type(cls) is not STRUCT or any(
        "__init_subclass__" in vars(each) for each in set(cls.__mro__) - set(Value.__mro__)
    )


class Watch:
    """A state of `cls` that notes which of its fields are read: `reads`, since `at` was last called."""

    def __init__(self, cls: type[Value]) -> None:
        self.reads: set[str] = set()
        self.opaque = False
        self._real: Any = None
        self._nothings = {name: Nothing() for name in cls.__struct_fields__}
        names = frozenset(cls.__struct_fields__)
        watch = self

        def read(state: object, name: str) -> object:
            if name not in names:
                return object.__getattribute__(state, name)
            if state is not watch.state:  # a copy, made by what we cannot see
                watch.opaque = True
                raise Opaque
            watch.reads.add(name)
            return getattr(watch._real, name)

        def refuse(*_: object) -> NoReturn:
            watch.opaque = True
            raise Opaque

        body: dict[str, object] = {f"__{name}__": refuse for name in ("eq", "ne", "hash", "repr", "copy", "reduce")}
        body |= {"__getattribute__": read, "__module__": cls.__module__, "__doc__": cls.__doc__}
        self.state: Any = None
        with contextlib.suppress(
            Exception, Opaque
        ):  # a class that looks at its fields when it is made; no state, no watch
            self.state = None if _minds_subclasses(cls) else STRUCT(cls.__name__, (cls,), body)(**self._nothings)
        try:
            self._beside: dict[str, object] = object.__getattribute__(self.state, "__dict__")
        except AttributeError:  # fields alone, as most classes
            self._beside = {}

    def at(self, real: Any) -> Any:
        """The watched state, standing for a real one from now on: what was kept beside its fields is of the last one."""
        self._real = real
        self._beside.clear()  # a `cached_property` of a class with dict=True
        self.reads.clear()
        self.opaque = False
        return self.state

    def changes(
        self, evolve: Callable[[Any, Any], Any], real: Any, events: Sequence[Any]
    ) -> tuple[frozenset[str], dict[str, Any]] | None:
        """Which fields `evolve` reads of a real state as it takes in these events, and the values that it puts where.

        None where that cannot be told.
        """
        kinds: set[type] = {self.state.__class__, real.__class__}
        reads: set[str] = set()
        changed: dict[str, Any] = {}
        for event in events:
            given = self.at(replace(real, **changed))
            try:
                result = evolve(given, event)
            except (Exception, Opaque):  # noqa: BLE001 - the turn itself, which is taken beside this, says what it raises
                return None
            if self.opaque or type(result) not in kinds:
                return None
            reads |= self.reads
            if result is given:
                continue
            for name in real.__struct_fields__:
                value: object = object.__getattribute__(result, name)
                if value is self._nothings[name]:
                    continue
                if type(value) is Nothing:  # another field's: it was moved, and nobody saw which value it stands for
                    return None
                changed[name] = value
        return frozenset(reads), changed
