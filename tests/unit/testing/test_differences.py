"""What differs between two values is named by the smallest part that does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventcore import Map, Value
from eventcore.testing.differences import differences


class Inner(Value):
    """A nested value."""

    numbers: tuple[int, ...] = ()
    names: frozenset[str] = frozenset()


class Outer(Value):
    """A value of every kind of field that is looked into."""

    inner: Inner = Inner()
    items: Map[Inner] = Map()
    either: Inner | None = None


INNERS = st.builds(Inner, st.lists(st.integers(0, 2), max_size=2).map(tuple), st.frozensets(st.sampled_from("ab")))
OUTERS = st.builds(Outer, INNERS, st.dictionaries(st.sampled_from("xy"), INNERS).map(Map), st.none() | INNERS)


def test_differences_name_the_path_of_each() -> None:
    one = Outer(Inner((1, 2), frozenset("a")), Map({"x": Inner()}))
    other = Outer(Inner((1, 3, 4), frozenset("b")), Map({"x": Inner((5,)), "y": Inner()}), Inner())
    assert [str(each) for each in differences(one, other)] == [
        "inner.numbers[1]: expected 2, got 3",
        "inner.numbers[2]: expected nothing, got 4",
        "inner.names: expected 'a', got nothing",
        "inner.names: expected nothing, got 'b'",
        "items['x'].numbers[0]: expected nothing, got 5",
        "items['y']: expected nothing, got Inner(numbers=(), names=frozenset())",
        "either: expected None, got Inner(numbers=(), names=frozenset())",
    ]


@given(OUTERS, OUTERS)
def test_there_are_differences_exactly_where_values_are_unequal(one: Outer, other: Outer) -> None:
    assert (list(differences(one, other)) == []) == (one == other)
