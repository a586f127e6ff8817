"""Keeping the parts of states once: many states hold equal tuples, sets and nested values, and memory is what bounds a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eventcore.annotations import shape_of
from eventcore.shape import Anything, Many, MapOf, Maybe, OneOf, Record, SetOf, Shape
from eventcore.value import Value

SHARED = (Many, SetOf, MapOf, Maybe, Record, OneOf)  # what is worth keeping once for all states that hold an equal one


def sharing(cls: type[Value]) -> Callable[[Any], Any]:
    """A function that rebuilds a state of `cls` from parts that are kept once for all states.

    A pool for each field: in one field, equal values are of one type, but where anything may stand.
    """
    names = cls.__struct_fields__
    shared = [isinstance(field.shape, SHARED) and not is_open(field.shape) for field in shape_of(cls)]
    pools: list[dict[Any, Any]] = [{} for _ in names]
    if not any(shared):
        return lambda state: state
    given: dict[str, object] = {"cls": cls}
    parts: list[str] = []
    for number, (name, is_shared) in enumerate(zip(names, shared, strict=True)):
        given[f"keep{number}"] = pools[number].setdefault
        parts.append(f"{name}=keep{number}(s.{name}, s.{name})" if is_shared else f"{name}=s.{name}")
    source = f"lambda s: cls({', '.join(parts)})"
    made: Callable[[Any], Any] = eval(source, given)  # noqa: S307 - made here from field names, never from data
    return made


def is_open(shape: Shape) -> bool:
    """Whether equal values of this shape may differ in type, as False and 0 do where anything may stand."""
    match shape:
        case Anything():
            return True
        case Many(of) | SetOf(of) | MapOf(of) | Maybe(of):
            return is_open(of)
        case Record(cls):
            return any(is_open(field.shape) for field in shape_of(cls))
        case OneOf(classes):
            return any(is_open(field.shape) for cls in classes for field in shape_of(cls))
        case _:
            return False
