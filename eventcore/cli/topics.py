"""`topics plan` and `topics apply`: the app's topics, before a worker needs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import typer

from eventcore.app.wiring import provision
from eventcore.cli.call import Call, call_of
from eventcore.cli.faults import ANSWER_IS_NO, DONE
from eventcore.cli.output import Grid, Shown
from eventcore.errors import UnknownName
from eventcore.log.address import masked
from eventcore.log.port import KEEP_FOREVER, Difference, Log, TopicPlan

verbs = typer.Typer(help="The log's topics: what is missing, and what differs.", no_args_is_help=True)


@verbs.command("plan")
def plan(context: typer.Context) -> int:
    """Show the app's topics: which would be made and how, and how those that exist differ from what is wanted.

    Nothing is changed. Ends with 0 where every topic is as it should be, with 1 otherwise.
    """
    call = call_of(context)
    with call.opened_log() as log:
        plans = plans_for(call, log)
        missing = missing_of(log, plans)
        found = log.differences(plans)
    show(call, plans, missing, found, "to be made")
    return ANSWER_IS_NO if missing or found else DONE


@verbs.command("apply")
def apply(context: typer.Context) -> int:
    """Make the topics that are missing, with --partitions and --replication, and write the app's schemas.

    Topics that exist are not changed: what differs is shown, for you to decide. A worker makes missing topics too; this is
    for those who may make topics where workers may not, and for looking first. May be repeated.

    Ends with 0, or with 1 where a topic would lose data as it is: `run` refuses it.
    """
    call = call_of(context)
    log = call.open_log()
    try:
        plans = plans_for(call, log)
        missing = missing_of(log, plans)
        found = log.differences(plans)
        if losing := [each for each in found if each.loses]:
            log.provision([each for each in plans if each.name in missing])
        else:
            provision(log, call.wiring, call.partitions(log))
    finally:
        log.close()
    show(call, plans, missing, found, "made")
    return ANSWER_IS_NO if losing else DONE


def plans_for(call: Call, log: Log) -> list[TopicPlan]:
    """The topics that the app needs in this log: in a file there are none for posts."""
    plans = call.wiring.plans(call.partitions(log))
    return [each for each in plans if each.kept_bytes is None] if call.embedded else plans


def missing_of(log: Log, plans: Sequence[TopicPlan]) -> list[str]:
    """The names of the topics that do not exist."""
    return [each.name for each in plans if not _exists(log, each.name)]


def _exists(log: Log, topic: str) -> bool:
    try:
        log.partitions(topic)
    except UnknownName:
        return False
    return True


def show(
    call: Call, plans: Sequence[TopicPlan], missing: Sequence[str], found: Sequence[Difference], made: str
) -> None:
    """Print each topic with its plan and state, and each difference as a sentence."""
    differ = {each.topic for each in found}
    states = [made if p.name in missing else "differs" if p.name in differ else "as planned" for p in plans]
    data = {
        "log": masked(call.log.value),
        "topics": [{**msgspec.structs.asdict(p), "state": state} for p, state in zip(plans, states, strict=True)],
        "differences": [msgspec.structs.asdict(each) for each in found],
    }
    rows = [(p.name, str(p.partitions), kept(p), state) for p, state in zip(plans, states, strict=True)]
    call.output.document(data, [Grid(("topic", "partitions", "kept", ""), rows), *_sentences(found)])


def _sentences(found: Sequence[Difference]) -> Iterator[Shown]:
    for loses, opening in (
        (True, "These lose data, and `run` refuses them:"),
        (False, "These differ, and lose nothing:"),
    ):
        if some := [each for each in found if each.loses is loses]:
            yield f"\n{opening}"
            yield from (f"  {each}" for each in some)
    if settings := [each for each in found if each.setting not in {"partitions", "replicas"}]:
        first = settings[0]
        yield (
            "\nTopics that exist are not changed here. Kafka's own tool does it, as:\n"
            f"  kafka-configs.sh --bootstrap-server ... --alter --entity-type topics --entity-name <prefix>{first.topic} "
            f"--add-config {first.setting}={first.wanted}"
        )


def kept(planned: TopicPlan) -> str:
    """How long a topic's records are kept, in words."""
    if planned.cleanup == "compact":
        return "the last of each key"
    if planned.kept_ms == KEEP_FOREVER:
        return "for ever"
    hours = planned.kept_ms / 3_600_000
    return f"{hours / 24:g} days" if hours >= 24 else f"{hours:g} h"
