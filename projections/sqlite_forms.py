"""How each shape stands in SQLite: as SQLAlchemy's own types keep it there, so that both read one file alike."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import partial
from uuid import UUID

from eventcore.shape import (
    Anything,
    Bool,
    Bytes,
    Choice,
    Day,
    Duration,
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
from projections.models import Form
from projections.nested import choice_pair, duration_of, instant_of, instant_text, json_text, micros_of
from projections.tables import decimal_text


def sqlite_form(shape: Shape) -> Form:
    """The form of a shape in SQLite; its type names mean nothing there."""
    match shape:
        case Str() | Int() | Float() | Bytes():
            return Form("")
        case Bool():
            return Form("", None, bool)
        case Number(_, scale):
            return Form("", partial(decimal_text, scale=scale), Decimal)
        case Instant():
            return Form("", instant_text, instant_of)
        case Day():
            return Form("", date.isoformat, date.fromisoformat)
        case Duration():
            return Form("", micros_of, duration_of)
        case Ident():
            return Form("", _hex, UUID)
        case Choice(_, symbols, members):
            return Form("", *choice_pair(symbols, members))
        case Maybe() | Many() | SetOf() | MapOf() | Record() | OneOf() | Anything():
            return Form("", *json_text(shape))


def _hex(x: UUID) -> str:
    return x.hex
