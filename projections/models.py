"""A projection's table as an adapter uses it: rows to tuples of what a database keeps, and back.

The functions are generated, one expression a column, because every row passes through them; a column whose values are
kept as they are costs an attribute look-up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Generic, TypeVar, cast

import sqlalchemy as sa

from eventcore.shape import Field, Maybe, Shape
from eventcore.value import Value
from projections.nested import Convert
from projections.projection import Key, Projection
from projections.tables import check_bound, table_of

Row = TypeVar("Row", bound=Value)
Stored = tuple[Any, ...]


@dataclass(frozen=True)
class Form:
    """How a shape stands in one database: `sql` is the type it is sent as; None converts nothing."""

    sql: str
    store: Convert | None = None
    load: Convert | None = None


@dataclass(frozen=True)
class Model(Generic[Row]):
    """Names, forms and conversions of one projection's table. `names` are the row's fields, in order."""

    projection: Projection[Row, Any]
    table: sa.Table
    names: tuple[str, ...]
    keys: tuple[str, ...]
    forms: tuple[Form, ...]
    key_forms: tuple[Form, ...]
    store: Callable[[Row], Stored]
    load: Callable[[Stored], Row]
    store_key: Callable[[Key], Stored]
    stored_key_of: Callable[[Stored], Any]


def model_of(projection: Projection[Row, Any], bound: sa.Table | None, form_of: Callable[[Shape], Form]) -> Model[Row]:
    """The model of a projection on its derived table, or on one of the user's own. Raises NotSupported."""
    if bound is not None:
        check_bound(projection, bound)
    table = bound if bound is not None else table_of(projection)
    names = tuple(field.name for field in projection.fields)
    keys = tuple(field.name for field in projection.key_fields)
    forms = tuple(_form(field, form_of) for field in projection.fields)
    key_forms = tuple(form_of(field.shape) for field in projection.key_fields)
    at = [names.index(key) for key in keys]
    return Model(
        projection,
        table,
        names,
        keys,
        forms,
        key_forms,
        store=_generated("row", [f"row.{name}" for name in names], [form.store for form in forms]),
        load=_loader(projection.row, names, forms),
        store_key=_key_storer(key_forms),
        stored_key_of=itemgetter(*at),
    )


def _form(field: Field, form_of: Callable[[Shape], Form]) -> Form:
    if not isinstance(field.shape, Maybe):
        return form_of(field.shape)
    form = form_of(field.shape.of)
    return Form(form.sql, _or_none(form.store), _or_none(form.load))


def _or_none(convert: Convert | None) -> Convert | None:
    return None if convert is None else lambda x: None if x is None else convert(x)


def _generated(argument: str, parts: Sequence[str], converts: Sequence[Convert | None]) -> Callable[[Any], Stored]:
    scope = {f"c{i}": convert for i, convert in enumerate(converts) if convert is not None}
    items = [
        part if convert is None else f"c{i}({part})"
        for i, (part, convert) in enumerate(zip(parts, converts, strict=True))
    ]
    made: Any = eval(f"lambda {argument}: ({', '.join(items)},)", dict(scope))  # noqa: S307 - made of field names alone
    return cast("Callable[[Any], Stored]", made)


def _loader(cls: type[Row], names: tuple[str, ...], forms: tuple[Form, ...]) -> Callable[[Stored], Row]:
    scope: dict[str, Any] = {f"c{i}": form.load for i, form in enumerate(forms) if form.load is not None}
    items = [
        f"{name}=x[{i}]" if form.load is None else f"{name}=c{i}(x[{i}])"
        for i, (name, form) in enumerate(zip(names, forms, strict=True))
    ]
    made: Any = eval(f"lambda x: make({', '.join(items)})", {**scope, "make": cls})  # noqa: S307 - made of field names alone
    return cast("Callable[[Stored], Row]", made)


def _key_storer(forms: tuple[Form, ...]) -> Callable[[Key], Stored]:
    converts = [form.store for form in forms]
    parts = ["key"] if len(forms) == 1 else [f"key[{i}]" for i in range(len(forms))]
    return _generated("key", parts, converts)
