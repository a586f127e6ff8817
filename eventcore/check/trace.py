"""A trace: the shortest way to a state, each step with what was asked, its events, and what differs after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from msgspec import Struct

from eventcore.context import Context


@dataclass(frozen=True)
class Change:
    """What one step changed in one place: `path` within the state, as `balance` or `phases[1]`."""

    path: str
    before: object
    after: object


@dataclass(frozen=True)
class TraceStep:
    """One step. `after` is None where the step did not come about; then `outcome` says what it met with."""

    command: Any
    context: Context | None
    events: Sequence[Any]
    before: Any
    after: Any
    outcome: str = ""

    @property
    def changes(self) -> list[Change]:
        """What the step changed, field by field."""
        return [] if self.after is None else list(differences(self.before, self.after))


@dataclass(frozen=True)
class Trace:
    """An initial state and the steps from it. A trace of n states has n - 1 steps.

    A trace without end, a lasso, has `back`: its last state is the one at this place again (0 is the initial one), and from
    there all repeats. Where that is the last place itself, nothing more happens, for ever.
    """

    initial: Any
    steps: Sequence[TraceStep]
    back: int | None = None

    @property
    def states(self) -> int:
        """How many states it runs through, the initial one included."""
        return 1 + sum(step.after is not None for step in self.steps)

    @property
    def last(self) -> Any:
        """The state at its end."""
        return next((step.after for step in reversed(self.steps) if step.after is not None), self.initial)


def differences(before: object, after: object, path: str = "") -> Iterator[Change]:
    """Where two values differ, as deep as they are of one kind."""
    if before == after:
        return
    one: Any = before
    if isinstance(before, Struct) and type(one) is type(after):
        for name in before.__struct_fields__:
            inner = f"{path}.{name}" if path else name
            yield from differences(getattr(before, name), getattr(after, name), inner)
    elif isinstance(before, tuple) and isinstance(after, tuple):
        ours, theirs = cast("tuple[object, ...]", before), cast("tuple[object, ...]", after)
        if len(ours) != len(theirs):
            yield Change(path, ours, theirs)
            return
        for number, (ours_item, theirs_item) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(ours_item, theirs_item, f"{path}[{number}]")
    else:
        yield Change(path, one, after)
