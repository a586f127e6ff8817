"""Finite domains: which values an argument takes in a search, from its type, from a declaration, or as samples.

D1  A domain knows its size, and the size of its type, without making a value.
D2  What a type bounds is enumerated whole; what a scope declares is taken as declared; everything else is sampled, and
    whoever asks is told so (`Leaf`): sampled arguments never make a proof.
D3  Every value of a domain is valid for its type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import chain, combinations, product
from math import comb, prod
from typing import Any, Literal
from uuid import UUID

from eventcore.annotations import shape_of
from eventcore.check.sameness import key_of
from eventcore.check.scope import Key, Scope
from eventcore.check.source import shown
from eventcore.context import Context
from eventcore.errors import InvalidValue, NotSupported, UnknownName
from eventcore.shape import (
    LONG_MAX,
    LONG_MIN,
    Anything,
    Bool,
    Bytes,
    Choice,
    Day,
    Duration,
    Field,
    Float,
    Ident,
    Instant,
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
from eventcore.validate import problem_of
from eventcore.value import Map, Value

ENUMERATED_MAX = 1_000  # a field with more values is sampled unless a scope declares it
INSTANCES_MAX = 10_000  # commands: each is decided in each state
SAMPLED_MAX = 500  # commands beyond which fields have fewer samples: more of them prove no more
SAMPLES = (10, 2, 1)  # how many samples a field has at most: fewer where there would be too many commands
SAMPLED_ITEMS = 1  # how many items a container without a bound holds in a sample

Evidence = Literal["enumerated", "declared", "sampled"]
RANK: Mapping[Evidence, int] = {"enumerated": 0, "declared": 1, "sampled": 2}
CONTEXT = "context"  # what a decide is given beside the state and the command; no field has a name without a class
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Leaf:
    """What is known of one field: how its values came about, how many are tried, how many its type has (None: no end)."""

    where: str
    evidence: Evidence
    tried: int
    typed: int | None
    shown: str


@dataclass(frozen=True)
class Domain:
    """A finite list of values, made on demand: `size` is known before. `leaves` are the fields that it depends on."""

    size: int
    make: Callable[[], Iterator[Any]]
    leaves: tuple[Leaf, ...] = ()

    @property
    def evidence(self) -> Evidence:
        """The weakest evidence of its fields."""
        weakest: Evidence = "enumerated"
        for leaf in self.leaves:
            weakest = max(weakest, leaf.evidence, key=RANK.__getitem__)
        return weakest


class Domains:
    """The domains of one scope; a field that it does not declare and its type does not bound has at most `samples`."""

    def __init__(self, scope: Scope, samples: int = SAMPLES[0]) -> None:
        self._scope = scope
        self._samples = samples
        self._used: set[Key] = set()

    def of_class(self, cls: type[Value]) -> Domain:
        """All values of one class: the product of its fields, or what the scope declares for the class."""
        found = self._declared((cls,), Record(cls), cls.__name__)
        return found or self._record(cls)

    def refuse_unused(self, classes: Sequence[type[Value]]) -> None:
        """Raise UnknownName where the scope speaks of a class or field that there is none of."""
        for key in (*self._scope.domains, *self._scope.samples):
            if key not in self._used:
                known = [cls.__name__ for cls in classes]
                known += [f"{cls.__name__}.{field.name}" for cls in classes for field in shape_of(cls)]
                raise UnknownName("class or field in the scope", key if isinstance(key, str) else key.__name__, known)

    def _record(self, cls: type[Value]) -> Domain:
        parts = [self._field(cls, field) for field in shape_of(cls)]
        size = prod(part.size for part in parts)

        def make() -> Iterator[Value]:
            made = product(*(list(part.make()) for part in parts))
            return (cls(**dict(zip(cls.__struct_fields__, each, strict=True))) for each in made)

        return Domain(size, make, tuple(leaf for part in parts for leaf in part.leaves))

    def _field(self, cls: type[Value], field: Field) -> Domain:
        where = f"{cls.__name__}.{field.name}"
        return self._declared((where, field.name), field.shape, where) or self._of(field.shape, where)

    def _declared(self, keys: Sequence[Key], shape: Shape, where: str) -> Domain | None:
        for key in keys:
            for evidence, given in (("declared", self._scope.domains), ("sampled", self._scope.samples)):
                if key in given:
                    self._used.add(key)
                    return _listed(tuple(given[key]), shape, where, "declared" if evidence == "declared" else "sampled")
        return None

    def _of(self, shape: Shape, where: str) -> Domain:
        match shape:
            case Bool():
                return _enumerated((False, True), where)
            case Choice(_, _, members, _):
                return _enumerated(members, where)
            case Int() if (count_of(shape) or 0) <= ENUMERATED_MAX:
                step = shape.step or 1
                return _enumerated(range(-(-shape.low // step) * step, shape.high + 1, step), where)
            case Maybe(of):
                inner = self._of(of, where)
                return Domain(1 + inner.size, lambda: chain((None,), inner.make()), inner.leaves)
            case Record(cls):
                return self.of_class(cls)
            case OneOf(classes):
                parts = [self.of_class(cls) for cls in classes]
                leaves = tuple(leaf for part in parts for leaf in part.leaves)
                return Domain(sum(p.size for p in parts), lambda: chain.from_iterable(p.make() for p in parts), leaves)
            case Many() | SetOf() | MapOf():
                return self._container(shape, where)
            case Int() | Float() | Str() | Bytes() | Number() | Instant() | Day() | Duration() | Ident() | Anything():
                return _sampled(shape, where, self._samples)

    def _container(self, shape: Many | SetOf | MapOf, where: str) -> Domain:
        inner = self._of(shape.of, where)
        most = inner.size if isinstance(shape, SetOf) else None
        evidence: Evidence = "sampled" if isinstance(shape, MapOf) else "enumerated"
        if shape.max_length is not None:
            most = shape.max_length if most is None else min(most, shape.max_length)
        if most is None or _count(shape, inner.size, most) > ENUMERATED_MAX:
            evidence = "sampled" if self._scope.items is None or isinstance(shape, MapOf) else "declared"
            items = SAMPLED_ITEMS if self._scope.items is None else self._scope.items
            most = items if most is None else min(most, items)
        most = max(most, shape.min_length)
        lengths = range(shape.min_length, most + 1)
        size = _count(shape, inner.size, most)
        leaf = Leaf(where, evidence, size, count_of(shape), f"{shape.min_length} to {most} items")

        def make() -> Iterator[object]:
            items = list(inner.make())
            if isinstance(shape, Many):
                return chain.from_iterable(product(items, repeat=length) for length in lengths)
            if isinstance(shape, SetOf):
                return (frozenset(each) for length in lengths for each in combinations(items, length))
            keys = [chr(97 + number) for number in range(most)]
            return (
                Map(dict(zip(keys, each, strict=False))) for length in lengths for each in product(items, repeat=length)
            )

        return Domain(size, make, (leaf, *(each for each in inner.leaves if each.evidence != "enumerated")))


def _enumerated(values: Sequence[object], where: str) -> Domain:
    count = len(values)
    return Domain(count, lambda: iter(values), (Leaf(where, "enumerated", count, count, ""),))


def _listed(values: tuple[object, ...], shape: Shape, where: str, evidence: Evidence) -> Domain:
    if not values:
        raise NotSupported(f"the scope gives {where} no value at all, so nothing that has it can be tried.")
    for value in values:
        if (problem := problem_of(shape, value, where)) is not None:
            raise InvalidValue(*problem)
    distinct = _distinct(values, where)
    leaf = Leaf(where, evidence, len(distinct), count_of(shape), _few(distinct))
    return Domain(len(distinct), lambda: iter(distinct), (leaf,))


def _distinct(values: Sequence[object], where: str) -> tuple[object, ...]:
    """The values, each once. Raises NotSupported for two that are equal and not the same: whatever knows one takes it for both."""
    first: dict[object, object] = {}
    for value in values:
        other = first.setdefault(value, value)
        if key_of(other) != key_of(value):
            raise NotSupported(
                f"the scope gives {where} both {shown(other)} and {shown(value)}, which are equal and not the same, so a "
                "search would take one for the other. Check with one of them, and then with the other."
            )
    return tuple(first)


def _sampled(shape: Shape, where: str, most: int) -> Domain:
    fitting = [value for value in dict.fromkeys(_samples(shape)) if problem_of(shape, value, where) is None]
    values = tuple(fitting[:most])
    if not values:
        raise NotSupported(
            f"{where}: nothing is known to try, since {shape} is narrower than any sample. "
            f'Declare what it takes: Scope(domains={{"{where}": (...)}}).'
        )
    return Domain(
        len(values), lambda: iter(values), (Leaf(where, "sampled", len(values), count_of(shape), _few(values)),)
    )


def contexts_leaf(contexts: Sequence[Context]) -> Leaf:
    """What is known of the times and command ids that a decide is given."""
    said = [f"{each.time.isoformat()} for {each.command_id}" for each in contexts]
    return Leaf(CONTEXT, "declared", len(contexts), None, _abridged(said))


def _few(values: Sequence[object]) -> str:
    return _abridged([shown(each) for each in values])


def _abridged(said: Sequence[str]) -> str:
    return ", ".join(said if len(said) <= 6 else [*said[:5], f"… {said[-1]}"])


def _samples(shape: Shape) -> Sequence[object]:
    """Values worth trying of a type without an end: small ones, and those at a bound."""
    match shape:
        case Int(low, high, step):
            near = [*range(-1, 3)] if low <= -1 else [low, low + 1, low + 2]
            near += [high - 1, high] if high != LONG_MAX else []
            near += [low] if low != LONG_MIN else []
            return [0, 1, 2, *near] if not step else [-(-n // step) * step for n in (near[0], 0, step)]
        case Float(bounds):
            return [0.0, 1.0, *(float(b) for b in (bounds.ge, bounds.le) if b is not None), (bounds.gt or 0.0) + 0.5]
        case Number(_, scale, bounds):
            least = Decimal(1).scaleb(-scale)
            edges = [Decimal(str(b)) for b in (bounds.ge, bounds.le, bounds.gt, bounds.lt) if b is not None]
            return [Decimal(0), Decimal(1), *edges, *(edge + least for edge in edges), *(e - least for e in edges)]
        case Str(low, _, _):
            return ["", *(letter * max(low, 1) for letter in "ab")]
        case Bytes(low, _):
            return [b"", *(byte * max(low, 1) for byte in (b"a", b"b"))]
        case Instant():
            return [EPOCH, EPOCH + timedelta(days=1)]
        case Day():
            return [date(2026, 1, 1), date(2026, 1, 2)]
        case Duration():
            return [timedelta(), timedelta(hours=1)]
        case Ident():
            return [UUID(int=1), UUID(int=2)]
        case Anything():
            return [None, False, 0, 1, "", "a", ()]
        case _:
            return []


def count_of(shape: Shape) -> int | None:
    """How many values a type has; None where it has no end, or none that anybody would count."""
    match shape:
        case Bool():
            return 2
        case Int(low, high, step):
            return high // (step or 1) - -(-low // (step or 1)) + 1
        case Choice(_, _, members, _):
            return len(members)
        case Maybe(of):
            return _and(count_of(of), 1)
        case Many(of, _, high) | SetOf(of, _, high):
            inner = count_of(of)
            most = high if high is not None else inner if isinstance(shape, SetOf) else None
            return None if inner is None or most is None or most > ENUMERATED_MAX else _count(shape, inner, most)
        case Record(cls):
            return typed_size(cls)
        case OneOf(classes):
            sizes = [typed_size(cls) for cls in classes]
            return sum(size for size in sizes if size is not None) if None not in sizes else None
        case Float() | Str() | Bytes() | Number() | Instant() | Day() | Duration() | Ident() | MapOf() | Anything():
            return None


def typed_size(cls: type[Value]) -> int | None:
    """How many values a class has: the product over its fields; None where one of them has no end."""
    sizes = [count_of(field.shape) for field in shape_of(cls)]
    return prod(size for size in sizes if size is not None) if None not in sizes else None


def _and(size: int | None, more: int) -> int | None:
    return None if size is None else size + more


def _count(shape: Many | SetOf | MapOf, inner: int, most: int) -> int:
    lengths = range(shape.min_length, most + 1)
    if isinstance(shape, SetOf):
        return sum(comb(inner, length) for length in lengths)
    return sum(inner**length for length in lengths)


def instances(classes: Sequence[type[Value]], scope: Scope) -> tuple[list[Value], tuple[Leaf, ...]]:
    """Every instance of these classes in a scope, and what is known of their fields.

    Raises NotSupported, with the size of each class, where there are more than INSTANCES_MAX.
    """
    parts: dict[type[Value], Domain] = {}
    for samples in SAMPLES:
        domains = Domains(scope, samples)
        parts = {cls: domains.of_class(cls) for cls in classes}
        domains.refuse_unused(classes)
        if sum(part.size for part in parts.values()) <= SAMPLED_MAX:
            break
    if sum(part.size for part in parts.values()) > INSTANCES_MAX:
        largest = sorted(parts, key=lambda cls: parts[cls].size, reverse=True)
        sizes = ", ".join(f"{cls.__name__} {parts[cls].size:,}" for cls in largest[:5])
        first = largest[0]
        widest = max(parts[first].leaves, key=lambda leaf: leaf.tried)
        raise NotSupported(
            f"the scope explodes: {sizes} instances of commands, and each is decided in every state. At most "
            f'{INSTANCES_MAX:,} are tried. Narrow the widest field: Scope(domains={{"{widest.where}": (...)}}).'
        )
    made = [value for part in parts.values() for value in part.make()]
    leaves = dict.fromkeys(leaf for part in parts.values() for leaf in part.leaves)
    return made, tuple(leaves)
