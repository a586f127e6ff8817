"""Fairness: what is assumed to happen in the end, when it is asked whether something else does.

Without an assumption, a machine may rest for ever in any state, and no claim about what happens *eventually* is true but
trivially. An assumption speaks of groups of commands: of each command for itself, or of those that a function puts
together. Only steps that change the state count, here as in TLA+: one that leads back to its own state is no progress.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Literal

Strength = Literal["weak", "strong"]
Grouping = Callable[[Any], Hashable]


@dataclass(frozen=True)
class Fairness:
    """One assumption; made by `weak` and `strong`. Without `classes`, it is about all commands."""

    strength: Strength
    classes: tuple[type[Any], ...] = ()
    by: Grouping | None = None

    def concerns(self, command: Any) -> bool:
        """Whether it says anything of this command."""
        return not self.classes or isinstance(command, self.classes)

    def is_about(self, cls: type[Any]) -> bool:
        """Whether it says anything of the commands of a class."""
        return not self.classes or issubclass(cls, self.classes)

    def group(self, command: Any) -> Hashable:
        """The commands that are judged together with this one are those that give an equal value."""
        group: Hashable = command if self.by is None else self.by(command)
        return group

    def __str__(self) -> str:
        what = ", ".join(cls.__name__ for cls in self.classes) or "all commands"
        return f"{self.strength} fairness of {what}{'' if self.by is None else ' in groups'}"


def weak(*classes: type[Any], by: Grouping | None = None) -> Fairness:
    """Assume that a command that is possible from some point on without a break is taken in the end.

    Each command for itself, its arguments included. With `by`, all commands that give the same value are as one:
    `weak(by=type)` is fair to each class, `weak(by=lambda command: command.process)` to each process.
    """
    return Fairness("weak", classes, by)


def strong(*classes: type[Any], by: Grouping | None = None) -> Fairness:
    """Assume that a command that is possible again and again, with breaks or without, is taken again and again."""
    return Fairness("strong", classes, by)
