"""`quarantine list|show|release|discard`: the instances that are stopped, what waits behind them, and what becomes of it."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import typer

from eventcore.aggregate import Message
from eventcore.app.client import OUTCOME_S
from eventcore.app.wiring import Machine
from eventcore.avro.control import Control, Discard, Release
from eventcore.cli.call import Call, call_of
from eventcore.cli.faults import ANSWER_IS_NO, DONE
from eventcore.cli.output import Grid
from eventcore.cli.send import deliver
from eventcore.cli.stopped import Kept, Stopped, listed, stops_in
from eventcore.cli.values import data_of, shown
from eventcore.errors import DataError, UnknownName, WrongUse
from eventcore.lane import quarantine as reasons
from eventcore.lane.backlog import INSTANCE_MAX
from eventcore.log.port import Log
from eventcore.topics import key_of, partition_of

verbs = typer.Typer(help="Quarantined instances: list them, look at one, release or discard.", no_args_is_help=True)
Of = Annotated[str, typer.Argument(metavar="OF", help="The aggregate or saga.")]
Instance = Annotated[str, typer.Argument(metavar="ID", help="The id of the instance.")]
Timeout = Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Seconds to wait for a worker's outcome.")]

NEXT: dict[str, str] = {
    reasons.UNSOUND_STATE: "Correct the code so that its events fold to a sound state, restart the workers, release again",
    reasons.FOREIGN_RECORDS: "Look at it with `log show`; with --pass-foreign its state goes on without what others wrote",
    reasons.STOPPED_AGAIN: "Correct the code, restart the workers and release again, or discard with --first",
}


@verbs.command("list")
def list_(
    context: typer.Context,
    of: Annotated[str | None, typer.Argument(metavar="OF", help="Only of this aggregate or saga.")] = None,
) -> None:
    """List the quarantined instances: why each is stopped, and how many of its commands wait.

    Read from what the lanes keep of it beside their snapshots. An instance whose events alone are to blame shows once a
    command waits.
    """
    call = call_of(context)
    machines = list(call.wiring.machines.values()) if of is None else [call.wiring.machine(of)]
    with call.opened_log() as log, call.reporting() as progress:
        found = [
            (machine.name, each)
            for machine in machines
            if _exists(log, machine)
            for each in listed(log, machine, progress)
        ]
    data = {
        "quarantined": [{"of": name, "id": s.id, "why": s.why, "waiting": s.waiting} for name, s in found],
        "waiting_max": INSTANCE_MAX,
    }
    rows = [(f"{name} {s.id}", f"{s.waiting:,} of {INSTANCE_MAX:,}", s.why) for name, s in found]
    nothing = ["no instance is quarantined"]
    call.output.document(data, [Grid(("instance", "waiting", "why"), rows)] if rows else nothing)


@verbs.command("show")
def show(context: typer.Context, of: Of, instance: Instance) -> int:
    """Print why an instance is quarantined, the traceback where its turn raised, and the commands that wait, in order.

    The outcomes of its partition are read from the first to the last.

    Ends with 0, or with 1 where the instance is not quarantined.
    """
    call = call_of(context)
    machine, key = call.wiring.machine(of), key_of(instance)
    with call.opened_log() as log, call.reporting() as progress:
        partition = partition_of(key, _partitions(log, machine))
        stops = stops_in(log, machine, progress, range(partition, partition + 1))
    stopped = stops.found().get(instance)
    if stopped is None:
        call.output.note(f"{of} {instance} is not quarantined")
        return ANSWER_IS_NO
    kept = stops.behind(key)
    data = {**_data(of, stopped), "detail": stopped.detail, "commands": [_command(machine, each) for each in kept]}
    lines = [f"{of} {instance} is quarantined since {stopped.since} ({stopped.at}), at version {stopped.version}"]
    lines += [f"why: {stopped.why}", *([stopped.detail.rstrip()] if stopped.detail else []), ""]
    lines.append(f"{len(kept):,} of at most {INSTANCE_MAX:,} commands wait:")
    lines += [f"  {each.at}  {each.time}  {each.waiting.reason}  {_decoded(machine, each)[0]}" for each in kept]
    call.output.document(data, lines)
    return DONE


@verbs.command("release")
def release(
    context: typer.Context,
    of: Of,
    instance: Instance,
    *,
    pass_foreign: Annotated[
        bool, typer.Option("--pass-foreign", help="Pass over what other programs wrote among its events up to now.")
    ] = False,
    timeout: Timeout = OUTCOME_S,
) -> int:
    """Decide the commands that wait behind an instance, in order and with today's code, and let it go on.

    The order is itself a command in the instance's partition: the worker that runs obeys it, with the code it was started
    with, or this program where the log is a file and no worker runs. Where a turn raises again, the instance stays stopped
    and what is left waits.

    Ends with 0 where the instance goes on, with 1 where it stays quarantined or was not.
    """
    call = call_of(context)
    machine, below = call.wiring.machine(of), 0
    if pass_foreign:
        with call.opened_log() as log:
            partition = partition_of(key_of(instance), _partitions(log, machine))
            below = log.stable_end(machine.topics.events, partition)
    return _order(call, machine, instance, Release(below), timeout)


@verbs.command("discard")
def discard(
    context: typer.Context,
    of: Of,
    instance: Instance,
    *,
    first: Annotated[
        bool, typer.Option("--first", help="Drop only the first command; the instance stays stopped, the others wait.")
    ] = False,
    timeout: Timeout = OUTCOME_S,
) -> int:
    """Drop the commands that wait behind an instance, and let it go on.

    Each gets a final outcome, parked with the reason `discarded`, which keeps the command. A saga whose step is dropped
    turns back, as if it had been refused.

    Ends with 0 where it was done, with 1 where there was nothing to discard.
    """
    call = call_of(context)
    return _order(call, call.wiring.machine(of), instance, Discard(first), timeout)


def _order(call: Call, machine: Machine, instance: str, order: Control, timeout_s: float) -> int:
    with call.opened_log() as log:
        _partitions(log, machine)  # an order makes no log
    message: Message[Any] = Message(machine.name, instance, order)
    outcome, cut, _ = deliver(call, machine, message, timeout_s=timeout_s)
    data = {
        "kind": outcome.kind,
        "reason": outcome.reason,
        "message": outcome.message,
        "of": machine.name,
        "id": instance,
        "version": outcome.version,
        "command_id": str(outcome.command_id),
        "cut": str(cut),
    }
    lines = [str(outcome), f"{machine.name} {instance} is at version {outcome.version}", f"cut {cut}"]
    call.output.document(data, lines)
    if outcome.reason in NEXT:
        call.output.note(NEXT[outcome.reason])
    return DONE if outcome.accepted else ANSWER_IS_NO


def _exists(log: Log, machine: Machine) -> bool:
    try:
        log.partitions(machine.topics.snapshots)
    except UnknownName:
        return False
    return True


def _partitions(log: Log, machine: Machine) -> int:
    try:
        return log.partitions(machine.topics.commands)
    except UnknownName as missing:
        raise WrongUse(f"{missing}. A worker makes the app's topics when it starts: `eventcore run`") from missing


def _data(of: str, stopped: Stopped) -> dict[str, object]:
    return {
        "of": of,
        "id": stopped.id,
        "why": stopped.why,
        "since": stopped.since,
        "at": stopped.at,
        "version": stopped.version,
        "waiting": stopped.parked,
    }


def _command(machine: Machine, kept: Kept) -> dict[str, object]:
    waiting = kept.waiting
    line, type_, fields = _decoded(machine, kept)
    return {
        "command_id": str(UUID(bytes=waiting.command_id)),
        "at": kept.at,
        "time": kept.time,
        "reason": waiting.reason,
        "type": type_,
        "data": fields,
        "problem": None if type_ else line,
    }


def _decoded(machine: Machine, kept: Kept) -> tuple[str, str | None, object]:
    """A waiting command as a line, its class and its fields; where today's code cannot read it, why in place of the line."""
    try:
        command = machine.commands.decode(kept.waiting.value)
    except DataError as problem:
        return f"cannot be read: {problem}", None, None
    return shown(command), type(command).__name__, data_of(command)
