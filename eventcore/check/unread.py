"""Fields that nothing reads: sums, counters and last-seen times, which make a small machine endless.

In a search such a field holds `UNREAD`, which can be added to and stored and nothing else: looking at it raises. Where
a search ends without that, its verdict holds whatever the field's values, and states that differ in it alone were one.
Only numbers and times can be unread: of what may be None, `is None` reads without our knowing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from msgspec.structs import replace

from eventcore.annotations import shape_of
from eventcore.errors import NotSupported, UnknownName, WrongUse
from eventcore.shape import Day, Duration, Float, Instant, Int, Number
from eventcore.value import Value

SUMMABLE = (Int, Float, Number, Instant, Day, Duration)


class Unread:
    """Stands for any value of a field that must not be read. Sums with it are it; every other use raises WrongUse."""

    __slots__ = ()

    def __add__(self, _: object) -> Unread:
        return self

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __add__

    def __neg__(self) -> Unread:
        return self

    def _read(self, *_: object) -> NoReturn:
        raise WrongUse("a field that the scope calls unread was read: take it out of Scope(unread=...)")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __hash__ = __index__ = __int__ = _read
    __float__ = __str__ = __format__ = __mod__ = __floordiv__ = __truediv__ = __abs__ = __pow__ = __round__ = _read


UNREAD = Unread()

Change = Callable[[Any], Any]


def hiding(cls: type[Value], names: Sequence[str], initial: Value) -> tuple[Change, Change]:
    """Two functions on states of `cls`: one puts UNREAD into the fields, one puts the initial state's values back.

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
    hidden: dict[str, Any] = dict.fromkeys(names, UNREAD)
    plain = {name: getattr(initial, name) for name in names}
    return lambda state: replace(state, **hidden), lambda state: replace(state, **plain)
