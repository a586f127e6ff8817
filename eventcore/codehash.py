"""A hash of what a function does: of its bytecode and of everything that it reaches in its user's code.

Two programs whose `evolve` has one hash fold events alike, so states that one of them stored can be trusted by the
other. In the hash: bytecode, constants, names, defaults, what closures hold, the functions, classes and constants that the
code refers to by name (also through modules, as deep as they are dotted), every attribute of those classes, the classes of
their fields, and what objects hold. Not in it: comments, docstrings, line numbers, names of local variables, the files'
places.

Code of the standard library, of `eventcore` itself and of installed packages counts by its name alone, unless it is of
the same package as what is hashed. An object that Python cannot take apart counts by its class. Another version of Python
compiles otherwise and gives another hash: then states are folded anew, which costs time and nothing else. What a function
reaches by `getattr` of a computed name, by the environment or through a global container that changes while it runs is not
seen; a pure function does none of this. What is imported inside a function is not followed, and `reached` says so.
"""

# What is walked here has any type at all:
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import copyreg
import dataclasses
import datetime as dt
import decimal
import dis
import enum
import functools
import hashlib
import inspect
import sys
import types
import typing
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, cast

import msgspec

CODE_HASH_BYTES = 16
FIRST_CONSTANT_IS_DOC = sys.version_info < (3, 13)  # in any function; later versions say by a flag whether there is one
IMPORT_NAME = dis.opmap["IMPORT_NAME"]
PLAIN = (str, bytes, bool, int, float, complex, type(None), type(...))
DATED = (dt.datetime, dt.date, dt.timedelta, dt.timezone, decimal.Decimal, uuid.UUID)
CONTAINERS = (tuple, list, set, frozenset, dict, types.MappingProxyType)
CACHED = type(functools.cache(len))
WEAK = (
    weakref.WeakKeyDictionary,
    weakref.WeakValueDictionary,
    weakref.WeakSet,
    weakref.ref,
)  # what they hold comes and goes
# What a class holds of which it is no part of what its code does, or what other lines say.
OF_A_CLASS = (
    "__module__",
    "__dict__",
    "__weakref__",
    "__doc__",
    "__slots__",
    "__annotations__",
    "__annotate__",
    "__annotate_func__",
    "__annotations_cache__",
    "__firstlineno__",
    "__static_attributes__",
    "_abc_impl",
)


class Reached(NamedTuple):
    """The hash of what some functions do, and what of it could not be seen: None where nothing is known to be missing."""

    digest: bytes
    unseen: str | None


def code_hash(function: Callable[..., Any], *more: Callable[..., Any]) -> bytes:
    """The hash of functions and classes, CODE_HASH_BYTES long: the same in every process that runs the same code."""
    return reached(function, *more).digest


def reached(function: Callable[..., Any], *more: Callable[..., Any]) -> Reached:
    """The same hash, and where the code goes that it does not tell of: two programs may then do unlike things under it."""
    tops = {_top(getattr(each, "__module__", None)) for each in (function, *more)}
    walk = _Walk({top for top in tops if not _ours(top)})
    try:
        for each in (function, *more):
            walk.add(each)
            walk.takes(each)
        walk.through_modules()
    except RecursionError:
        walk.unseen.append("it is nested too deeply to be walked")
    text = "\n".join(walk.lines).encode("utf-8", "surrogatepass")
    return Reached(hashlib.blake2b(text, digest_size=CODE_HASH_BYTES).digest(), walk.unseen[0] if walk.unseen else None)


