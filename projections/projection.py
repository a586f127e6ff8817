"""Projections: a pure fold from one aggregate's events to rows, checked when it is defined. Knows no database.

A row's key is a function of the instance and the event: the instance's id alone, or that and attributes of the event.
An instance lives in one partition, so no row is ever fed by two, and the guard on a partition's position guards its
rows as well. A key that could not be had from every event of the source is refused here, not found out in production.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Generic, TypeVar, cast

from eventcore.aggregate import Aggregate
from eventcore.annotations import classes_in, shape_of, unknown_in
from eventcore.errors import InvalidValue, NotSupported
from eventcore.shape import Bool, Bytes, Choice, Day, Duration, Field, Ident, Instant, Int, Number, Shape, Str
from eventcore.validate import problem_of, validator
from eventcore.value import Value

Row = TypeVar("Row", bound=Value)
Event = TypeVar("Event", bound=Value)

Key = Any
"""A row's key: the value of its only key field, or a tuple of the values of several."""

NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")  # it names a table: lower case, so that no database folds or quotes it
OURS = ("eventcore_", "sqlite_", "pg_")
COLUMN_BYTES_MAX = 63  # what Postgres keeps of an identifier
SYSTEM_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "rowid", "oid", "_rowid_"})
KEY_SHAPES = (Str, Int, Bool, Bytes, Number, Instant, Day, Duration, Ident, Choice)


@dataclass(frozen=True, eq=False)
class Projection(Generic[Row, Event]):
    """A read model: `fold(row or None, instance id, event)` gives the row after the event, or None to delete it.

    The first field of `row` holds the instance's id, and there is one row an instance. With `key=("account", "day")`
    there is one for each key: the first of these fields holds the id, the further ones are taken from the event's
    attributes of the same name. `fold` must return a row that carries the key it was called for. `name` names the
    table. Two projections are equal when they are one. Raises NotSupported where a definition breaks a rule.
    """

    name: str
    source: Aggregate[Any, Any, Event]
    row: type[Row]
    fold: Callable[[Row | None, str, Event], Row | None]
    key: Sequence[str] = ()

    fields: tuple[Field, ...] = field(init=False, repr=False)
    key_fields: tuple[Field, ...] = field(init=False, repr=False)
    key_of: Callable[[Row], Key] = field(init=False, repr=False)
    key_for: Callable[[str, Event], Key] | None = field(init=False, repr=False)
    check_row: Callable[[Row], None] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        where = f"projection {self.name!r}"
        if not NAME.fullmatch(self.name) or self.name.startswith(OURS):
            raise NotSupported(
                f"{where}: its name names a table: a lower-case letter, then at most 47 of a-z, 0-9 and _, "
                f"and not beginning with {', '.join(OURS)}."
            )
        try:
            fields = shape_of(self.row)
        except NotSupported as broken:
            raise NotSupported(f"{where}: {broken}") from broken
        if unknown := unknown_in(self.row):
            raise NotSupported(f"{where}: {unknown[0]} is Any, and a column has a type. Name it.")
        _check_columns(fields, f"{where}: {self.row.__name__}")
        _check_fold(self.fold, self.row, tuple(self.source.event_checks), where)
        keys = _key_fields(tuple(self.key), fields, f"{where}: {self.row.__name__}")
        for further in keys[1:]:
            for cls in self.source.event_checks:
                _check_attribute(cls, further, where)
        settle = object.__setattr__  # a frozen dataclass derives fields this way
        settle(self, "fields", fields)
        settle(self, "key_fields", keys)
        settle(self, "key_of", attrgetter(*(key.name for key in keys)))
        settle(self, "key_for", _key_for(tuple(key.name for key in keys[1:])))
        settle(self, "check_row", validator(self.row))

    def key_from(self, given: object) -> Key:
        """The key that a caller means: the id, or a tuple with a value for each key field.

        Raises InvalidValue where it has other parts or types than the row's key fields.
        """
        parts = cast("tuple[object, ...]", given) if isinstance(given, tuple) else (given,)
        named = ", ".join(key.name for key in self.key_fields)
        if len(parts) != len(self.key_fields):
            raise InvalidValue(self.name, f"a key of this read model is ({named}), not {given!r}")
        for key, part in zip(self.key_fields, parts, strict=True):
            if problem := problem_of(key.shape, part, f"{self.name}.{key.name}"):
                raise InvalidValue(*problem)
        return parts[0] if len(parts) == 1 else parts


def _key_for(further: tuple[str, ...]) -> Callable[[str, Any], Key] | None:
    """How a key is made of instance id and event; None where it is the id alone."""
    if not further:
        return None
    get = attrgetter(*further)
    if len(further) == 1:
        return lambda instance, event: (instance, get(event))
    return lambda instance, event: (instance, *get(event))


