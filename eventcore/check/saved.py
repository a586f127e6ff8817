"""A search that was cut, in a file, so that another goes on where it ended.

F1  The states are written as the log would write them, and never pickled: to read a file runs no code.
F2  A file is of one machine: the hash of all that a verdict rests on, the schema of the states, the commands. What is of
    another, torn or changed is refused; a digest of everything stands at the end.
F3  Only what ended between two states is written (S7 of `eventcore.check.search`), by a rename, so a file is whole.

A line that names the format, a line of JSON, the parents and the labels as 32-bit numbers, then the states in chunks: the
lengths of their bodies as 32-bit numbers, and the bodies.
"""

from __future__ import annotations

import hashlib
import os
import sys
from array import array
from collections.abc import Iterator
from io import BufferedReader, BufferedWriter
from pathlib import Path
from typing import Annotated, Any

import msgspec

from eventcore.avro.codec import Codec, codec_for
from eventcore.check.aggregate import AggregateMachine
from eventcore.check.hashing import hash_of
from eventcore.check.search import Explored, Noticed
from eventcore.check.source import Source
from eventcore.errors import DecodeError, InvalidValue
from eventcore.turn import Accepted
from eventcore.value import Value

MAGIC = b"eventcore search 1\n"
CHUNK = 10_000  # states
DIGEST = 32  # bytes
NO_LABEL = 2**32 - 1
HEADER_MAX = 2**26  # bytes: refusals are counted by reason, and a reason may be any text
NAMESPACE = "eventcore.check"

Number = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]


class Found(msgspec.Struct, frozen=True):
    """Something wrong, as `Noticed` says it; `label` is its place among the machine's, `led` whether it has an outcome."""

    kind: str
    name: str
    message: str
    likely: str
    at: Number
    label: Number
    steps: bool
    led: bool


class Header(msgspec.Struct, frozen=True):
    """All but the states and the ways to them. `fired` and `emitted` are by names of classes."""

    of: str
    states: Number
    initial: Number
    expanded: Number
    transitions: Number
    twice: Number
    coded: Number
    turned_away: Number
    turned_away_example: bytes
    levels: list[Number]
    fired: dict[str, int]
    emitted: dict[str, int]
    refusals: dict[str, int]
    witnesses: dict[str, Number]
    noticed: list[Found]
    seconds: float


def save(file: Path, machine: AggregateMachine, found: Explored, how: str = "") -> None:
    """Write what a search that was cut has found; `how` says what else its counts depend on.

    Raises InvalidValue for a state that cannot be written, and OSError where the file cannot be.
    """
    codec = _codec(machine)
    numbers = {label: number for number, label in enumerate(machine.commands)}
    header = Header(
        of=_of(machine, codec, how),
        states=len(found.states),
        initial=found.initial,
        expanded=found.expanded,
        transitions=found.transitions,
        twice=found.twice,
        coded=machine.coded,
        turned_away=found.turned_away,
        turned_away_example=codec.encode(found.turned_away_example) if found.turned_away else b"",
        levels=_levels(found),
        fired={cls.__name__: count for cls, count in found.fired.items()},
        emitted={cls.__name__: count for cls, count in found.emitted.items()},
        refusals=found.refusals,
        witnesses=found.witnesses,
        noticed=[_noted(each, numbers) for each in found.noticed],
        seconds=found.seconds,
    )
    beside = file.with_name(f"{file.name}.part")
    try:
        with beside.open("wb") as to:
            writer = _Writer(to)
            writer.write(MAGIC)
            writer.write(msgspec.json.encode(header) + b"\n")
            writer.write(found.parents.tobytes())
            writer.write(array("I", (NO_LABEL if each is None else numbers[each] for each in found.labels)).tobytes())
            for begin in range(0, len(found.states), CHUNK):
                bodies = [codec.encode(state) for state in found.states[begin : begin + CHUNK]]
                writer.write(array("I", map(len, bodies)).tobytes())
                writer.write(b"".join(bodies))
            to.write(writer.digest())
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def load(file: Path, machine: AggregateMachine, how: str = "") -> Explored:
    """What a search in a file had found, for `search` to go on with. Raises InvalidValue where it is of no use."""
    codec = _codec(machine)
    with file.open("rb") as source:
        reader = _Reader(source, file)
        if reader.line() != MAGIC:
            raise reader.wrong("is no search that eventcore kept")
        try:
            header = msgspec.json.decode(reader.line(), type=Header)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise reader.wrong(f"has no head that can be read: {error}") from error
        if header.of != _of(machine, codec, how):
            raise reader.wrong(
                f"was kept for another {machine.name}, or another search of it: the code, the claims, the scope or --symmetric "
                "have changed since"
            )
        parents, places = reader.numbers(header.states), reader.numbers(header.states)
        try:
            states = [machine.compact(codec.decode(body)) for body in reader.bodies(header.states)]
        except DecodeError as error:
            raise reader.wrong(f"holds a state that cannot be read: {error}") from error
        reader.end()
    numbers = [*parents, *header.witnesses.values(), *(each.at for each in header.noticed), header.initial - 1]
    chosen = [each for each in (*places, *(each.label for each in header.noticed)) if each != NO_LABEL]
    if max(numbers) >= len(states) or max(chosen, default=0) >= len(machine.commands) or header.expanded > len(states):
        raise reader.wrong("speaks of states or commands that there are none of")
    labels: list[Any] = [None if each == NO_LABEL else machine.commands[each] for each in places]
    found = Explored(
        states=states,
        parents=parents,
        labels=labels,
        levels=header.levels,
        initial=header.initial,
        expanded=header.expanded,
        transitions=header.transitions,
        twice=header.twice,
        turned_away=header.turned_away,
        turned_away_example=codec.decode(header.turned_away_example) if header.turned_away else None,
        fired=_counted(header.fired, list(machine.aggregate.command_checks)),
        emitted=_counted(header.emitted, list(machine.aggregate.event_checks)),
        refusals=header.refusals,
        witnesses=header.witnesses,
        seconds=header.seconds,
    )
    found.noticed = [_noticed(machine, found, each) for each in header.noticed]
    machine.coded = header.coded
    return found