class _Walk:
    """Writes down what it reaches, each object once, in an order that follows from the code."""

    def __init__(self, own: set[str]) -> None:
        self.lines: list[str] = []
        self.unseen: list[str] = []
        self._own = own  # packages that are walked wherever they are installed
        self._seen: dict[int, int] = {}
        self._alive: list[object] = []  # an id names an object only while that lives
        self._names: dict[str, None] = {}  # of globals and attributes, in all code that was met
        self._modules: list[types.ModuleType] = []  # of the user's

    def add(self, thing: object) -> None:
        if isinstance(thing, enum.Enum):
            self.lines.append(f"member {type(thing).__qualname__}.{thing.name}")
            self.add(thing.value)
            self.add(type(thing))
        elif type(thing) in PLAIN or type(thing) in DATED:
            self.lines.append(f"{type(thing).__name__} {thing!r}")
        elif id(thing) in self._seen:
            self.lines.append(f"again {self._seen[id(thing)]}")
        else:
            self._seen[id(thing)] = len(self._seen)
            self._alive.append(thing)
            self._reach(thing)

    def takes(self, function: object) -> None:
        """Walk the classes that a function is declared to take and return: it may call what it does not name globally."""
        try:
            hints = typing.get_type_hints(function, include_extras=True)
        except Exception:  # noqa: BLE001 - no function, or names that only a type checker knows: aggregates refuse those
            return
        for name, hint in hints.items():
            self.lines.append(f"takes {name}")
            self._annotation(hint)

    def through_modules(self) -> None:
        """Follow every name that was met through every module that was met: which code asks which, is not told."""
        done = set[tuple[int, str]]()
        while found := [
            (module, name)
            for module in self._modules
            for name in self._names
            if name in vars(module) and (id(module), name) not in done
        ]:
            for module, name in found:
                done.add((id(module), name))
                self.lines.append(f"attribute {module.__name__}.{name}")
                self.add(vars(module)[name])

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
            case types.CodeType():
                self._code(thing, None)
            case types.ModuleType():
                self.lines.append(f"module {thing.__name__}")
                if not self._by_name(thing.__name__):
                    self._modules.append(thing)
            case typing.NewType() | typing.TypeVar() | typing.ForwardRef():
                self._annotation(thing)
            case _ if typing.get_origin(thing) is not None or type(thing).__name__ == "TypeAliasType":
                self._annotation(thing)
            case type():
                self._class(thing)
            case _ if isinstance(thing, WEAK):
                self.lines.append(f"weak {type(thing).__name__}")
            case tuple() | list():
                self._all(type(thing).__name__, cast("Iterable[object]", thing))
                self._class_of(thing)
            case set() | frozenset():
                self._all(type(thing).__name__, sorted(cast("Iterable[object]", thing), key=_label))
                self._class_of(thing)
            case Mapping():
                self._all("mapping", cast("Mapping[object, object]", thing).items())
                self._class_of(thing)
            case _:
                self._object(thing)

    def _all(self, what: str, things: Iterable[object]) -> None:
        held = list(things)
        self.lines.append(f"{what} {len(held)}")
        for each in held:
            self.add(each)

    def _named(self, what: str, things: Mapping[str, object]) -> None:
        self.lines.append(f"{what} {len(things)}")
        for name, held in sorted(things.items()):
            self.lines.append(f"has {name}")
            self.add(held)

    def _by_name(self, module: str | None) -> bool:
        return _top(module or "builtins") not in self._own and _installed(module or "builtins")

    def _function(self, function: types.FunctionType) -> None:
        self.lines.append(f"function {function.__qualname__}")
        code = function.__code__
        if self._by_name(function.__module__):
            self.lines[-1] += f" of {function.__module__}"
        else:
            self._code(code, function.__doc__)
            for name in _names(code):
                self._names[name] = None
                if name in function.__globals__:
                    self.lines.append(f"global {name}")
                    self.add(function.__globals__[name])
        # What is bound to a function is its user's, also where a library made it.
        self._all("defaults", function.__defaults__ or ())
        self._named("keyword defaults", function.__kwdefaults__ or {})
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            self.lines.append(f"free {name}")
            try:
                self.add(cell.cell_contents)
            except ValueError:
                self.lines.append("empty")  # a name that is bound after the function was made
        self._named("attributes", vars(function))

    def _code(self, code: types.CodeType, doc: str | None) -> None:
        self.lines += [f"code {code.co_code.hex()} {getattr(code, 'co_exceptiontable', b'').hex()}"]
        self.lines += [f"takes {code.co_argcount} {code.co_posonlyargcount} {code.co_kwonlyargcount} {code.co_flags}"]
        self.lines += [f"names {' '.join(code.co_names)}"]
        if IMPORT_NAME in code.co_code[::2]:
            self.unseen.append(f"{code.co_qualname} imports while it runs")
        for index, constant in enumerate(code.co_consts):
            if isinstance(constant, types.CodeType):
                self._code(constant, None)
            elif index == 0 and _is_doc(code, constant, doc):
                self.lines.append("doc")
            else:
                self.add(constant)

    def _class(self, cls: type) -> None:
        self.lines.append(f"class {cls.__qualname__}")
        if self._by_name(cls.__module__):
            self.lines[-1] += f" of {cls.__module__}"
            return
        self._all("bases", cls.__bases__)
        fields = getattr(cls, "__struct_fields__", None)
        if fields is not None:
            self._all("fields", fields)
            self._all("field defaults", getattr(cls, "__struct_defaults__", ()))
        self._annotations(cls, required=fields is not None)
        if issubclass(cls, enum.Enum):
            self._all("members", [(name, member.value) for name, member in cls.__members__.items()])
        self._named("attributes", {name: held for name, held in vars(cls).items() if name not in OF_A_CLASS})

    def _class_of(self, thing: object) -> None:
        if type(thing) not in CONTAINERS:
            self.add(type(thing))

    def _annotations(self, cls: type, *, required: bool) -> None:
        try:
            hints = typing.get_type_hints(cls, include_extras=True)
        except Exception as unresolved:  # noqa: BLE001 - an annotation is code: it may raise anything
            hints = inspect.get_annotations(cls)
            if required:
                self.unseen.append(f"the fields of {cls.__qualname__} ({type(unresolved).__name__})")
        for name, hint in sorted(hints.items()):
            self.lines.append(f"field {name}")
            self._annotation(hint)

    def _annotation(self, hint: object) -> None:
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if isinstance(hint, typing.NewType):
            self.lines.append(f"new type {hint.__name__}")
            self._annotation(hint.__supertype__)
        elif type(hint).__name__ == "TypeAliasType":  # 3.12 and later
            self._annotation(cast("Any", hint).__value__)
        elif origin is typing.Annotated:
            self._annotation(args[0])
            self._all("annotated", args[1:])
        elif origin is typing.Literal:
            self._all("literal", args)
        elif origin is not None:
            self.lines.append(f"type {getattr(origin, '__name__', type(origin).__name__)} {len(args)}")
            for each in args:
                self._annotation(each)
        elif isinstance(hint, list):  # the parameters of a Callable
            for each in cast("list[object]", hint):
                self._annotation(each)
        elif isinstance(hint, type) or type(hint) in PLAIN:
            self.add(hint)
        else:
            self.lines.append(
                f"type {getattr(hint, '__name__', getattr(hint, '__forward_arg__', type(hint).__name__))}"
            )

    def _object(self, thing: object) -> None:
        cls = type(thing)
        self.lines.append(f"object {cls.__module__}.{cls.__qualname__} {getattr(thing, '__qualname__', '')}")
        self._class_of(thing)
        fields = getattr(cls, "__struct_fields__", None)
        if fields is None and dataclasses.is_dataclass(thing):
            fields = [field.name for field in dataclasses.fields(thing)]
        if fields is not None:
            self._named("fields", {name: getattr(thing, name, None) for name in fields})
            return
        if isinstance(thing, (*PLAIN, *DATED)):  # of a class of its own
            base: Any = next(base for base in (*PLAIN, *DATED) if isinstance(thing, base))
            self.lines.append(base.__repr__(thing))
        if isinstance(thing, msgspec.Meta):
            self.lines.append(repr(thing))
            return
        if isinstance(thing, CACHED):
            self.add(cast("Any", thing).__wrapped__)
            return
        self._parts(thing)

    def _parts(self, thing: object) -> None:
        """What an object is made of, as it would be copied: a pattern, a range, a bound method, what a `__dict__` holds."""
        if isinstance(thing, _DESCRIPTORS):
            return
        try:
            reduce = copyreg.dispatch_table.get(type(thing))
            made: Any = thing.__reduce_ex__(4) if reduce is None else reduce(thing)
        except Exception:  # noqa: BLE001 - it cannot be copied: a lock, a file; it counts by its class
            return
        if isinstance(made, str):
            self.lines.append(f"called {made}")
            return
        self._all("made by", made[:3])
        for items in made[3:5]:
            self._all("of", items or ())


