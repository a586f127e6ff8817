"""Values and maps: immutable, equal by content."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventcore import Map, Value


class Point(Value):
    """A value."""

    x: int
    y: int = 0


class Line(Value):
    """A value of values."""

    name: str
    start: Point
    by_name: Map[int] = Map()


def test_a_field_cannot_be_assigned() -> None:
    point: Any = Point(1)
    with pytest.raises(AttributeError):
        point.x = 2


def test_equal_fields_make_equal_values_of_equal_hash() -> None:
    assert Line("a", Point(1), Map({"x": 1})) == Line("a", Point(1), Map({"x": 1}))
    assert len({Line("a", Point(1)), Line("a", Point(1))}) == 1
    assert Point(1) != Point(2)


def test_values_match_by_position() -> None:
    match Line("a", Point(3, 4)):
        case Line(name, Point(x, y)):
            assert (name, x, y) == ("a", 3, 4)


def test_a_value_cannot_be_created_with_a_field_that_it_has_not() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `z`"):
        msgspec.json.decode(b'{"$type": "Point", "x": 1, "z": 2}', type=Point)


def test_json_carries_the_class() -> None:
    assert msgspec.json.encode(Point(1)) == b'{"$type":"Point","x":1,"y":0}'


keys = st.text(max_size=3)
dicts = st.dictionaries(keys, st.integers(), max_size=6)


@given(dicts)
def test_a_map_holds_what_it_was_made_from(items: dict[str, int]) -> None:
    made = Map(items)
    assert dict(made) == items
    assert len(made) == len(items)
    assert all(made[key] == item for key, item in items.items())


@given(dicts, st.randoms())
def test_equal_maps_are_equal_in_everything_whatever_order_they_were_made_in(
    items: dict[str, int], chance: Any
) -> None:
    shuffled = list(items.items())
    chance.shuffle(shuffled)
    one, other = Map(items), Map(dict(shuffled))
    assert one == other
    assert hash(one) == hash(other)
    assert list(one) == list(other) == sorted(items)
    assert repr(one) == repr(other)


@given(dicts, keys, st.integers())
def test_with_item_and_without_leave_the_map_as_it_was(items: dict[str, int], key: str, item: int) -> None:
    made = Map(items)
    assert dict(made.with_item(key, item)) == {**items, key: item}
    assert dict(made.without(key)) == {k: v for k, v in items.items() if k != key}
    assert made == Map(items)


def test_a_map_is_not_changed_through_the_dict_it_was_made_from() -> None:
    items = {"a": 1}
    made = Map(items)
    items["a"] = 2
    assert made["a"] == 1


def test_a_map_without_a_missing_key_is_the_same_map() -> None:
    made = Map({"a": 1})
    assert made.without("b") is made


def test_a_map_is_no_dict() -> None:
    assert Map({"a": 1}) != {"a": 1}
    with pytest.raises(TypeError):
        Map({"a": 1})["b"] = 2  # type: ignore[index]  # pyright: ignore[reportIndexIssue]  # the mistake under test
