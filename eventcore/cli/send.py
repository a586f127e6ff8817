"""`send`: one command, decided by the worker that runs, or here where none does."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from eventcore.aggregate import Message
from eventcore.app import Client, Outcome
from eventcore.app.client import OUTCOME_S
from eventcore.app.wiring import Machine
from eventcore.cli.call import Call, call_of
from eventcore.cli.faults import ANSWER_IS_NO, DONE
from eventcore.cli.sagas import progress_line
from eventcore.cli.values import data_of, value_of
from eventcore.cut import Cut
from eventcore.errors import UnknownName, WrongUse
from sagas import Progress


def send(
    context: typer.Context,
    to: Annotated[str, typer.Argument(metavar="TO", help="The aggregate or saga.")],
    instance: Annotated[str, typer.Argument(metavar="ID", help="The id of the instance.")],
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="The command's class, as Deposit.")],
    fields: Annotated[str, typer.Argument(metavar="JSON", help="Its fields, as a JSON object.")] = "{}",
    id_: Annotated[
        str | None,
        typer.Option("--id", help="The command's id: a UUID, or any text. Sent again with it, it is decided once."),
    ] = None,
    expect_version: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Decide only if the instance is at this version.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Seconds to wait for a worker's outcome.")
    ] = OUTCOME_S,
) -> int:
    """Send one command and print its outcome and its cut.

    Where the log is a file and no worker runs, the command is decided here, and what follows from it (steps of sagas,
    rows of read models) is done before this ends. Otherwise the worker decides, and this waits for the outcome.

    Ends with 0 where the command was accepted, with 1 for any other outcome: refused, violated, conflict, parked, expired.
    """
    call = call_of(context)
    machine = call.wiring.machine(to)
    message = message_of(machine, instance, type_, fields)
    outcome, cut, progress = deliver(
        call, machine, message, id_=id_, expected_version=expect_version, timeout_s=timeout
    )
    return answer(call, message, outcome, cut, progress)


def deliver(
    call: Call,
    machine: Machine,
    message: Message[Any],
    *,
    id_: str | None = None,
    expected_version: int | None = None,
    timeout_s: float = OUTCOME_S,
) -> tuple[Outcome, Cut, Progress[Any] | None]:
    """Have a message decided, by the worker that runs or here; its outcome, a cut that holds what followed, its saga."""
    if call.embedded:
        with call.opened_app(new=True) as app:
            if app is not None:
                outcome = app.send(message, id=id_, expected_version=expected_version)
                app.run_until_idle()
                if machine.saga is None:
                    return outcome, outcome.cut, None
                return outcome, outcome.cut | app.cut(), app.saga(machine.saga, message.id)
    log = call.open_log()
    try:
        client = Client(call.app, log)
        try:
            outcome = client.send(message, id=id_, expected_version=expected_version, timeout_s=timeout_s)
        except UnknownName as missing:
            raise WrongUse(f"{missing}. A worker makes the app's topics when it starts: `eventcore run`") from missing
        finally:
            client.close()
    finally:
        log.close()
    return outcome, outcome.cut, None


def message_of(machine: Machine, instance: str, type_: str, fields: str) -> Message[Any]:
    """The message that the arguments say. Raises CallerError, naming what is wrong with them."""
    if machine.saga is not None:
        start = machine.saga.start.command
        if type_ != start.__name__:
            raise UnknownName(f"command of {machine.name}", type_, [start.__name__])
        return machine.saga.to(instance, value_of(start, fields))
    return machine.aggregate.to(instance, value_of(machine.aggregate.command_named(type_), fields))


def answer(call: Call, message: Message[Any], outcome: Outcome, cut: Cut, progress: Progress[Any] | None) -> int:
    """Print an outcome; the exit code."""
    data: dict[str, object] = {
        "kind": outcome.kind,
        "reason": outcome.reason,
        "message": outcome.message,
        "repeated": outcome.repeated,
        "to": message.to,
        "id": message.id,
        "version": outcome.version,
        "command_id": str(outcome.command_id),
        "cut": str(cut),
    }
    lines = [f"{outcome}", f"{message.to} {message.id} is at version {outcome.version}"]
    if progress is not None:
        data["saga"] = data_of(progress)
        lines[1] = f"{message.to} {message.id} is {progress_line(progress)}"
    call.output.document(data, [*lines, f"cut {cut}"])
    return DONE if outcome.accepted else ANSWER_IS_NO
