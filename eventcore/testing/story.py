"""How a scenario that fails is told: line by line what was given, what came, what was expected and what followed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, cast

from eventcore.avro.catalogue import Catalogue
from eventcore.testing.differences import differences
from eventcore.validate import validate
from eventcore.value import Value

NAMESPACE = "scenario"
DIFFERENCES_MAX = 12  # more than that is no longer read

Line = tuple[str, object]
"""A word that says what stands beside it, and that: a value, several of them, or a sentence."""


def tell(subject: str, lines: Sequence[Line]) -> str:
    """The story as text: a line a value, under the word that it belongs to."""
    told = [subject]
    for word, what in lines:
        for number, item in enumerate(_items(what) or ["nothing"]):
            told.append(f"  {word if number == 0 else '':<9}{item}")
    return "\n".join(told)


def _items(what: object) -> list[str]:
    if isinstance(what, (list, tuple)):
        return [repr(item) for item in cast("Sequence[object]", what)]
    return [what if isinstance(what, str) else repr(what)]


def fail(subject: str, lines: Sequence[Line], expected: object, got: object) -> NoReturn:
    """Raise an AssertionError that tells the story, and where `got` differs from what was expected."""
    __tracebackhide__ = True
    told: list[Line] = [*lines, ("expected", expected), ("got", got)]
    if type(expected) is type(got) and not isinstance(got, str):
        told += [("differs", str(difference)) for difference in list(differences(expected, got))[:DIFFERENCES_MAX]]
    raise AssertionError(tell(subject, told))


def stored(catalogue: Catalogue, value: Value, where: str) -> Value:
    """The value as it comes back from storage. Raises InvalidValue where it is out of bounds.

    Raises AssertionError where it comes back as another.
    """
    __tracebackhide__ = True
    validate(value)
    back = catalogue.decode(catalogue.encode(value))
    if back != value:
        fail(f"{where}: a value does not survive its codec", [], value, back)
    return back
