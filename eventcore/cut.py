"""Positions and cuts: where a record stands, and a vector of next offsets that says how much of the log is meant.

A cut maps (topic, partition) to the next offset: its content is every committed record below. A partition that is
missing stands at 0, so cuts form a lattice: join is the maximum, meet the minimum, and `a <= b` means that b holds
everything that a holds. `tests/properties/test_cut_laws.py` states the laws.

The text form is short, versioned and safe in a URL: `c1~~bank.account.events~0-12~3-871`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from eventcore.errors import DecodeError

CUT_TEXT_MAX = 65_536  # characters; a cut over 2,000 partitions stays far below
GROUP = re.compile(r"([A-Za-z0-9._-]{1,249})((?:~[0-9]{1,9}-[0-9]{1,19})+)")
OFFSET_MAX = 2**63 - 1  # of every log that we know; a database would refuse a larger one
POSITION = re.compile(r"([A-Za-z0-9._-]{1,249})\[([0-9]{1,9})\]@([0-9]{1,19})")


class Position(NamedTuple):
    """Where one record stands; printed as `topic[partition]@offset` everywhere."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"

    @staticmethod
    def parse(text: str) -> Position:
        """Read the printed form back. Raises DecodeError for anything else."""
        if (match := POSITION.fullmatch(text)) is None:
            raise DecodeError("position", "", f"{text[:80]!r} is not of the form topic[partition]@offset")
        return Position(match[1], int(match[2]), _offset("position", match[3]))

    def cut(self) -> Cut:
        """The smallest cut that holds this record."""
        return Cut({(self.topic, self.partition): self.offset + 1})


class Cut(Mapping[tuple[str, int], int]):
    """An immutable vector of next offsets, one a (topic, partition); a partition that is missing stands at 0."""

    __slots__ = ("_offsets",)

    def __init__(self, offsets: Mapping[tuple[str, int], int] | None = None) -> None:
        self._offsets = {at: offset for at, offset in sorted((offsets or {}).items()) if offset > 0}

    def __getitem__(self, at: tuple[str, int]) -> int:
        return self._offsets.get(at, 0)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self._offsets)

    def __len__(self) -> int:
        return len(self._offsets)

    def __contains__(self, at: object) -> bool:
        return at in self._offsets

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cut) and self._offsets == other._offsets

    def __hash__(self) -> int:
        return hash(tuple(self._offsets.items()))

    def __or__(self, other: Cut) -> Cut:
        """The join: the smallest cut that holds both."""
        return Cut({at: max(self[at], other[at]) for at in self._offsets.keys() | other._offsets.keys()})

    def __and__(self, other: Cut) -> Cut:
        """The meet: the largest cut that both hold."""
        return Cut({at: min(self[at], other[at]) for at in self._offsets.keys() & other._offsets.keys()})

    def __le__(self, other: Cut) -> bool:
        return all(offset <= other[at] for at, offset in self._offsets.items())

    def __lt__(self, other: Cut) -> bool:
        return self <= other and self != other

    def __ge__(self, other: Cut) -> bool:
        return other <= self

    def __gt__(self, other: Cut) -> bool:
        return other < self

    def holds(self, position: Position) -> bool:
        """Say whether the record at `position` lies below this cut."""
        return position.offset < self[position.topic, position.partition]

    def only(self, topic: str) -> Cut:
        """The part of this cut that speaks of one topic."""
        return Cut({at: offset for at, offset in self._offsets.items() if at[0] == topic})

    def __str__(self) -> str:
        groups: dict[str, str] = {}
        for (topic, partition), offset in self._offsets.items():
            groups[topic] = groups.get(topic, "") + f"~{partition}-{offset}"
        return "~~".join(["c1", *(topic + rest for topic, rest in groups.items())])

    def __repr__(self) -> str:
        return f"Cut.parse({str(self)!r})"

    @staticmethod
    def parse(text: str) -> Cut:
        """Read the text form back. Raises DecodeError for anything else, of another version too."""
        version, *groups = text[: CUT_TEXT_MAX + 1].split("~~")
        if version != "c1" or len(text) > CUT_TEXT_MAX:
            raise DecodeError(
                "cut", "", f"{text[:80]!r} is not a cut; one begins with c1, as c1~~bank.account.events~0-12"
            )
        offsets: dict[tuple[str, int], int] = {}
        for group in groups:
            if (match := GROUP.fullmatch(group)) is None:
                raise DecodeError("cut", "", f"{group[:80]!r} is not of the form topic~partition-offset~…")
            for pair in match[2][1:].split("~"):
                at, offset = pair.split("-")
                partition, following = int(at), _offset("cut", offset)
                if offsets.setdefault((match[1], partition), following) != following:
                    raise DecodeError("cut", "", f"{match[1]}[{partition}] stands in it twice")
        return Cut(offsets)


def _offset(form: str, digits: str) -> int:
    if (offset := int(digits)) > OFFSET_MAX:
        raise DecodeError(form, "", f"the offset {digits} is more than {OFFSET_MAX}")
    return offset
