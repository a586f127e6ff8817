"""`log show`: records of any topic, decoded with the schemas in the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from eventcore.cli.call import Call, call_of
from eventcore.cli.records import read_record, schemas_in
from eventcore.errors import InvalidValue, UnknownName
from eventcore.lane.restore import Progress, read_to
from eventcore.log.port import Log, Recorded
from eventcore.topics import schemas_topic

SHOWN = 100  # records by default: a screen or two

verbs = typer.Typer(help="The log: its records, decoded.", no_args_is_help=True)


@verbs.command("show")
def show(
    context: typer.Context,
    what: Annotated[
        str, typer.Argument(help="A topic, as bank.account.outcomes; or an aggregate or saga: its events.")
    ],
    partition: Annotated[int | None, typer.Option(min=0, metavar="N", help="Only this partition.")] = None,
    start: Annotated[int, typer.Option("--from", min=0, metavar="OFFSET", help="The first offset.")] = 0,
    end: Annotated[int | None, typer.Option("--to", min=0, metavar="OFFSET", help="The offset to stop before.")] = None,
    key: Annotated[str | None, typer.Option(metavar="ID", help="Only records of this key: an instance's id.")] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many records.")] = SHOWN,
) -> None:
    """Print the records of a topic, partition by partition, decoded with the schemas that the log carries.

    A record that no schema explains is printed with the reason and its first bytes.
    """
    call = call_of(context)
    with call.opened_log() as log, call.reporting() as progress:
        topic = topic_of(call, log, what)
        partitions = range(log.partitions(topic))
        if partition is not None:
            if partition not in partitions:
                raise InvalidValue("--partition", f"{topic} has the partitions 0 to {len(partitions) - 1}")
            partitions = range(partition, partition + 1)
        schemas = schemas_in(log, schemas_topic(call.app.name))
        chosen = _records(log, topic, partitions, start, end, None if key is None else key.encode(), progress)
        for count, (at, record) in enumerate(chosen):
            if count == limit:
                call.output.note(f"more follow; the next is {topic}[{at}]@{record.offset} (--limit, --from)")
                return
            read = read_record(schemas, topic, at, record)
            call.output.entry(read.data(), read.line())


def topic_of(call: Call, log: Log, what: str) -> str:
    """The topic that is meant: one of that name, with the app's before it, or the events of an aggregate or saga."""
    app = call.app.name
    for topic in (what, f"{app}.{what}", f"{app}.{what}.events"):
        try:
            log.partitions(topic)
        except UnknownName:
            continue
        return topic
    known = [topic for topics in call.wiring.topics() for topic in topics]
    raise UnknownName("topic of this log", what, [*known, schemas_topic(app)])


def _records(
    log: Log, topic: str, partitions: range, start: int, end: int | None, key: bytes | None, progress: Progress
) -> Iterator[tuple[int, Recorded]]:
    for partition in partitions:
        last = log.stable_end(topic, partition)
        until = last if end is None else min(end, last)
        first = max(start, log.beginning(topic, partition))
        for records in read_to(log, topic, partition, until, progress, start=first):
            for record in records:
                if key is None or record.key == key:
                    yield partition, record