def _check_columns(fields: tuple[Field, ...], where: str) -> None:
    if not fields:
        raise NotSupported(f"{where} has no fields; the first one holds the instance's id: write `id: str`.")
    seen: dict[str, str] = {}
    for each in fields:
        folded = each.name.lower()
        if folded in seen:
            raise NotSupported(f"{where} has the fields {seen[folded]} and {each.name}, one name to SQL; rename one.")
        seen[folded] = each.name
        if folded in SYSTEM_COLUMNS or len(each.name.encode()) > COLUMN_BYTES_MAX:
            raise NotSupported(
                f"{where}.{each.name} cannot name a column: databases keep {', '.join(sorted(SYSTEM_COLUMNS))} "
                f"for themselves, and names have at most {COLUMN_BYTES_MAX} bytes. Rename the field."
            )


def _key_fields(names: tuple[str, ...], fields: tuple[Field, ...], where: str) -> tuple[Field, ...]:
    by_name = {each.name: each for each in fields}
    names = names or (fields[0].name,)
    if missing := [name for name in names if name not in by_name]:
        raise NotSupported(f"{where} has no field {', '.join(missing)}; its fields are {', '.join(by_name)}.")
    if len(set(names)) != len(names):
        raise NotSupported(f"{where}: the key names a field twice: {', '.join(names)}.")
    keys = tuple(by_name[name] for name in names)
    if not isinstance(keys[0].shape, Str):
        raise NotSupported(
            f"{where}.{keys[0].name} holds the instance's id, so it must be a str, not {_show(keys[0].shape)}."
        )
    for further in keys[1:]:
        if not isinstance(further.shape, KEY_SHAPES):
            raise NotSupported(
                f"{where}.{further.name} cannot be part of a key, being {_show(further.shape)}: a key is compared and "
                "indexed. Use a str, int, bool, bytes, Decimal, date, datetime, timedelta, UUID, Enum or Literal."
            )
    return keys


def _check_attribute(event: type[Value], key: Field, where: str) -> None:
    attribute = next((each for each in shape_of(event) if each.name == key.name), None)
    if attribute is None or not _same_type(attribute.shape, key.shape):
        found = "has none" if attribute is None else f"has one that is {_show(attribute.shape)}"
        raise NotSupported(
            f"{where}: the key field {key.name} is taken from the attribute {key.name} of each event, and "
            f"{event.__name__} {found}; expected {_show(key.shape)}. Otherwise two partitions could feed one row. "
            "Give the event that attribute, or leave the field out of the key and keep one row an instance."
        )


def _same_type(one: Shape, other: Shape) -> bool:
    """Whether values of two shapes are of one type; their bounds may differ."""
    if isinstance(one, Choice) and isinstance(other, Choice):
        return one.cls is other.cls and one.members == other.members
    if isinstance(one, Number) and isinstance(other, Number):
        return one.scale == other.scale
    return type(one) is type(other)


def _check_fold(fold: Callable[..., Any], row: type[Value], events: tuple[type[Value], ...], where: str) -> None:
    parameters = list(inspect.signature(fold).parameters)
    if len(parameters) != 3:
        raise NotSupported(f"{where}: fold takes {len(parameters)} parameters; expected (row or None, id, event).")
    try:
        hints = typing.get_type_hints(fold)
    except NameError as unresolved:
        raise NotSupported(
            f"{where}: fold: {unresolved}. Annotations are read when the projection is defined: "
            "define the types that it uses at the top of a module."
        ) from unresolved
    if missing := [name for name in (*parameters, "return") if name not in hints]:
        raise NotSupported(f"{where}: fold needs an annotation for {', '.join(missing)}.")
    before, instance, event = (hints[name] for name in parameters)
    if _row_of(before) != ({row}, True):
        raise NotSupported(
            f"{where}: fold's first parameter must be `{row.__name__} | None`: there is no row at first."
        )
    if instance is not str:
        raise NotSupported(f"{where}: fold's second parameter is the instance's id, so it must be `str`.")
    if _row_of(hints["return"])[0] != {row}:
        raise NotSupported(f"{where}: fold must return `{row.__name__} | None`, the row class of this projection.")
    if forgotten := set(events) - set(classes_in(event)):
        names = ", ".join(sorted(cls.__name__ for cls in forgotten))
        raise NotSupported(
            f"{where}: fold's event does not take {names}, which the source writes; take all of its events."
        )


def _row_of(annotation: object) -> tuple[set[type[Value]], bool]:
    """The value classes that an annotation names, and whether it takes None as well."""
    parts = typing.get_args(annotation) or (annotation,)
    classes = [cls for part in parts for cls in classes_in(part)]
    return set(classes), type(None) in parts


def _show(shape: Shape) -> str:
    return type(shape).__name__
