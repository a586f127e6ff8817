"""Fields of which nothing is declared: they can be stored and searched, and never released."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventcore import Aggregate, Value
from eventcore.annotations import unknown_in
from eventcore.app import App
from eventcore.avro.codec import codec_for
from eventcore.check import check
from eventcore.cli.schemas import refuse_unknown
from eventcore.errors import DecodeError, InvalidValue, NotSupported
from eventcore.testing.strategies import values_of
from eventcore.value import Map
from projections import Projection


class Inner(Value):
    """A part of it is unknown."""

    known: int
    unknown: tuple[Any, ...]


class Note(Value):
    """Something was noted."""

    what: Any
    maybe: Any | None = None
    inner: Inner | None = None


class Noted(Value):
    """The note was taken."""

    what: Any


class Notes(Value):
    """The last note, and how many there were."""

    last: Any = None


def decide(notes: Notes, command: Note) -> list[Noted]:
    """Take it, unless it is the same."""
    return [Noted(command.what)] if command.what != notes.last else []


def evolve(notes: Notes, event: Noted) -> Notes:
    """The notes after it."""
    return Notes(event.what)


notes = Aggregate("notes", Notes, decide, evolve)
NOTE = codec_for(Note, "test")


def exact(value: object) -> object:
    """A value with the types of all its parts, which == does not tell apart."""
    if isinstance(value, tuple):
        return [exact(each) for each in cast("tuple[object, ...]", value)]
    if isinstance(value, Map):
        return {key: exact(each) for key, each in cast("Map[object]", value).items()}
    return type(value), repr(value)


@given(values_of(Note))
def test_what_is_written_is_read_with_its_types(note: Note) -> None:
    read = NOTE.decode(NOTE.encode(note))
    assert read == note
    assert exact(read.what) == exact(note.what)
    assert NOTE.encode(read) == NOTE.encode(note)
    hash(read)


@pytest.mark.parametrize(
    "value", [[1], {1: 2}, {1}, 2**63, float("nan"), "\ud800", object(), (1, [2]), Map({"a": [1]})]
)
def test_what_cannot_be_stored_or_could_change_is_refused(value: object) -> None:
    with pytest.raises(InvalidValue, match=r"Note\.what"):
        NOTE.encode(Note(value))


def test_a_value_that_is_nested_too_deep_is_refused_and_not_a_crash() -> None:
    deep: object = 1
    for _ in range(2_000):
        deep = (deep,)
    with pytest.raises(InvalidValue, match="nested more than 32 deep"):
        NOTE.encode(Note(deep))


@given(st.binary(max_size=40))
def test_whatever_the_bytes_only_decode_errors_come_out(data: bytes) -> None:
    head = NOTE.encode(Note(None))[:-5]
    try:
        NOTE.decode(head + bytes([len(data) << 1]) + data + b"\2\xc0\0")
    except DecodeError:
        return


def test_what_is_unknown_is_named() -> None:
    assert unknown_in(Note) == ["Note.what", "Note.maybe", "Inner.unknown"]
    assert unknown_in(Notes) == ["Notes.last"]


def test_what_is_unknown_cannot_be_released(tmp_path: Path) -> None:
    with pytest.raises(NotSupported, match=r"notes: Note\.what, Note\.maybe, Inner\.unknown is typed Any"):
        refuse_unknown(App("test", [notes]).wiring)


def test_what_is_unknown_is_no_column() -> None:
    def fold(row: Notes | None, _: str, event: Noted) -> Notes:
        return row or Notes(event.what)

    with pytest.raises(NotSupported, match=r"Notes\.last is Any, and a column has a type"):
        Projection("notes", notes, Notes, fold)


def test_a_check_of_what_is_unknown_never_passes() -> None:
    report = check(notes)
    assert report.verdict == "inconclusive"
    said = " ".join(reason.what for reason in report.reasons)
    assert "Notes.last is Any" in said
    assert "Note.what was sampled" in said
