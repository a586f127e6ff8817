"""Sequence diagrams from code, as Mermaid: a trace that a search found, and a saga with the ways on which it turns back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from eventcore.aggregate import Message
from eventcore.check.diagram import text_of
from eventcore.check.source import shown
from eventcore.check.trace import Trace
from eventcore.value import Value

Data = TypeVar("Data", bound=Value)
Data_contra = TypeVar("Data_contra", bound=Value, contravariant=True)


class StepLike(Protocol[Data_contra]):
    """A step of a saga, as `sagas.Step` is one."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def kind(self) -> str:
        """`compensatable`, `pivot` or `retriable`."""
        ...

    @property
    def do(self) -> Callable[[Data_contra], Message[Any]]:
        """What it asks for."""
        ...

    @property
    def undo(self) -> Callable[[Data_contra], Message[Any]] | None:
        """What takes it back."""
        ...


class SagaLike(Protocol[Data_contra]):
    """A saga, as `sagas.Saga` is one: this package stands below that one."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def steps(self) -> Sequence[StepLike[Data_contra]]:
        """Its steps, in order."""
        ...


def sequence_of_trace(trace: Trace, name: str) -> str:
    """A sequence diagram of a trace: each command to the machine `name`, what it answers, and what changed in it."""
    lines = ["sequenceDiagram", "    participant client", f"    participant {name}"]
    lines.append(f"    Note over {name}: {text_of(trace.initial)}")
    for step in trace.steps:
        lines.append(f"    client->>{name}: {text_of(step.command)}")
        answer = ", ".join(map(shown, step.events)) if step.events else "nothing happens"
        lines.append(f"    {name}-->>client: {text_of(step.outcome or answer)}")
        if step.changes:
            changes = ", ".join(f"{change.path or 'state'} = {shown(change.after)}" for change in step.changes)
            lines.append(f"    Note over {name}: {text_of(changes)}")
    return "\n".join(lines) + "\n"


def sequence_of_saga(saga: SagaLike[Data], data: Data) -> str:
    """A sequence diagram of a saga about `data`: what it asks for, in order, and what it undoes where it is refused.

    Where a step is refused, that way ends: the steps before it are undone, last first.
    """
    messages = [step.do(data) for step in saga.steps]
    places = list(dict.fromkeys((message.to, message.id) for message in messages))
    names = {place: f"p{number}" for number, place in enumerate(places)}
    lines = ["sequenceDiagram", f"    participant saga as {saga.name}"]
    lines += [f"    participant {name} as {text_of(f'{to} {id_}')}" for (to, id_), name in names.items()]
    lines += _forward(list(saga.steps), messages, names, data)
    return "\n".join(lines) + "\n"


def _forward(
    steps: Sequence[StepLike[Data]], messages: Sequence[Message[Any]], names: dict[tuple[str, str], str], data: Data
) -> Iterator[str]:
    for number, (step, message) in enumerate(zip(steps, messages, strict=True)):
        target = names[message.to, message.id]
        yield f"    saga->>{target}: {step.name}: {text_of(message.command)}"
        if step.kind != "retriable":
            yield f"    break {step.name} is refused"
            yield f"        {target}-->>saga: refused"
            yield from _back(steps[:number], names, data)
            yield "        Note over saga: compensated"
            yield "    end"
        yield f"    {target}-->>saga: accepted"
    yield "    Note over saga: completed"


def _back(done: Sequence[StepLike[Data]], names: dict[tuple[str, str], str], data: Data) -> Iterator[str]:
    for step in reversed(done):
        if step.undo is not None:
            message = step.undo(data)
            target = names[message.to, message.id]
            yield f"        saga->>{target}: undo {step.name}: {text_of(message.command)}"
            yield f"        {target}-->>saga: accepted"