# Parts of a class whose lines say already what they are.
_DESCRIPTORS = (
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
)


def _label(thing: object) -> str:
    """What the items of a set are ordered by: the same in every process, and different for what is different."""
    if isinstance(thing, enum.Enum):
        return f"{type(thing).__qualname__}.{thing.name}"
    if type(thing) in PLAIN or type(thing) in DATED:
        return f"{type(thing).__name__} {thing!r}"
    if isinstance(thing, tuple):
        return f"({', '.join(_label(each) for each in cast('tuple[object, ...]', thing))})"
    if isinstance(thing, frozenset):
        return f"{{{', '.join(sorted(_label(each) for each in cast('frozenset[object]', thing)))}}}"
    fields = getattr(type(thing), "__struct_fields__", None)
    if fields is None and dataclasses.is_dataclass(thing):
        fields = [field.name for field in dataclasses.fields(thing)]
    if fields is not None:
        return f"{type(thing).__qualname__}({', '.join(_label(getattr(thing, name, None)) for name in fields)})"
    code = getattr(thing, "__code__", None)
    said = f"{code.co_code.hex()} {_label(code.co_consts)}" if isinstance(code, types.CodeType) else ""
    return f"{type(thing).__name__} {getattr(thing, '__module__', '')} {getattr(thing, '__qualname__', '')} {said}"


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


def _top(module: str | None) -> str:
    return (module or "builtins").partition(".")[0]


def _ours(top: str) -> bool:
    return top != "__main__" and (top in sys.stdlib_module_names or top in {"builtins", "eventcore"})


@functools.cache
def _installed(module: str) -> bool:
    """Whether a module is the standard library's, an installed package's or the framework's own core."""
    top = _top(module)
    if _ours(top):
        return True
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    return "site-packages" in file or "dist-packages" in file
