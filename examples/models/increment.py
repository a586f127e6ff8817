"""Threads that increment one counter by reading it and writing it back: the race that everybody has lost once.

`counter_of` has the race, and a search finds it in four steps. `locked_counter_of` holds a lock around each increment.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from eventcore import Aggregate, Value, require
from eventcore.check import Checked, Scope, Symmetry, always
from examples.models.tuples import put

ThreadNumber = Annotated[int, Meta(ge=0)]


class Line(StrEnum):
    """The line of its program that a thread stands at; without a lock, it begins at `read`."""

    ASK = "ask"
    READ = "read"
    WRITE = "write"
    WRITTEN = "written"
    ENDED = "ended"


HAVE_WRITTEN = frozenset({Line.WRITTEN, Line.ENDED})

# --- events ----------------------------------------------------------------------------------------------------------


class Locked(Value):
    """A thread took the lock."""

    thread: ThreadNumber


class CounterRead(Value):
    """A thread read the counter."""

    thread: ThreadNumber


class CounterWritten(Value):
    """A thread wrote the counter: one more than it had read."""

    thread: ThreadNumber


class Unlocked(Value):
    """A thread gave the lock back."""

    thread: ThreadNumber


PlainEvent = CounterRead | CounterWritten
Event = PlainEvent | Locked | Unlocked

# --- fold ------------------------------------------------------------------------------------------------------------


class Thread(Value):
    """The line that a thread stands at, and the number that it has read."""

    line: Line
    seen: int = 0


class Counter(Value):
    """The counter, its threads, and whether one of them holds the lock."""

    threads: tuple[Thread, ...]
    count: int = 0
    locked: bool = False


def evolve(counter: Counter, event: Event) -> Counter:
    """The counter after `event`."""
    number, threads = event.thread, counter.threads
    thread = threads[number]
    match event:
        case Locked():
            return replace(counter, threads=put(threads, number, replace(thread, line=Line.READ)), locked=True)
        case CounterRead():
            return replace(counter, threads=put(threads, number, Thread(Line.WRITE, counter.count)))
        case CounterWritten():
            following = put(threads, number, replace(thread, line=Line.WRITTEN))
            return replace(counter, threads=following, count=thread.seen + 1)
        case Unlocked():
            return replace(counter, threads=put(threads, number, replace(thread, line=Line.ENDED)), locked=False)


def evolve_plain(counter: Counter, event: PlainEvent) -> Counter:
    """The counter that has no lock after `event`."""
    return evolve(counter, event)


# --- decisions -------------------------------------------------------------------------------------------------------


class Lock(Value):
    """Have a thread take the lock."""

    thread: ThreadNumber


class Read(Value):
    """Have a thread read the counter."""

    thread: ThreadNumber


class Write(Value):
    """Have a thread write the counter back, increased."""

    thread: ThreadNumber


class Unlock(Value):
    """Have a thread give the lock back."""

    thread: ThreadNumber


PlainCommand = Read | Write
Command = PlainCommand | Lock | Unlock


def decide(counter: Counter, command: Command) -> list[Event]:
    """What follows from `command`; refused with `no_such_thread`, `wrong_line` or `lock_is_taken`."""
    match command:
        case Read() | Write():
            return [*decide_plain(counter, command)]
        case Lock(thread):
            _stands_at(counter, thread, Line.ASK)
            require(not counter.locked, "lock_is_taken")
            return [Locked(thread)]
        case Unlock(thread):
            _stands_at(counter, thread, Line.WRITTEN)
            return [Unlocked(thread)]


def decide_plain(counter: Counter, command: PlainCommand) -> list[PlainEvent]:
    """What follows from `command` where there is no lock; refused with `no_such_thread` or `wrong_line`."""
    match command:
        case Read(thread):
            _stands_at(counter, thread, Line.READ)
            return [CounterRead(thread)]
        case Write(thread):
            _stands_at(counter, thread, Line.WRITE)
            return [CounterWritten(thread)]


def _stands_at(counter: Counter, number: int, line: Line) -> None:
    require(number < len(counter.threads), "no_such_thread")
    require(counter.threads[number].line is line, "wrong_line")


# --- the definitions -------------------------------------------------------------------------------------------------


def counts_the_writers(counter: Counter) -> bool:
    """The counter says how many threads have written."""
    return sum(thread.line in HAVE_WRITTEN for thread in counter.threads) == counter.count


def counter_of(threads: int) -> Aggregate[Counter, PlainCommand, PlainEvent]:
    """The counter of so many threads, without a lock."""

    def initial() -> Counter:
        return Counter((Thread(Line.READ),) * threads)

    return Aggregate("increment", initial, decide_plain, evolve_plain)


def locked_counter_of(threads: int) -> Aggregate[Counter, Command, Event]:
    """The counter of so many threads, with a lock."""

    def initial() -> Counter:
        return Counter((Thread(Line.ASK),) * threads)

    return Aggregate("locked_increment", initial, decide, evolve, invariants=[counts_the_writers])


def all_have_written(counter: Counter) -> bool:
    """No thread has anything left to do."""
    return all(thread.line in HAVE_WRITTEN for thread in counter.threads) and not counter.locked


def _alike(threads: int) -> Symmetry:
    return Symmetry(range(threads), named=["thread"], indexed=["threads"])


def checked(threads: int) -> Checked[Counter, PlainCommand, PlainEvent]:
    """What is claimed of so many threads without a lock, wrongly."""
    scope = Scope(domains={"thread": range(threads)})
    claims = [always(counts_the_writers)]
    return Checked(counter_of(threads), scope, claims, finished=all_have_written, symmetry=_alike(threads))


def checked_with_lock(threads: int) -> Checked[Counter, Command, Event]:
    """What is claimed of so many threads with a lock."""
    scope = Scope(domains={"thread": range(threads)})
    return Checked(locked_counter_of(threads), scope, finished=all_have_written, symmetry=_alike(threads))


two, three = checked(2), checked(3)
locked_two = checked_with_lock(2)
