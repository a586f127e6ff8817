"""Diagrams from code: the states of a machine and what leads from one to another, as Mermaid.

A machine has far more states than anybody can look at, so states are drawn through a *view*: a function that says what
is worth telling apart. States of one view are one box, and between two boxes there is one arrow, labelled with the
commands that lead along it. The arrows are those that a search of the scope finds, so a diagram is right by making; its
first line says what it was made from, and whether anything was left out.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from eventcore.check.aggregate import AggregateMachine, Asked
from eventcore.check.machine import Fault, Machine, Outcome, Refusals
from eventcore.check.source import shown
from eventcore.errors import NotSupported
from eventcore.turn import Accepted, Refused, Violated

STATES = 10_000  # a second or two: what is looked at for one picture
BOXES_MAX = 40  # beyond that a picture is a hairball

View = Callable[[Any], Hashable]


@dataclass
class Walk:
    """What a plain search of a machine met: by kind of command, which events and refusals, and arrows between views."""

    machine: str
    states: int = 0
    cut: bool = False
    sampled: list[str] = field(default_factory=list[str])  # the fields that only some values were tried of
    names: Sequence[str] = ()  # the fields of its states
    initial: list[Hashable] = field(default_factory=list[Hashable])
    boxes: dict[Hashable, bool] = field(default_factory=dict[Hashable, bool])
    arrows: dict[tuple[Hashable, Hashable], set[str]] = field(default_factory=dict[tuple[Hashable, Hashable], set[str]])
    events: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    refusals: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    @property
    def caption(self) -> str:
        """What the walk was, in a line."""
        more = ", and more that were not looked at" if self.cut else ""
        sampled = f"; only sampled: {', '.join(self.sampled)}" if self.sampled else ""
        return f"{self.machine}: {self.states:,} states{more}{sampled}"


def walk(machine: Machine[Any, Any], view: View, *, states: int = STATES) -> Walk:
    """Look at the states of a machine, nearest first, at most so many; `boxes` say whether a view is ever left."""
    found = Walk(machine.name)
    starts = list(machine.initial())
    found.names = getattr(starts[0], "__struct_fields__", ()) if starts else ()
    if isinstance(machine, AggregateMachine):
        found.sampled = [leaf.where for leaf in machine.leaves if leaf.evidence == "sampled"]
    found.initial = list(dict.fromkeys(map(view, starts)))
    seen, queue = set(starts), starts
    for state in queue:  # which grows while it is read
        here = view(state)
        found.boxes.setdefault(here, False)
        for label, outcome in _steps(machine, state):
            asked = _kind(label)
            if isinstance(outcome, Accepted) and outcome.state not in seen:
                wrong = machine.confirm(state, label, outcome)
                outcome = outcome if wrong is None else wrong  # noqa: PLW2901 - what came of the step in the end
            match outcome:
                case Accepted(events, following):
                    found.events.setdefault(asked, set()).update(type(event).__name__ for event in events)
                    found.arrows.setdefault((here, view(following)), set()).add(asked)
                    found.boxes[here] = found.boxes[here] or following != state
                    if following not in seen:
                        if len(seen) >= states:
                            found.cut = True
                            continue
                        seen.add(following)
                        queue.append(following)
                case Refused(reason):
                    found.refusals.setdefault(asked, set()).add(reason)
                case Violated(name):
                    found.refusals.setdefault(asked, set()).add(f"{name} (invariant)")
                case Fault(kind):
                    found.refusals.setdefault(asked, set()).add(f"{kind} (fault)")
                case Refusals():
                    continue  # summed up, they stand beside no label
    found.states = len(seen)
    return found


def _steps(machine: Machine[Any, Any], state: Any) -> Iterable[tuple[Any, Outcome]]:
    """What each label leads to, each refusal beside its own label where the machine can say that."""
    if isinstance(machine, AggregateMachine):
        return [(label, machine.take(state, label)) for label in machine.commands]
    return machine.steps(state)


def state_diagram(machine: Machine[Any, Any], view: View | None = None, *, states: int = STATES) -> str:
    """A Mermaid state diagram of a machine, its states seen through `view`; without one, each state is a box.

    Boxes that nothing leaves lead to the end mark. Raises NotSupported where there would be more boxes than a picture
    can show, with how many there are.
    """
    found = walk(machine, view or shown, states=states)
    views = list(dict.fromkeys([*found.boxes, *(to for _, to in found.arrows)]))
    if len(views) > BOXES_MAX:
        raise NotSupported(
            f"{machine.name}: a diagram of {len(views):,} boxes tells nobody anything; at most {BOXES_MAX} are drawn. "
            f"Say what is worth telling apart, of {', '.join(found.names)}: --by FIELD,FIELD, or view=lambda state: state.FIELD."
        )
    order = {each: number for number, each in enumerate(views)}
    names = {each: f"s{number}" for each, number in order.items()}
    lines = ["stateDiagram-v2", f"    %% {found.caption}, drawn as {len(views)}"]
    lines += [f'    state "{text_of(each)}" as {name}' for each, name in names.items()]
    lines += [f"    [*] --> {names[each]}" for each in found.initial]
    arrows = sorted(found.arrows.items(), key=lambda arrow: (order[arrow[0][0]], order[arrow[0][1]]))
    lines += [f"    {names[one]} --> {names[other]} : {', '.join(sorted(labels))}" for (one, other), labels in arrows]
    lines += [f"    {names[each]} --> [*]" for each, left in found.boxes.items() if not left]
    return "\n".join(lines) + "\n"


def text_of(what: object) -> str:
    """A view or a value as text that Mermaid takes for a label: no quotes, no semicolons, one line."""
    text = what if isinstance(what, str) else _spoken(what)
    return " ".join(text.split()).replace('"', "'").replace(";", ",").replace("#", "")


def _spoken(what: object) -> str:
    if isinstance(what, tuple):
        return ", ".join(map(_spoken, cast("tuple[object, ...]", what)))
    if isinstance(what, enum.Enum):
        return str(what.value) if isinstance(what, str) else what.name
    return what if isinstance(what, str) else shown(what)


def _kind(label: object) -> str:
    return type(label.command if isinstance(label, Asked) else label).__name__
