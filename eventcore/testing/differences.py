"""What differs between two values, down to the fields: `Account.balance: expected 5, got 3`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, cast

import msgspec

from eventcore.aggregate import Message
from eventcore.value import Map, Value


class Nothing:
    """Stands where one side has nothing at all."""

    def __repr__(self) -> str:
        return "nothing"


NOTHING: Final = Nothing()


class Difference(NamedTuple):
    """One place where two values differ; `path` is empty where they differ as a whole."""

    path: str
    expected: object
    got: object

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected!r}, got {self.got!r}".removeprefix(": ")


def differences(expected: object, got: object, path: str = "") -> Iterator[Difference]:
    """Every place where `got` is not what was expected, the smallest part that differs each time; none where equal.

    Values of one class are compared by field, tuples and lists by index, maps by key, sets by what is in one only.
    """
    if type(expected) is not type(got):
        yield Difference(path, expected, got)
    elif isinstance(expected, Value):
        for field in msgspec.structs.fields(type(expected)):
            ours, theirs = getattr(expected, field.name), getattr(got, field.name)
            yield from differences(ours, theirs, f"{path}.{field.name}" if path else field.name)
    elif isinstance(expected, (tuple, list)):
        ours, theirs = cast("tuple[Any, ...]", expected), cast("tuple[Any, ...]", got)
        for index in range(max(len(ours), len(theirs))):
            yield from differences(_at(ours, index), _at(theirs, index), f"{path}[{index}]")
    elif isinstance(expected, Message):
        for name in ("to", "id", "command"):
            ours, theirs = getattr(expected, name), getattr(got, name)  # pyright: ignore[reportUnknownArgumentType]  # any command
            yield from differences(ours, theirs, f"{path}.{name}" if path else name)
    elif isinstance(expected, Map):
        ours, theirs = dict[str, Any](cast("Any", expected)), dict[str, Any](cast("Any", got))
        for key in sorted({*ours, *theirs}):
            yield from differences(ours.get(key, NOTHING), theirs.get(key, NOTHING), f"{path}[{key!r}]")
    elif isinstance(expected, frozenset):
        wanted, found = set[Any](cast("Any", expected)), set[Any](cast("Any", got))
        yield from (Difference(path, item, NOTHING) for item in sorted(wanted - found, key=repr))
        yield from (Difference(path, NOTHING, item) for item in sorted(found - wanted, key=repr))
    elif expected != got:
        yield Difference(path, expected, got)


def _at(items: tuple[Any, ...], index: int) -> object:
    return items[index] if index < len(items) else NOTHING
