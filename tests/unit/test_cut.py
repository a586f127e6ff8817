"""The text forms of cuts and positions, as they are pasted, mistyped and truncated. The laws are in properties."""

from __future__ import annotations

import pytest

from eventcore import Cut, Position
from eventcore.cut import CUT_TEXT_MAX
from eventcore.errors import DecodeError


def test_the_text_groups_partitions_by_topic_in_order() -> None:
    cut = Cut({("bank.b.events", 1): 7, ("bank.a.events", 3): 871, ("bank.a.events", 0): 12})
    assert str(cut) == "c1~~bank.a.events~0-12~3-871~~bank.b.events~1-7"


def test_the_empty_cut_has_a_text() -> None:
    assert str(Cut()) == "c1"
    assert Cut.parse("c1") == Cut()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a cut; one begins with c1"),
        ("c2~~a~0-1", "is not a cut; one begins with c1"),
        ("bank.account.events~0-1", "is not a cut"),
        ("c1~~", "is not of the form topic~partition-offset"),
        ("c1~~a", "is not of the form"),
        ("c1~~a~0", "is not of the form"),
        ("c1~~a~0-", "is not of the form"),
        ("c1~~a~0-1~", "is not of the form"),
        ("c1~~a~0--1", "is not of the form"),
        ("c1~~a~0-1\n", "is not of the form"),
        ("c1~~a b~0-1", "is not of the form"),
        ("c1~~a~0-٣", "is not of the form"),
        ("c1~~a~0-" + "9" * 20, "is not of the form"),
        ("c1~~a~0-9223372036854775808", "the offset 9223372036854775808 is more than 9223372036854775807"),
        ("c1~~a~0-1~0-2", r"a\[0\] stands in it twice"),
        ("c1~~a~0-1~~a~00-2", r"a\[0\] stands in it twice"),
        ("c1" + "~~a~0-1" * CUT_TEXT_MAX, "is not a cut"),
    ],
)
def test_a_text_that_is_no_cut_is_refused_with_what_one_looks_like(text: str, said: str) -> None:
    with pytest.raises(DecodeError, match=said) as refused:
        Cut.parse(text)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    "text", ["", "a", "a[0]", "a[0]@", "a[]@1", "a[-1]@1", "a[0]@-1", "a[0]@1 ", "a b[0]@1", "a[0]@٣", "[0]@1"]
)
def test_a_text_that_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(DecodeError, match=r"is not of the form topic\[partition\]@offset"):
        Position.parse(text)


def test_a_position_beyond_every_log_is_refused() -> None:
    with pytest.raises(DecodeError, match="position: the offset 9999999999999999999 is more than"):
        Position.parse("a[0]@9999999999999999999")


def test_a_cut_is_no_mapping_of_another_kind() -> None:
    assert Cut({("a", 0): 1}) != {("a", 0): 1}


def test_a_cut_is_not_changed_through_the_dict_it_was_made_from() -> None:
    offsets = {("a", 0): 1}
    cut = Cut(offsets)
    offsets["a", 0] = 2
    assert cut["a", 0] == 1