def _codec(machine: AggregateMachine) -> Codec[Any]:
    state_type: type[Value] = machine.aggregate.state_type
    return codec_for(state_type, NAMESPACE)


def _of(machine: AggregateMachine, codec: Codec[Any], how: str) -> str:
    """Which search a file is of, and how its numbers are written."""
    source = Source()  # and not `repr`, in which the order of a set is another in each process
    said = [how, hash_of(machine.checked), codec.text, sys.byteorder, *map(source.of, machine.commands)]
    return hashlib.blake2b("\n".join(said).encode(), digest_size=16).hexdigest()


def _levels(found: Explored) -> list[int]:
    """The levels up to the one that was being expanded; where the next one ends is not known yet."""
    kept = found.levels[:1]
    for each in found.levels[1:]:
        if sum(kept) >= found.expanded:
            break
        kept.append(each)
    return kept


def _noted(noticed: Noticed, numbers: dict[Any, int]) -> Found:
    label = NO_LABEL if noticed.label is None else numbers[noticed.label]
    led = noticed.outcome is not None
    return Found(noticed.kind, noticed.name, noticed.message, noticed.likely, noticed.at, label, noticed.steps, led)


def _noticed(machine: AggregateMachine, found: Explored, each: Found) -> Noticed:
    label = None if each.label == NO_LABEL else machine.commands[each.label]
    outcome = machine.take(found.states[each.at], label) if each.led else None
    led = outcome if isinstance(outcome, Accepted) else None
    return Noticed(each.kind, each.name, each.message, each.likely, each.at, label, led, each.steps)


def _counted(counts: dict[str, int], classes: list[type]) -> dict[type, int]:
    return {cls: counts[cls.__name__] for cls in classes if cls.__name__ in counts}


class _Writer:
    """Writes, and knows the digest of all that it wrote."""

    def __init__(self, to: BufferedWriter) -> None:
        self._to = to
        self._digest = hashlib.blake2b(digest_size=DIGEST)

    def write(self, data: bytes) -> None:
        self._digest.update(data)
        self._to.write(data)

    def digest(self) -> bytes:
        return self._digest.digest()


class _Reader:
    """Reads what a `_Writer` wrote, and refuses what ends too early or has another digest."""

    def __init__(self, source: BufferedReader, file: Path) -> None:
        self._source = source
        self._file = file
        self._left = os.fstat(source.fileno()).st_size
        self._digest = hashlib.blake2b(digest_size=DIGEST)

    def wrong(self, what: str) -> InvalidValue:
        return InvalidValue(str(self._file), f"{what}. Remove it to begin anew")

    def line(self) -> bytes:
        line = self._source.readline(HEADER_MAX)
        self._left -= len(line)
        self._digest.update(line)
        return line

    def _read(self, count: int) -> bytes:
        if count > self._left:  # asked first: nothing is made room for that is not there
            raise self.wrong("ends too early")
        data = self._source.read(count)
        self._left -= count
        self._digest.update(data)
        return data

    def numbers(self, count: int) -> array[int]:
        """So many 32-bit numbers."""
        found = array("I")
        found.frombytes(self._read(count * found.itemsize))
        return found

    def bodies(self, count: int) -> Iterator[bytes]:
        """So many states."""
        for begin in range(0, count, CHUNK):
            for length in self.numbers(min(CHUNK, count - begin)):
                yield self._read(length)

    def end(self) -> None:
        if self._source.read() != self._digest.digest():
            raise self.wrong("was changed or torn since it was kept")
