"""How each shape stands in Postgres, and as which type it is sent.

Postgres' text cannot hold the character NUL, and an event may: an id with one must not stop a projection for ever. So a
NUL is kept as U+FDD0 (a code point that Unicode sets aside for internal use) and `0`, U+FDD0 itself as U+FDD0 and `1`;
both come back as they were. JSON is sent as text and kept as `json`, which, unlike `jsonb`, keeps an escaped NUL.
"""

from __future__ import annotations

from datetime import UTC, datetime

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
from projections.nested import choice_pair, duration_of, json_text, micros_of

MARK = "\ufdd0"


def postgres_form(shape: Shape) -> Form:
    """The form of a shape in Postgres."""
    match shape:
        case Str():
            return Form("text", escaped, unescaped)
        case Bool():
            return Form("bool")
        case Int():
            return Form("int8")
        case Float():
            return Form("float8")
        case Number():
            return Form("numeric")
        case Instant():
            return Form("timestamptz", None, _in_utc)
        case Day():
            return Form("date")
        case Duration():
            return Form("int8", micros_of, duration_of)
        case Ident():
            return Form("uuid")
        case Choice(_, symbols, members):
            return Form("text", *choice_pair(symbols, members))
        case Bytes():
            return Form("bytea")
        case Maybe() | Many() | SetOf() | MapOf() | Record() | OneOf() | Anything():
            return Form("json", *json_text(shape))


def escaped(text: str) -> str:
    """The text without NUL; the same text in all but the rarest cases."""
    if "\0" in text or MARK in text:
        return text.replace(MARK, MARK + "1").replace("\0", MARK + "0")
    return text


def unescaped(text: str) -> str:
    """The text that `escaped` was given."""
    return text.replace(MARK + "0", "\0").replace(MARK + "1", MARK) if MARK in text else text


def _in_utc(x: datetime) -> datetime:
    return x.astimezone(UTC)
