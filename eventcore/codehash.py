"""A hash of what a function does: of its bytecode and of everything that it reaches in its user's code.

Two programs whose `evolve` has one hash fold events alike, so states that one of them stored can be trusted by the
other. In the hash: bytecode, constants, names, defaults, what closures hold, the functions, classes and constants that the
code refers to by name (also through modules), fields and methods of those classes. Not in it: comments, docstrings, line
numbers, names of local variables, the files' places.

Code of the standard library, of installed packages and of `eventcore` itself counts by its name alone, as does an object
of any other kind. Another version of Python compiles otherwise and gives another hash: then states are folded anew, which
costs time and nothing else. What a function reaches by `getattr`, by the environment or through a changed global
container is not seen; a pure function does none of this.
"""

# What is walked here has any type at all:
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import functools
import hashlib
import inspect
import sys
import types
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

CODE_HASH_BYTES = 16
FIRST_CONSTANT_IS_DOC = sys.version_info < (3, 13)  # in any function; later versions say by a flag whether there is one
PLAIN = (str, bytes, int, float, complex, bool, type(None), type(...))
DATED = (dt.datetime, dt.date, dt.timedelta, dt.timezone, decimal.Decimal, uuid.UUID)
OF_A_CLASS = (
    "__module__",
    "__dict__",
    "__weakref__",
    "__doc__",
    "__slots__",
    "__firstlineno__",
    "__static_attributes__",
)


def code_hash(function: Callable[..., Any], *more: Callable[..., Any]) -> bytes:
    """The hash of one or more functions, CODE_HASH_BYTES long: the same in every process that runs the same code."""
    walk = _Walk()
    for each in (function, *more):
        walk.add(each)
    return hashlib.blake2b("\n".join(walk.lines).encode("utf-8", "surrogatepass"), digest_size=CODE_HASH_BYTES).digest()


