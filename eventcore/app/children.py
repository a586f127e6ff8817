"""The parts of an app that run: its lanes, its relays and its projections, made from the wiring."""

from __future__ import annotations

from typing import Any

from eventcore.app.wiring import Wiring
from eventcore.lane.runner import LaneRunner
from eventcore.log.port import Log
from eventcore.relay import Relay
from projections import ProjectionRunner, Views
from sagas.routes import answers_to, requests_of

# What a worker runs. All have a `name`, a `position`, and `start`, `step` and `close`.
Child = LaneRunner | Relay | ProjectionRunner[Any]


def lanes_of(wiring: Wiring, log: Log) -> list[LaneRunner]:
    """One lane for each partition of each machine."""
    return [
        LaneRunner(log, m.aggregate, m.topics, partition, commands=m.commands, events=m.events)
        for m in wiring.machines.values()
        for partition in range(log.partitions(m.topics.commands))
    ]


def relays_of(wiring: Wiring, log: Log) -> list[Relay]:
    """The relays of an app with sagas: what sagas ask for, and what their targets answer."""
    sagas = [m for m in wiring.machines.values() if m.saga is not None]
    if not sagas:
        return []
    topics = {m.name: m.topics for m in wiring.machines.values()}
    partitions = {name: log.partitions(t.commands) for name, t in topics.items()}
    requests = [
        Relay(log, f"relay:{m.topics.events}", m.topics.events, requests_of(m.saga, m.events, topics, partitions))
        for m in sagas
        if m.saga is not None
    ]
    inboxes = {m.name: m.commands for m in sagas}
    answers = [
        Relay(log, f"relay:{m.topics.outcomes}", m.topics.outcomes, answers_to(inboxes, topics, partitions))
        for m in wiring.machines.values()
        if m.saga is None
    ]
    return [*requests, *answers]


def projections_of(wiring: Wiring, log: Log, views: Views) -> list[ProjectionRunner[Any]]:
    """One runner for each projection, over all partitions of its source."""
    runners: list[ProjectionRunner[Any]] = []
    for projection in wiring.projections.values():
        machine = wiring.machine_of(projection.source)
        runners.append(ProjectionRunner(projection, log, views, machine.events, machine.topics.events))
    return runners
