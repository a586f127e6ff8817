"""What is told apart: a state seen through a few facets, each with a closed list of labels.

A machine has more states than anybody can look at, so they are grouped: all states with the same labels are one *row*.
The facets are derived from the types (members of enums, tags of unions, zero, positive and at a bound, empty and full),
or declared. They are refined by adding one, never by editing a picture.

B1  Each facet gives exactly one label to each state, so rows never overlap.
B2  Labels are known without a search, so the number of conceivable rows is. The exception is a field of which nothing is
    declared (`open`): its labels are the values that were met, and one more for anything else.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, combinations_with_replacement, pairwise
from math import prod
from typing import Any

from eventcore.annotations import shape_of
from eventcore.check.scope import Scope
from eventcore.check.source import shown
from eventcore.check.unread import Change, hider
from eventcore.errors import EventcoreError, NotSupported, UnknownName, WrongUse
from eventcore.shape import (
    LONG_MAX,
    LONG_MIN,
    Anything,
    Bool,
    Bytes,
    Choice,
    Float,
    Int,
    Many,
    MapOf,
    Maybe,
    Number,
    OneOf,
    Record,
    SetOf,
    Shape,
    Str,
)
from eventcore.value import Value

NOTHING = "(none)"  # what a collection without items is called: a member of an enum may be called none
KINDS_MAX = 5  # of what a collection holds: beyond, only its length is told apart
OPEN_SHOWN = 40  # letters of a value of which nothing is declared
Row = tuple[str, ...]
Label = Callable[[Any], str]


@dataclass(frozen=True)
class Facet:
    """One thing that is told apart: its name, the label of a state, and all labels that there are.

    `open` says that there is no such list, since the field's type says nothing. Raises NotSupported without labels.
    """

    name: str
    label: Label
    labels: tuple[str, ...]
    open: bool = False

    def __post_init__(self) -> None:
        if not self.open and (not self.labels or len(set(self.labels)) != len(self.labels)):
            raise NotSupported(f"the facet {self.name} has the labels {self.labels}; give it some, each once.")


@dataclass(frozen=True)
class Abstraction:
    """How states are grouped into rows. `states` declares which values the fields of a state take, where types do not.

    A facet may be a function, for whether it is true of a state. Raises NotSupported where two facets bear one name.
    """

    facets: Sequence[Facet | Callable[[Any], bool]]
    states: Scope = field(default_factory=Scope)

    def __post_init__(self) -> None:
        settled = tuple(each if isinstance(each, Facet) else predicate(each) for each in self.facets)
        names = [each.name for each in settled]
        if len(set(names)) != len(names):
            raise NotSupported(f"two facets bear one name: {', '.join(names)}.")
        object.__setattr__(self, "facets", settled)

    @property
    def parts(self) -> Sequence[Facet]:
        """The facets, those that were given as functions too."""
        return [each for each in self.facets if isinstance(each, Facet)]

    def row(self, state: Any) -> Row:
        """The row that a state belongs to. Raises NotSupported where a facet raises."""
        return tuple([_label(each, state) for each in self.parts])

    def has(self, row: Row) -> bool:
        """Whether a row is one of the conceivable ones: false of a state that its own type or declaration excludes."""
        return all(each.open or label in each.labels for each, label in zip(self.parts, row, strict=True))

    def conceivable(self, met: Iterable[Row], *, anything_else: bool = True) -> int:
        """How many rows there are; `met` are rows that exist, from which the labels of open facets are taken.

        Without `anything_else`, an open facet has no label beyond those.
        """
        seen: list[set[str]] = [set() for _ in self.parts]
        for row in met:
            for labels, label in zip(seen, row, strict=True):
                labels.add(label)
        return prod(
            len(labels) + anything_else if each.open else len(each.labels)
            for each, labels in zip(self.parts, seen, strict=True)
        )


def _label(facet: Facet, state: Any) -> str:
    try:
        return facet.label(state)
    except EventcoreError:
        raise
    except Exception as error:
        raise NotSupported(
            f"the facet {facet.name} raises {type(error).__name__} ({error}) for {shown(state)}. It must say a label of every "
            "state that types and invariants allow, reachable or not."
        ) from error


# --- facets that are declared ----------------------------------------------------------------------------------------


def predicate(holds: Callable[[Any], bool], *, name: str = "") -> Facet:
    """Tell apart of which states `holds(state)` is true."""
    return Facet(
        name or str(getattr(holds, "__name__", "")), lambda state: "yes" if holds(state) else "no", ("no", "yes")
    )


def labelled(name: str, label: Label, labels: Iterable[str]) -> Facet:
    """Tell states apart by what `label(state)` says, which must be one of `labels`."""
    return Facet(name, label, tuple(labels))


def multiset(name: str, kinds: Iterable[object], items: int) -> Facet:
    """Tell apart how many items of each kind the field `name` holds, whatever their order; it always holds so many."""
    ordered = {kind: _plain(kind) for kind in kinds}

    def counted(held: Iterable[object]) -> str:
        found = list(held)
        parts = [(ordered[kind], found.count(kind)) for kind in ordered]
        return " ".join(text if count == 1 else f"{text}*{count}" for text, count in parts if count) or NOTHING

    labels = tuple(counted(each) for each in combinations_with_replacement(ordered, items))
    return Facet(name, lambda state: counted(_at(state, name)), labels)


# --- facets that are derived -----------------------------------------------------------------------------------------


def derived(cls: type[Value], *names: str) -> tuple[Facet, ...]:
    """The facets that the types of a state's fields suggest: of all its fields, or of those that are named.

    A field whose values are all alike to us (text that may not be empty, a date) gives none; see `untold`.
    """
    fields = {each.name: each.shape for each in shape_of(cls)}
    for name in names:
        if name not in fields:
            raise UnknownName(f"field of {cls.__name__}", name, list(fields))
    chosen = names or tuple(fields)
    return tuple(
        facet for name in chosen for facet in _facets(name, fields[name]) if facet.open or len(facet.labels) > 1
    )


def untold(cls: type[Value], abstraction: Abstraction) -> list[str]:
    """The fields of a state that no facet is named for: states that differ in them alone are in one row."""
    named = {each.name.partition(".")[0] for each in abstraction.parts}
    return [each.name for each in shape_of(cls) if each.name not in named]


def abstraction_of(cls: type[Value], unread: Sequence[str] = ()) -> Abstraction:
    """The abstraction that is used where none is declared: every facet that the types of fields that are read suggest."""
    names = [each.name for each in shape_of(cls) if each.name not in unread]
    return Abstraction(derived(cls, *names) if names else ())


def settled_for(cls: type[Value], declared: Abstraction | None, unread: Sequence[str]) -> Abstraction:
    """The declared abstraction, or the derived one.

    Raises NotSupported where it tells apart by a field that the scope calls unread: a search does not know its values. So
    do its facets, when they look at one.
    """
    if declared is None:
        return abstraction_of(cls, unread)
    if not unread:
        return declared
    for each in declared.parts:
        if each.name.partition(".")[0] in unread:
            raise NotSupported(
                f"the facet {each.name} looks at a field that the scope calls unread, whose values no search knows. "
                "Take it out of the abstraction, or out of Scope(unread=...)."
            )
    hide = hider(unread)
    return replace(declared, facets=[replace(each, label=_unseeing(each, hide)) for each in declared.parts])


def _unseeing(facet: Facet, hide: Change) -> Label:
    def label(state: Any) -> str:
        try:
            return facet.label(hide(state))
        except WrongUse as read:
            raise NotSupported(f"the facet {facet.name}: {read}, or out of the facet.") from read

    return label


def _facets(path: str, shape: Shape) -> list[Facet]:
    if isinstance(shape, Record):
        return [each for inner in shape_of(shape.cls) for each in _facets(f"{path}.{inner.name}", inner.shape)]
    if isinstance(shape, Anything):
        return [Facet(path, lambda state: _brief(_at(state, path)), (), open=True)]
    label, labels = _classes(shape)
    return [Facet(path, lambda state: label(_at(state, path)), labels)]


def _brief(value: object) -> str:
    text = shown(value)
    return text if len(text) <= OPEN_SHOWN else f"{text[: OPEN_SHOWN - 2]} …"


def _at(state: Any, path: str) -> Any:
    for name in path.split("."):
        state = getattr(state, name)
    return state


def _classes(shape: Shape) -> tuple[Label, tuple[str, ...]]:
    """The label of a value of this shape, and all labels."""
    match shape:
        case Bool():
            return _plain, ("False", "True")
        case Choice(_, symbols, members, _):
            texts = dict(zip(members, symbols, strict=True))
            return texts.__getitem__, symbols
        case Int(low, high, _):
            return _ordered(None if low == LONG_MIN else low, None if high == LONG_MAX else high, whole=True)
        case Float(bounds) | Number(_, _, bounds):
            return _ordered(bounds.ge, bounds.le, above=bounds.gt, below=bounds.lt)
        case Maybe(of):
            inner, labels = _classes(of)
            return (lambda x: "None" if x is None else inner(x)), ("None", *labels)
        case OneOf(classes):
            return (lambda x: type(x).__name__), tuple(cls.__name__ for cls in classes)
        case Str(low) | Bytes(low):
            return _filled, ("some",) if low else ("empty", "some")
        case Many(of, low, high) | SetOf(of, low, high) | MapOf(of, low, high):
            kinds = _kinds_of(of)
            if not kinds or isinstance(shape, MapOf):
                label, labels = _ordered(low, high, whole=True)
                return (lambda x: f"{label(len(x))} items"), tuple(f"{each} items" for each in labels)
            subsets = [
                each for count in range(min(low, 1), len(kinds) + 1) for each in combinations(kinds.values(), count)
            ]
            return (lambda x: _together(text for kind, text in kinds.items() if kind in x)), tuple(
                map(_together, subsets)
            )
        case _:
            return (lambda _: "any"), ("any",)


def _kinds_of(shape: Shape) -> Mapping[object, str]:
    """What the items of a collection can be, where those are few."""
    match shape:
        case Bool():
            return {False: "False", True: "True"}
        case Choice(_, symbols, members, _) if len(members) <= KINDS_MAX:
            return dict(zip(members, symbols, strict=True))
        case _:
            return {}


def _together(texts: Iterable[str]) -> str:
    return " ".join(texts) or NOTHING


def _filled(x: Any) -> str:
    return "some" if len(x) else "empty"


def _plain(value: object) -> str:
    return value.value if isinstance(value, enum.Enum) and isinstance(value.value, str) else shown(value)


def _ordered(
    low: float | None,
    high: float | None,
    *,
    whole: bool = False,
    above: float | None = None,
    below: float | None = None,
) -> tuple[Label, tuple[str, ...]]:
    """Zero, the bounds, and what lies between them. A value beyond its bounds gets a label that is in no list."""
    floor, roof = (low if low is not None else above), (high if high is not None else below)
    has_zero = (floor is None or floor < 0 or low == 0) and (roof is None or roof > 0 or high == 0)
    points: dict[float, str] = {
        p: f"{p}" for p in sorted({p for p in (low, high, 0 if has_zero else None) if p is not None})
    }
    ends = [*([above] if low is None else []), *points, *([below] if high is None else [])]
    spans = [(one, other, _between(one, other, whole=whole)) for one, other in pairwise(ends)]
    labels = [points[ends[0]]] if ends[0] in points else []
    for _, other, text in spans:
        labels += [text] if text else []
        labels += [points[other]] if other in points else []

    def label(x: Any) -> str:
        if (point := points.get(x)) is not None:
            return point
        for one, other, text in spans:
            if text and (one is None or x > one) and (other is None or x < other):
                return text
        return f"<{floor}" if floor is not None and x <= floor else f">{roof}"

    return label, tuple(labels)


def _between(one: float | None, other: float | None, *, whole: bool) -> str:
    """What lies strictly between two ends; empty where nothing does."""
    if one is None:
        return "any" if other is None else f"<{other}"
    if other is None:
        return f">{one}"
    if not whole:
        return f"{one}..{other}"
    first, last = int(one) + 1, int(other) - 1
    return "" if first > last else f"{first}" if first == last else f"{first}..{last}"
