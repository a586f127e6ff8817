"""The parts of an app that run: its lanes, its relays and its projections, made from the wiring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eventcore.app.wiring import Machine, Wiring
from eventcore.lane.runner import LaneRunner, nobody
from eventcore.lane.strangers import Strangers
from eventcore.log.port import Log, Standing
from eventcore.relay import Relay
from projections import ProjectionRunner, Views
from sagas.routes import answers_to, requests_of

# What a worker runs. All have a `name`, a `position`, and `start`, `step` and `close`.
Child = LaneRunner | Relay | ProjectionRunner[Any]


def lane_of(machine: Machine, log: Log, partition: int, standing: Callable[[], Standing | None] = nobody) -> LaneRunner:
    """The lane of one partition of a machine; `standing` is its group's, where it has one."""
    return LaneRunner(
        log,
        machine.aggregate,
        machine.topics,
        partition,
        commands=machine.commands,
        events=machine.events,
        standing=standing,
    )


def lanes_of(wiring: Wiring, log: Log) -> list[LaneRunner]:
    """One lane for each partition of each machine."""
    return [
        lane_of(machine, log, partition)
        for machine in wiring.machines.values()
        for partition in range(log.partitions(machine.topics.commands))
    ]


def relays_of(wiring: Wiring, log: Log) -> list[Relay]:
    """The relays of an app with sagas: what sagas ask for, what is answered, and what is to be sent again."""
    sagas = [m for m in wiring.machines.values() if m.saga is not None]
    if not sagas:
        return []
    topics = {m.name: m.topics for m in wiring.machines.values()}
    partitions = {name: log.partitions(t.commands) for name, t in topics.items()}
    requests = [
        Relay(
            log,
            f"relay:{m.topics.events}",
            m.topics.events,
            requests_of(m.saga, m.events, topics, partitions),
            Strangers(log, m.topics.events, "events"),
        )
        for m in sagas
        if m.saga is not None
    ]
    inboxes = {m.name: m.commands for m in sagas}
    answers = [
        Relay(
            log,
            f"relay:{m.topics.outcomes}",
            m.topics.outcomes,
            answers_to(inboxes, topics, partitions),
            Strangers(log, m.topics.outcomes, "outcomes"),
        )
        for m in wiring.machines.values()
    ]
    return [*requests, *answers]


def projections_of(wiring: Wiring, log: Log, views: Views) -> list[ProjectionRunner[Any]]:
    """One runner for each projection, over all partitions of its source."""
    runners: list[ProjectionRunner[Any]] = []
    for projection in wiring.projections.values():
        machine = wiring.machine_of(projection.source)
        runners.append(ProjectionRunner(projection, log, views, machine.events, machine.topics.events))
    return runners
