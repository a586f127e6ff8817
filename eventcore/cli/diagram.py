"""`diagram`: pictures and tables of an aggregate or a saga, made from its code."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from eventcore.check import Checked, check
from eventcore.check.abstraction import Abstraction, derived
from eventcore.check.aggregate import AggregateMachine
from eventcore.check.diagram import STATES, View, state_diagram, walk
from eventcore.check.diagram_sequence import sequence_of_saga, sequence_of_trace
from eventcore.check.diagram_tables import command_table, event_table
from eventcore.check.scope import Bounds
from eventcore.cli.call import Call, call_of
from eventcore.cli.faults import ANSWER_IS_NO, DONE
from eventcore.cli.target import target_named
from eventcore.cli.values import value_of
from eventcore.errors import WrongUse
from eventcore.value import Value
from sagas import Saga


def diagram(
    context: typer.Context,
    target: Annotated[
        str, typer.Argument(help="An aggregate or saga of the app, or MODULE:NAME of an Aggregate or Checked.")
    ],
    data: Annotated[str | None, typer.Argument(metavar="JSON", help="What the saga is about, its data.")] = None,
    *,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD[,FIELD]",
            help="What to tell states apart by, as the matrix of `check` does. Without it, each is a box.",
        ),
    ] = None,
    tables: Annotated[bool, typer.Option("--tables", help="Tables of its commands and events, in Markdown.")] = False,
    trace: Annotated[bool, typer.Option("--trace", help="The shortest way into trouble, as a sequence.")] = False,
    states: Annotated[int, typer.Option(min=1, metavar="N", help="Look at so many states.")] = STATES,
) -> int:
    """Draw the states of an aggregate and what leads from one to another, as a Mermaid diagram.

    The aggregate is searched in its scope, as `check` does; what was not looked at is said in the diagram. Of a saga,
    the sequence of its steps is drawn, with the ways on which it turns back.

    Ends with 1 where --trace finds nothing wrong to draw.
    """
    call = call_of(context)
    saga = _saga(call, target)
    if saga is not None:
        if data is None:
            cls = saga.start.data
            raise WrongUse(f"say what the saga {saga.name} is about: the fields of {cls.__name__}, as a JSON object")
        return _told(call, sequence_of_saga(saga, value_of(saga.start.data, data)))
    found = target_named(call, target)
    checked = found if isinstance(found, Checked) else Checked(found)
    machine = AggregateMachine(checked)
    if trace:
        traced = [finding.trace for finding in check(checked, bounds=Bounds(states)).findings if finding.trace]
        if not traced:
            call.output.note(f"{machine.name}: nothing wrong was found, so there is no way into trouble to draw.")
            return ANSWER_IS_NO
        return _told(call, sequence_of_trace(traced[0], machine.name))
    view = _view(checked, by)
    if tables:
        walked = walk(machine, view or (lambda _: ""), states=states)
        parts = command_table(machine.aggregate, walked), event_table(machine.aggregate, walked)
        return _told(call, "\n".join(parts))
    return _told(call, state_diagram(machine, view, states=states))


def _told(call: Call, text: str) -> int:
    call.output.document({"diagram": text}, [text.rstrip("\n")])
    return DONE


def _saga(call: Call, target: str) -> Saga[Any] | None:
    sagas = [] if ":" in target else [saga for saga in call.app.sagas if saga.name == target]
    return sagas[0] if sagas else None


def _view(checked: Checked[Any, Any, Any], by: str | None) -> View | None:
    """What states are told apart by: what the types of the named fields suggest; by everything without them."""
    if by is None:
        return None
    cls: type[Value] = checked.aggregate.state_type
    parts = Abstraction(derived(cls, *by.split(","))).parts

    def view(state: Any) -> str:
        labels = [part.label(state) for part in parts]
        if len(parts) == 1:
            return labels[0]
        return ", ".join(f"{part.name}: {label}" for part, label in zip(parts, labels, strict=True))

    return view
