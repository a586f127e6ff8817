"""The faults: what each does, what is promised under it, and on what it is played."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from faults import brokers, clients, connection, crashes, replies, rivals
from faults.scene import Scene
from faults.sending import Load

Stage = Literal["one broker", "a broker of its own", "three brokers", "proxy"]

NOTHING: Mapping[str, str] = {}

# A call into the client library may never return once a broker was away: then the worker ends itself and is started again.
SUPERVISED = ("--supervise", "--hang", "75s")


class Fault(NamedTuple):
    """One fault. `arguments` are those of `eventcore run`, `client` options of the Kafka client library."""

    name: str
    promise: str
    inject: Callable[[Scene], None]
    workers: int = 2
    stage: Stage = "one broker"
    load: Load = Load()
    arguments: tuple[str, ...] = ()
    client: Mapping[str, str] = NOTHING


FAULTS = (
    Fault("kill", "a worker killed at any moment loses nothing and repeats nothing; others go on", crashes.kills),
    Fault("stall", "a worker that stalls is replaced, and can commit nothing when it wakes", crashes.stalls, workers=3),
    Fault("rebalance", "workers come and go; lanes move without loss and without rest", crashes.rebalances),
    Fault("rival", "two that believe they own a partition fence each other, and never write both", rivals.rivals),
    Fault(
        "impatience",
        "a command that is asked again with its id takes effect once, and is answered alike",
        clients.impatience,
        load=clients.IMPATIENT,
    ),
    Fault(
        "database",
        "rows are the fold of the log, whatever happens to the database; lanes do not wait for it",
        brokers.database,
    ),
    Fault("replies", "without replies lanes decide on, and a client that asks again is answered", replies.unwritable),
    Fault(
        "broker",
        "what was answered survives the broker's crash, and work goes on when it is back",
        brokers.restarts,
        stage="a broker of its own",
        arguments=SUPERVISED,
    ),
    Fault(
        "commit",
        "a commit whose request or answer is late, held or cut is decided once",
        connection.commits,
        stage="proxy",
        client=connection.CLIENT,
    ),
    Fault(
        "replica",
        "one of three brokers may die at any moment, and nothing that was answered with it",
        brokers.one_of_three,
        stage="three brokers",
        arguments=SUPERVISED,
        load=Load(batch=10),
    ),
)
