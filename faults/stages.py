"""Servers for the faults: started when the first fault needs them, kept for those after it."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from faults.catalogue import Fault, Stage
from faults.proxy import Proxy
from faults.scene import Servers
from tests.servers import KafkaServer, PostgresServer, own_cluster, own_kafka, own_postgres
from tests.servers.broker import QUICK_REGISTRATION, Place
from tests.servers.process import free_port
from tests.servers.warm import warm_kafka

# A group gives up a member after this; the broker's default, 45 s, would only make the suite longer.
SESSION = {"group.consumer.session.timeout.ms": "3000"}


class Stages:
    """The servers of a run of the suite; a context."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._stages: dict[str, Servers] = {}
        self._postgres: PostgresServer | None = None

    def of(self, fault: Fault) -> Servers:
        """The servers that a fault is played on."""
        if self._postgres is None:
            self._postgres = self._stack.enter_context(own_postgres())
        if fault.stage not in self._stages:
            self._stages[fault.stage] = self._start(fault.stage, self._postgres)
        return self._stages[fault.stage]

    def _start(self, stage: Stage, postgres: PostgresServer) -> Servers:
        match stage:
            case "one broker" | "a broker of its own":
                # Its own, for one that is to crash: a broker that has many positions of groups to load when it comes back
                # may load none of them, and then writes what it can never load again (guarantees.md, the limits).
                broker = self._stack.enter_context(own_kafka({**QUICK_REGISTRATION, **SESSION}))
                warm_kafka(broker.bootstrap)
                return Servers([broker], broker.bootstrap, postgres)
            case "three brokers":
                cluster = self._stack.enter_context(own_cluster({**QUICK_REGISTRATION, **SESSION}))
                warm_kafka(cluster.bootstrap)
                return Servers(cluster.brokers, cluster.bootstrap, postgres, in_sync=cluster.wait_until_in_sync)
            case "proxy":
                place, front = Place(), free_port()
                proxy = Proxy(front, place.port)
                self._stack.callback(proxy.close)
                advertised = {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{front}"}
                broker = KafkaServer({**QUICK_REGISTRATION, **SESSION, **advertised}, place)
                self._stack.callback(broker.close)
                broker.start()
                bootstrap = f"127.0.0.1:{front}"
                warm_kafka(bootstrap)
                return Servers([broker], bootstrap, postgres, proxy)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
