"""`saga list` and `saga show`: which sagas there are and where they stand, and the ledger of one."""

from __future__ import annotations

from typing import Annotated, Any, get_args

import typer

from eventcore.app.audit import states_at
from eventcore.app.wiring import Machine, Wiring
from eventcore.cli.call import Call, call_of
from eventcore.cli.faults import ANSWER_IS_NO, DONE
from eventcore.cli.history import Happened, history
from eventcore.cli.output import Grid
from eventcore.cli.values import data_of, json_of, shown, time_text
from eventcore.cut import Cut
from eventcore.errors import DataError, InvalidValue, UnknownName
from eventcore.lane.restore import Progress as Report
from eventcore.log.port import Log
from sagas import Progress, StepRequested, UndoRequested
from sagas.progress import Status

STATUSES: tuple[Status, ...] = get_args(Status)

verbs = typer.Typer(help="Sagas: which there are, and the ledger of one.", no_args_is_help=True)
SagaName = Annotated[str, typer.Argument(metavar="SAGA", help="The saga's name, as transfer.")]


@verbs.command("list")
def list_(
    context: typer.Context,
    name: SagaName,
    status: Annotated[
        str | None, typer.Option(help="Only these: running, compensating, stuck, completed or compensated.")
    ] = None,
) -> None:
    """List the sagas of one name, each with its status and its steps."""
    call = call_of(context)
    machine = saga_of(call.wiring, name)
    if status is not None and status not in STATUSES:
        raise InvalidValue("--status", f"{status!r} is none of {', '.join(STATUSES)}")
    with call.opened_log() as log, call.reporting() as report:
        states = _states(log, machine, report)
    found = {id_: progress for id_, progress in sorted(states.items()) if status in (None, progress.status)}
    data = {"saga": name, "sagas": [{"id": id_, **data_of(progress)} for id_, progress in found.items()]}
    rows = [(id_, progress.status, _steps(progress)) for id_, progress in found.items()]
    call.output.document(data, [Grid(("id", "status", "steps"), rows)])


@verbs.command("show")
def show(
    context: typer.Context,
    name: SagaName,
    instance: Annotated[str, typer.Argument(metavar="ID", help="The id of the saga.")],
) -> int:
    """Print the ledger of one saga: what it asked for, and what came of it.

    Ends with 0, or with 1 where there is no such saga.
    """
    call = call_of(context)
    machine = saga_of(call.wiring, name)
    last: Progress[Any] | None = None
    with call.opened_log() as log, call.reporting() as report:
        for happened in history(log, machine, instance, None, report):
            if not happened.foreign:
                last = happened.after
            _print(call, happened)
    if last is None:
        call.output.note(f"no {name} was started under the id {instance}")
        return ANSWER_IS_NO
    call.output.note(f"{name} {instance} is {progress_line(last)}")
    return DONE


def saga_of(wiring: Wiring, name: str) -> Machine:
    """The machine of a saga. Raises UnknownName, which lists the sagas."""
    sagas = {machine.name: machine for machine in wiring.machines.values() if machine.saga is not None}
    if name not in sagas:
        raise UnknownName("saga", name, list(sagas))
    return sagas[name]


def progress_line(progress: Progress[Any]) -> str:
    """Where a saga stands, in words: `compensated: hold undone, credit refused (violated: never_above_ceiling)`."""
    return f"{progress.status}: {_steps(progress)}"


def _steps(progress: Progress[Any]) -> str:
    return ", ".join(
        f"{step.name} {step.status.replace('_', ' ')}" + (f" ({step.verdict}: {step.reason})" if step.verdict else "")
        for step in progress.steps
    )


def _states(log: Log, machine: Machine, report: Report) -> dict[str, Progress[Any]]:
    topic = machine.topics.events
    ends = Cut({(topic, p): log.stable_end(topic, p) for p in range(log.partitions(topic))})
    return states_at(log, machine, ends, report)


def _print(call: Call, happened: Happened) -> None:
    time = time_text(happened.time_ms)
    if happened.foreign:
        call.output.entry(
            {"position": str(happened.at), "time": time, "foreign": happened.foreign},
            f"{happened.at}  {time}  foreign, changes nothing: {happened.foreign}",
        )
        return
    entry, order = happened.event, _order(call, happened.event)
    data: dict[str, object] = {"position": str(happened.at), "time": time, "type": type(entry).__name__}
    data["data"] = data_of(entry) if order is None else {**data_of(entry), "command": order}
    text = shown(entry)
    if isinstance(entry, StepRequested | UndoRequested):
        said = "(not readable)" if order is None else json_of(order)
        text = f"{type(entry).__name__} {entry.step}: {entry.to} {entry.id} {entry.type} {said}"
    call.output.entry(data, f"{happened.at}  {time}  {text}")


def _order(call: Call, entry: object) -> object:
    """The fields of the command that an entry of the ledger asks for; None where it asks for none, or nobody can say."""
    if not isinstance(entry, StepRequested | UndoRequested) or entry.to not in call.wiring.machines:
        return None
    try:
        return data_of(call.wiring.machines[entry.to].commands.decode(entry.command))
    except DataError:
        return None
