"""Fields that nothing reads: sums, counters and last-seen times, which make a small machine endless.

Whoever is asked about a state in a search (decide, evolve, invariants, properties, facets, a map to another version) is
given one in which such a field holds an `Unread`, which can be added to and stored and nothing else: looking at it raises.
Where a search ends without that, its verdict holds whatever the field's values, and states that differ in it alone were
one. Only numbers and times can be unread: of what may be None, `is None` reads without our knowing, as `type` does of
anything. A value that is passed on, to another field or to an event, counts as read there and then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn, cast

from msgspec import Struct
from msgspec.structs import replace

from eventcore.annotations import shape_of
from eventcore.errors import NotSupported, UnknownName, WrongUse
from eventcore.shape import Day, Duration, Float, Instant, Int, Number
from eventcore.value import Map, Value

READ, REMEDY = "a field that the scope calls unread was read", "Take it out of Scope(unread=...)"
SUMMABLE = (Int, Float, Number, Instant, Day, Duration)


class Unread:
    """Stands for any value of the field `name`, which must not be read. Sums with it are it; other uses raise WrongUse."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __add__(self, _: object) -> Unread:
        return self

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __add__

    def __neg__(self) -> Unread:
        return self

    def __copy__(self) -> Unread:
        return self

    def __deepcopy__(self, _: object) -> Unread:
        return self

    def __getattribute__(self, name: str) -> Any:
        if name != "__deepcopy__":
            Unread._read(self)  # `__class__` too, which is what isinstance asks for
        return object.__getattribute__(self, name)

    def _read(self, *_: object) -> NoReturn:
        raise WrongUse(f"{READ}: {_name_of(self)}. {REMEDY}")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __hash__ = __index__ = __int__ = _read
    __float__ = __repr__ = __str__ = __format__ = __mod__ = __floordiv__ = __truediv__ = _read
    __abs__ = __pow__ = __round__ = _read


class PassedOn(WrongUse):
    """An unread field's value was put elsewhere, where nobody would see who reads it; `by` says which function did."""

    def __init__(self, unread: Unread, by: str, into: str) -> None:
        super().__init__(f"{READ}: {_name_of(unread)}, which {by} passes on to {into}. {REMEDY}")
        self.by = by


def _name_of(unread: Unread) -> str:
    name: str = object.__getattribute__(unread, "_name")
    return name


Change = Callable[[Any], Any]


def hiding(cls: type[Value], names: Sequence[str], initial: Value) -> tuple[Change, Change]:
    """Two functions on states of `cls`: one hides the fields of these names, one puts the initial state's values back.

    Raises UnknownName and NotSupported where a field is not there or may be read unseen.
    """
    fields = {field.name: field.shape for field in shape_of(cls)}
    for name in names:
        if name not in fields:
            raise UnknownName(f"field of {cls.__name__}", name, list(fields))
        if not isinstance(fields[name], SUMMABLE):
            raise NotSupported(
                f"{cls.__name__}.{name} cannot be called unread: only plain numbers and times can, since reading "
                "another kind may go unseen."
            )
    plain = {name: getattr(initial, name) for name in names}
    return hider(names), lambda state: replace(state, **plain)


def hider(names: Sequence[str]) -> Change:
    """A function that hides the fields of these names, of a state that has them."""
    hidden: dict[str, Any] = {name: Unread(name) for name in names}
    return lambda state: replace(state, **hidden)


def refuse_hidden(value: object, by: str, into: str = "") -> None:
    """Raise PassedOn where a value holds, at any depth, what stands for a field that must not be read."""
    match value:
        case _ if type(value) is Unread:
            raise PassedOn(value, by, into)
        case Struct():
            for name in value.__struct_fields__:
                refuse_hidden(getattr(value, name), by, f"{type(value).__name__}.{name}")
        case tuple() | list():
            for item in cast("Sequence[object]", value):
                refuse_hidden(item, by, into)
        case Map():
            for item in cast("Map[object]", value).values():
                refuse_hidden(item, by, into)
        case _:
            pass
