"""A worker: its share of an app's lanes, and the relays and projections that follow them, until it is told to stop.

As many workers run an app as one likes. They are members of one group a machine, which gives each of them partitions: a
worker runs the lane of a partition, and that partition's part of every relay and projection, while the partition is its.
A worker that ends gives its partitions back; one that dies is given up by the group after its session's time. An embedded
log belongs to one process, which is given everything at once.

The tree: the worker has members of groups (`membership`), whose lanes come and go, and followers; each part lives in a
thread of its own and is started again or halted by its own rules (`supervision`), and a watchdog looks at all of them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Literal

from eventcore.app.app import App
from eventcore.app.children import lane_of, projections_of, relays_of
from eventcore.app.membership import MakeLane, Membership
from eventcore.app.parts import Follower, FollowerPart, LanePart, Portion
from eventcore.app.supervision import PartStanding, Supervised
from eventcore.app.watchdog import HANG_S, Watchdog, Watched
from eventcore.app.wiring import Machine
from eventcore.errors import EventcoreError
from eventcore.log.port import Log
from projections import Views

logger = logging.getLogger("eventcore.worker")

DRAIN_S = 30.0  # as long as an orchestrator waits between asking a process to end and killing it, by default
LOOK_S = 0.05  # how soon the worker sees that it was told to stop

WantedKind = Literal["lanes", "relays", "projections"]
Wanted = Callable[[WantedKind, str], bool]


def everything(_kind: WantedKind, _name: str) -> bool:
    """A worker that runs all there is."""
    return True


class Worker:
    """Runs an app on a log and views that stay the caller's. `run` blocks; `stop` may be called from any thread.

    `wanted` says which parts run here: lanes by machine, relays by the topic that they read, projections by name.
    `hangs` is called, once, with the name of a part that has not returned for `hang_s` and with that time: a process can
    then only end itself. Without it the stacks of all threads are logged, and nothing else is done.
    """

    def __init__(
        self,
        app: App,
        log: Log,
        views: Views,
        *,
        wanted: Wanted = everything,
        drain_s: float = DRAIN_S,
        hang_s: float = HANG_S,
        hangs: Callable[[str, float], None] | None = None,
    ) -> None:
        self.app = app
        self.log = log
        self.views = views
        self.members: list[Membership] = []
        self._wanted = wanted
        self._drain_s = drain_s
        self._lock = threading.Lock()
        self._lanes: dict[str, Supervised] = {}
        self._left_behind: list[Supervised] = []
        self._followers: list[Supervised] = []
        self._stopping = False
        self._refused: EventcoreError | None = None
        self._watchdog = Watchdog(self._watched, hang_s, hangs or (lambda _name, _seconds: None))

    @property
    def children(self) -> list[Supervised]:
        """Every lane that this worker was given, the last life of each, then its relays and projections."""
        with self._lock:
            machines = list(self.app.wiring.machines)
            lanes = sorted(
                self._lanes.values(), key=lambda lane: (machines.index(lane.part.machine), _number(lane.name))
            )
            return [*lanes, *self._followers]

    def standings(self) -> list[PartStanding]:
        """How every part is now. Cheap: nothing is asked of log or views. Any thread."""
        return [child.standing() for child in self.children]

    @property
    def ready(self) -> bool:
        """Whether this worker has joined its groups, and every part that it has does its work."""
        return (
            bool(self.members)
            and not self._stopping
            and all(member.joined for member in self.members)
            and all(child.ready or child.status == "released" for child in self.children)
        )

    def run(self) -> list[Supervised]:
        """Run until `stop`, or until every part has failed; return the children with what became of them.

        Raises OwnedElsewhere where another worker has an embedded log. What does not end within `drain_s` of being told
        to is left as it is (`cut_off`): its threads end with the process. Whatever ends it, Ctrl-C too, it drains first; a
        second Ctrl-C cuts that short.
        """
        self._set_up()
        try:
            self._watchdog.thread.start()
            for thread in self._threads():
                thread.start()
            self._wait()
        finally:
            try:
                self._drain()
            finally:
                self._watchdog.end()
        if self._refused is not None:
            raise self._refused
        return self.children

    def stop(self) -> None:
        """Ask every child to finish its batch and end. Safe in a signal handler."""
        self._stopping = True

    def _set_up(self) -> None:
        wiring, log = self.app.wiring, self.log
        followers: list[Follower] = [
            *(r for r in relays_of(wiring, log) if self._wanted("relays", r.reads)),
            *(p for p in projections_of(wiring, log, self.views) if self._wanted("projections", p.projection.name)),
        ]
        for machine in wiring.machines.values():
            following = [f for f in followers if f.reads in (machine.topics.events, machine.topics.outcomes)]
            if self._wanted("lanes", machine.name):
                self._share(machine, following, partial(lane_of, machine, log), None)
            else:
                for follower in following:
                    self._share(machine, [follower], None, f"{wiring.name}.{follower.name}")
        order = [f.name for f in followers]
        self._followers.sort(key=lambda child: order.index(child.name))

    def _share(
        self, machine: Machine, following: Sequence[Follower], make_lane: MakeLane | None, group: str | None
    ) -> None:
        """Take part in a group of a machine's, with what follows the partitions that it gives."""
        portion = Portion()
        self._followers += [Supervised(FollowerPart(each, portion), self._refuse) for each in following]
        self.members.append(Membership(self.log, machine.topics, portion, self._adopt, self._refuse, make_lane, group))

    def _adopt(self, part: LanePart) -> Supervised:
        """Start a lane that was given to this worker."""
        child = Supervised(part, self._refuse)
        with self._lock:
            former = self._lanes.get(child.name)
            if former is not None:
                child.records = former.records
                if former.thread.is_alive():
                    self._left_behind.append(former)
            self._lanes[child.name] = child
        child.thread.start()
        return child

    def _refuse(self, why: EventcoreError) -> None:
        self._refused = self._refused or why

    def _wait(self) -> None:
        said = (-1, -1)
        while not self._stopping and self._refused is None:
            children = self.children
            ready, total = sum(child.ready for child in children), sum(child.status != "released" for child in children)
            if ready == total and said != (ready, total) and self.ready:
                said = (ready, total)
                logger.info("%d of %d parts stand ready", ready, total)
            if children and all(child.failed for child in children):
                return
            time.sleep(LOOK_S)

    def _drain(self) -> None:
        """End everything: followers, and by leaving their groups the lanes."""
        self._stopping = True
        for member in self.members:
            member.end()
        for follower in self._followers:
            follower.end()
        deadline = time.monotonic() + self._drain_s
        for thread in (*self._threads(), *self._lane_threads()):
            if thread.ident is None:
                continue  # an interrupt came before it was started
            thread.join(max(0.0, deadline - time.monotonic()))
        for child in self.children:
            if child.thread.is_alive() and not child.failed:
                child.cut_off(self._drain_s)

    @property
    def cut_off(self) -> bool:
        """After `run`: whether threads were left that do not end."""
        return any(thread.is_alive() for thread in (*self._threads(), *self._lane_threads()))

    def _threads(self) -> list[threading.Thread]:
        return [*(member.thread for member in self.members), *(follower.thread for follower in self._followers)]

    def _lane_threads(self) -> list[threading.Thread]:
        with self._lock:
            return [lane.thread for lane in (*self._lanes.values(), *self._left_behind)]

    def _watched(self) -> Iterable[Watched]:
        for child in (*self.children, *self._left_behind):
            if child.thread.is_alive():
                yield Watched(f"{child.name} ({id(child):x})", child.beats + child.part.beats, child.busy)
        for member in self.members:
            if member.thread.is_alive():
                yield Watched(member.name, member.beats, busy=True)


def _number(lane: str) -> int:
    return int(lane.rpartition("[")[2].removesuffix("]"))