class _Walk:
    """Writes down what it reaches, each object once, in an order that follows from the code."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._seen: dict[int, int] = {}
        self._alive: list[object] = []  # an id names an object only while that lives

    def add(self, thing: object) -> None:
        if isinstance(thing, enum.Enum):
            self.lines.append(f"member {type(thing).__qualname__}.{thing.name}")
            self.add(thing.value)
        elif isinstance(thing, (*PLAIN, *DATED)):
            self.lines.append(f"{type(thing).__name__} {thing!r}")
        elif id(thing) in self._seen:
            self.lines.append(f"again {self._seen[id(thing)]}")
        else:
            self._seen[id(thing)] = len(self._seen)
            self._alive.append(thing)
            self._reach(thing)

    def _reach(self, thing: object) -> None:
        match thing:
            case types.FunctionType():
                self._function(thing)
            case types.MethodType():
                self._all("method", (thing.__func__, thing.__self__))
            case functools.partial():
                partial: functools.partial[Any] = thing
                self._all("partial", (partial.func, partial.args, partial.keywords))
            case staticmethod() | classmethod():
                self._all(type(thing).__name__, (cast("Any", thing).__func__,))
            case property():
                self._all("property", (thing.fget, thing.fset, thing.fdel))
            case tuple() | list():
                self._all(type(thing).__name__, cast("Iterable[object]", thing))
            case set() | frozenset():
                self._unordered(type(thing).__name__, cast("Iterable[object]", thing))
            case Mapping():
                self._unordered("mapping", cast("Mapping[object, object]", thing).items())
            case type():
                self._class(thing)
            case types.ModuleType():
                self.lines.append(f"module {thing.__name__}")
            case _:
                self._object(thing)

    def _all(self, what: str, things: Iterable[object]) -> None:
        held = list(things)
        self.lines.append(f"{what} {len(held)}")
        for each in held:
            self.add(each)

    def _unordered(self, what: str, things: Iterable[object]) -> None:
        held: list[str] = []
        for each in things:
            walk = _Walk()
            walk.add(each)
            held.append("\n".join(walk.lines))
        self._all(what, sorted(held))

    def _function(self, function: types.FunctionType) -> None:
        self.lines.append(f"function {function.__qualname__}")
        wrapped = getattr(function, "__wrapped__", None)
        if _counts_by_name(function):
            self.lines[-1] += f" of {function.__module__}"
            if wrapped is not None:
                self.add(wrapped)
            return
        code = function.__code__
        self._code(code, function.__doc__)
        self._all("defaults", function.__defaults__ or ())
        self._unordered("keyword defaults", (function.__kwdefaults__ or {}).items())
        cells = function.__closure__ or ()
        for name, cell in zip(code.co_freevars, cells, strict=True):
            self.lines.append(f"free {name}")
            try:
                self.add(cell.cell_contents)
            except ValueError:
                self.lines.append("empty")  # a name that is bound after the function was made
        for name in _names(code):
            if name in function.__globals__:
                self.lines.append(f"global {name}")
                found = function.__globals__[name]
                self.add(found)
                self._through_module(found, code)
        if wrapped is not None:
            self.add(wrapped)

    def _through_module(self, found: object, code: types.CodeType) -> None:
        if isinstance(found, types.ModuleType) and not _installed(found.__name__):
            for name in _names(code):
                if name in vars(found):
                    self.lines.append(f"attribute {name}")
                    self.add(vars(found)[name])

    def _code(self, code: types.CodeType, doc: str | None) -> None:
        self.lines += [f"code {code.co_code.hex()} {getattr(code, 'co_exceptiontable', b'').hex()}"]
        self.lines += [f"takes {code.co_argcount} {code.co_posonlyargcount} {code.co_kwonlyargcount} {code.co_flags}"]
        self.lines += [f"names {' '.join(code.co_names)}"]
        for index, constant in enumerate(code.co_consts):
            if isinstance(constant, types.CodeType):
                self._code(constant, None)
            elif index == 0 and _is_doc(code, constant, doc):
                self.lines.append("doc")
            else:
                self.add(constant)

    def _class(self, cls: type) -> None:
        self.lines.append(f"class {cls.__qualname__}")
        if _counts_by_name(cls):
            self.lines[-1] += f" of {cls.__module__}"
            return
        self._all("bases", cls.__bases__)
        fields = getattr(cls, "__struct_fields__", None)
        if fields is not None:
            self._all("fields", fields)
            self._all("field defaults", getattr(cls, "__struct_defaults__", ()))
        self.lines.append(f"annotations {sorted((n, str(a)) for n, a in inspect.get_annotations(cls).items())}")
        if issubclass(cls, enum.Enum):
            self._all("members", [(name, member.value) for name, member in cls.__members__.items()])
        for name, held in sorted(vars(cls).items()):
            if isinstance(held, (types.FunctionType, staticmethod, classmethod, property, *PLAIN, *DATED)) and (
                name not in OF_A_CLASS
            ):
                self.lines.append(f"has {name}")
                self.add(held)

    def _object(self, thing: object) -> None:
        cls = type(thing)
        self.lines.append(f"object {cls.__module__}.{cls.__qualname__} {getattr(thing, '__qualname__', '')}")
        fields = getattr(cls, "__struct_fields__", None)
        if fields is None and dataclasses.is_dataclass(thing):
            fields = [field.name for field in dataclasses.fields(thing)]
        for name in fields or ():
            self.lines.append(f"field {name}")
            self.add(getattr(thing, name, None))


def _names(code: types.CodeType) -> Iterator[str]:
    """Every name that the code, or code within it, may look up globally or as an attribute."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _is_doc(code: types.CodeType, constant: object, doc: str | None) -> bool:
    if constant is None:
        return True
    if not isinstance(constant, str) or code.co_name.startswith("<") or not code.co_flags & inspect.CO_OPTIMIZED:
        return False
    return FIRST_CONSTANT_IS_DOC or constant == doc


def _counts_by_name(thing: Any) -> bool:
    return _installed(thing.__module__ or "builtins")


@functools.cache
def _installed(module: str) -> bool:
    """Whether a module is the standard library's, an installed package's or the framework's own core."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top in {"builtins", "eventcore"}:
        return top != "__main__"
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    return "site-packages" in file or "dist-packages" in file
