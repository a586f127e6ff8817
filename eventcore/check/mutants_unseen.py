"""Code that a user's functions run and that is not changed to grade claims: methods, and functions that are not reached by name.

What is changed is bound anew under its own name. A method is reached through a class, a function of `rules.allowed` through
a module, one in a table or behind a wrapper through that: these would be met unchanged. So they are named, each once.
"""

# Functions are taken apart here, and their parts have any type at all:
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

import functools
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from eventcore.value import Value

Function = types.FunctionType
BY_NAME = "called by what is not changed"


def unchanged_below(changed: Sequence[Function], taking: Sequence[Function]) -> list[str]:
    """The functions of the user's that the `changed` ones reach, beyond themselves: where each is, and how it is reached.

    `taking` are those whose annotations name the classes of states, commands and events.
    """
    walk = _Walk(changed, taking)
    walk.all()
    lines = sorted(walk.found, key=lambda each: (each.__code__.co_filename, each.__code__.co_firstlineno))
    return [f"{_place(function)} {function.__qualname__}, {walk.found[function]}" for function in lines]


def names_in(code: types.CodeType) -> Iterator[str]:
    """Every name that code, or code within it, looks up globally or as an attribute."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from names_in(constant)


def is_users(module: str | None, file: str | None) -> bool:
    """Whether what is in a module and a file is code of the user's, not of Python, of a package or of ours."""
    top = (module or "").partition(".")[0]
    return top not in sys.stdlib_module_names and top != "eventcore" and "site-packages" not in (file or "")


def _is_users_class(cls: type) -> bool:
    return is_users(cls.__module__, getattr(sys.modules.get(cls.__module__), "__file__", ""))


def _place(function: Function) -> str:
    return f"{function.__code__.co_filename.rpartition('/')[2]}:{function.__code__.co_firstlineno}"


class _Walk:
    """Follows names through modules, classes and tables until nothing new is found."""

    def __init__(self, changed: Sequence[Function], taking: Sequence[Function]) -> None:
        self.found: dict[Function, str] = {}
        self._changed = changed
        self._modules: list[types.ModuleType] = []
        self._classes: list[type] = []
        for function in taking:
            for hint in typing.get_type_hints(function).values():
                self._types(hint)

    def all(self) -> None:
        size = -1
        while size != (size := len(self.found) + len(self._modules) + len(self._classes)):
            names: set[str] = set()
            for function in [*self._changed, *self.found]:
                ours = set(names_in(function.__code__))
                names |= ours
                for name in sorted(ours & function.__globals__.keys()):
                    self._take(function.__globals__[name], BY_NAME)
            for module in list(self._modules):
                for name in sorted(names & vars(module).keys()):
                    self._take(vars(module)[name], f"reached through the module {module.__name__}")
            for cls in list(self._classes):
                self._methods(cls, names)

    def _methods(self, cls: type, names: set[str]) -> None:
        for each in filter(_is_users_class, cls.__mro__):
            for name, held in vars(each).items():
                if name in names or name.startswith("__"):  # operators run by other names than those in the code
                    for function in _functions_of(held):
                        self._take(function, "a method")

    def _take(self, thing: Any, how: str) -> None:
        match thing:
            case types.FunctionType():
                file = thing.__code__.co_filename
                known = thing in self._changed or thing in self.found or file.startswith("<")
                if not known and is_users(thing.__module__, file):
                    self.found[thing] = how
            case types.ModuleType():
                if thing not in self._modules and is_users(thing.__name__, getattr(thing, "__file__", "")):
                    self._modules.append(thing)
            case type():
                self._types(thing)
            case functools.partial():
                self._take(cast("Any", thing).func, "held by a partial")
            case Mapping():
                self._held(cast("Mapping[object, object]", thing).values())
            case tuple() | list():
                self._held(cast("Iterable[object]", thing))
            case _ if hasattr(thing, "__wrapped__"):
                self._take(thing.__wrapped__, "behind a wrapper")
            case _:
                self._types(type(thing))

    def _held(self, things: Iterable[object]) -> None:
        for each in things:
            if isinstance(each, Function):
                self._take(each, "held in a table")

    def _types(self, hint: Any) -> None:
        """The classes of the user's in an annotation, and in the fields of those that are values."""
        if not isinstance(hint, type) or typing.get_args(hint):
            for each in typing.get_args(hint):
                self._types(each)
        elif hint not in self._classes and _is_users_class(hint):
            self._classes.append(hint)
            if issubclass(hint, Value):
                for each in typing.get_type_hints(hint).values():
                    self._types(each)


def _functions_of(held: object) -> Iterator[Function]:
    """The functions behind what a class holds under a name."""
    match held:
        case types.FunctionType():
            yield held
        case staticmethod() | classmethod():
            yield cast("Function", cast("Any", held).__func__)
        case property():
            yield from (cast("Function", each) for each in (held.fget, held.fset, held.fdel) if each is not None)
        case functools.cached_property():
            yield cast("Function", cast("Any", held).func)
        case _:
            pass
