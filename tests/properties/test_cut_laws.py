"""Cuts form a lattice, and their text says all that they hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventcore import Cut, Position
from eventcore.errors import DecodeError

topics = st.sampled_from(["a", "bank.account.events", "bank.account.outcomes", "b-2_x", "A", "0"])
places = st.tuples(topics, st.integers(0, 3))
offsets = st.integers(0, 4) | st.integers(0, 2**63 - 1)
cuts = st.dictionaries(places, offsets, max_size=6).map(Cut)


def points(cut: Cut, most: int = 6) -> set[tuple[tuple[str, int], int]]:
    """The oracle: a cut as the set of the positions that it holds. Only the small offsets, and there are enough."""
    return {(at, offset) for at in cut for offset in range(min(cut[at], most))}


small = st.dictionaries(places, st.integers(0, 5), max_size=6).map(Cut)


@given(small, small)
def test_join_holds_what_either_holds_and_meet_what_both_hold(a: Cut, b: Cut) -> None:
    assert points(a | b) == points(a) | points(b)
    assert points(a & b) == points(a) & points(b)


@given(small, small)
def test_the_order_is_inclusion(a: Cut, b: Cut) -> None:
    assert (a <= b) == (points(a) <= points(b))
    assert (a < b) == (points(a) < points(b))
    assert (a >= b) == (points(a) >= points(b))
    assert (a > b) == (points(a) > points(b))
    assert (a == b) == (points(a) == points(b))


@given(cuts, cuts, cuts)
def test_join_and_meet_are_a_lattice(a: Cut, b: Cut, c: Cut) -> None:
    assert a | b == b | a
    assert a & b == b & a
    assert (a | b) | c == a | (b | c)
    assert (a & b) & c == a & (b & c)
    assert a | (a & b) == a == a & (a | b)
    assert a | a == a == a & a
    assert (a & b) | (a & c) == a & (b | c)  # distributive, as every order by numbers is


@given(cuts, cuts, cuts)
def test_join_is_the_least_cut_above_both_and_meet_the_greatest_below(a: Cut, b: Cut, c: Cut) -> None:
    assert a <= (a | b)
    assert (a & b) <= a
    assert ((a | b) <= c) == (a <= c and b <= c)
    assert (c <= (a & b)) == (c <= a and c <= b)


@given(cuts)
def test_the_empty_cut_is_below_every_cut(a: Cut) -> None:
    assert Cut() <= a
    assert Cut() | a == a
    assert Cut() & a == Cut()


@given(cuts, places)
def test_a_missing_partition_stands_at_0(a: Cut, at: tuple[str, int]) -> None:
    assert a[at] == 0 or at in a
    assert Cut({**dict(a), at: 0})[at] == 0


@given(cuts, cuts)
def test_equal_cuts_have_equal_hash_and_text(a: Cut, b: Cut) -> None:
    again = Cut(dict(reversed(list(a.items()))))
    assert again == a
    assert hash(again) == hash(a)
    assert (str(a) == str(b)) == (a == b)


@given(small, places, st.integers(0, 5))
def test_a_cut_holds_the_positions_below_it(a: Cut, at: tuple[str, int], offset: int) -> None:
    position = Position(*at, offset)
    assert a.holds(position) == ((at, offset) in points(a))
    assert a.holds(position) == (position.cut() <= a)


@given(cuts, topics)
def test_a_cut_is_the_join_of_its_topics(a: Cut, topic: str) -> None:
    assert a.only(topic) <= a
    assert a.only(topic) | Cut({at: offset for at, offset in a.items() if at[0] != topic}) == a


@given(cuts)
def test_text_is_read_back(a: Cut) -> None:
    assert Cut.parse(str(a)) == a
    assert repr(a) == f"Cut.parse({str(a)!r})"


@given(cuts)
def test_text_is_safe_in_a_url_and_a_shell(a: Cut) -> None:
    assert set(str(a)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-~")


@given(topics, st.integers(0, 10**9 - 1), st.integers(0, 2**63 - 1))
def test_a_position_is_read_back(topic: str, partition: int, offset: int) -> None:
    position = Position(topic, partition, offset)
    assert Position.parse(str(position)) == position
    assert str(position) == f"{topic}[{partition}]@{offset}"


def read_or_refused(text: str) -> None:
    """Parse as both forms: whatever the text, a value or a DecodeError."""
    for parse in (Cut.parse, Position.parse):
        try:
            read = parse(text)
        except DecodeError:
            continue
        assert parse(str(read)) == read


@given(st.text())
def test_whatever_the_text_nothing_but_a_decode_error_comes_of_it(text: str) -> None:
    read_or_refused(text)
    read_or_refused("c1~~" + text)


@given(cuts, st.data())
def test_a_text_with_one_character_changed_is_read_or_refused(a: Cut, data: st.DataObject) -> None:
    text = str(a)
    at = data.draw(st.integers(0, len(text)))
    change = data.draw(
        st.sampled_from(["", "~", "~~", "-", "0", "٣", "c1", "\n", "\0", "\N{DEVANAGARI DIGIT ONE}", "x[0]@"])
    )
    read_or_refused(text[:at] + change + text[at + 1 :])
