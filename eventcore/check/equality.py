"""Whether values of a class are compared by their fields, all of them: what a search knows a state again by."""

from __future__ import annotations

from collections.abc import Iterator

from eventcore.annotations import shapes_within
from eventcore.shape import Choice, OneOf, Record
from eventcore.value import Value

FOREIGN = frozenset({"builtins", "enum", "eventcore.value", "msgspec", "msgspec._core", "typing"})


def odd_in(cls: type[Value]) -> str | None:
    """A class that is compared otherwise than by its fields, this one or one that its fields may hold, and why; or None."""
    return next((why for each in classes_within(cls) if (why := _odd(each)) is not None), None)


def _odd(cls: type) -> str | None:
    for each in cls.__mro__:
        own = [name for name in ("__eq__", "__hash__") if name in vars(each)]
        if own and each.__module__ not in FOREIGN:
            return f"{cls.__name__} has an {own[0]} of its own"
    if issubclass(cls, Value) and not cls.__struct_config__.eq:
        return f"{cls.__name__} has eq=False"
    return None


def classes_within(cls: type[Value]) -> Iterator[type]:
    """A class, and those that its fields may hold, enums too."""
    yield cls
    for _, _, shape in shapes_within(cls):
        match shape:
            case Record(inner):
                yield inner
            case OneOf(classes):
                yield from classes
            case Choice(_, _, _, kind) if kind is not None:
                yield kind
            case _:
                pass
