"""This process's part in a group: it starts lanes for the partitions that it is given, and ends those that it gives back.

One thread polls the member and does nothing else, so that the group hears of this process however busy its lanes are.
Lanes own and restore in threads of their own. Giving back waits until each lane has finished its batch, for REVOKE_S at
most: a lane that takes longer is left behind, and cannot commit any more once somebody else owns its partition.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection

from eventcore.app.parts import LanePart, Portion
from eventcore.app.supervision import PAUSE_FIRST_S, PAUSE_MOST_S, Refuse, Supervised
from eventcore.errors import CallerError, DataError, LogUnavailable, SystemFault
from eventcore.lane.runner import LaneRunner
from eventcore.log.checks import lane_reader
from eventcore.log.port import Log, Member, Standing
from eventcore.topics import Topics

logger = logging.getLogger("eventcore.worker")

MEMBER_POLL_S = 0.1
REVOKE_S = 20.0  # far below the time after which a group gives up a member that does not poll (5 minutes)
JOINED_S = 10.0  # a member that was given nothing for so long is taken for one too many, which stands by

STANDING_S = 10.0  # a poll takes a tenth of a second, and longer only while lanes are given back

MakeLane = Callable[[int, Callable[[], Standing | None]], LaneRunner]
Adopt = Callable[[LanePart], Supervised]


class Membership:
    """Shares the partitions of one machine with other processes.

    `make_lane` is None where no lanes run here: then what follows is shared in a group of its own, named `group`.
    """

    def __init__(
        self,
        log: Log,
        topics: Topics,
        portion: Portion,
        adopt: Adopt,
        refuse: Refuse,
        make_lane: MakeLane | None,
        group: str | None = None,
    ) -> None:
        self.name = f"group {group or lane_reader(topics)}"
        self.reason = ""
        self.beats = 0  # grows while the member is polled
        self.thread = threading.Thread(target=self._live, name=self.name, daemon=True)
        self._log = log
        self._topics = topics
        self._portion = portion
        self._make_lane = make_lane
        self._adopt = adopt
        self._refuse = refuse
        self._lanes: dict[int, Supervised] = {}
        self._group = group
        self._member: Member | None = None
        self._count = 0  # of all partitions
        self._stop = threading.Event()
        self._given = False
        # What the member was entitled to after its last poll, which is before whatever a lane polls now. Taken by the
        # thread that polls: asked from another one, the Kafka client does not answer while that one polls.
        self._entitled: Standing | None = None
        self._polls = 0
        self._polled = threading.Condition()
        self._since = time.monotonic()

    @property
    def joined(self) -> bool:
        """Whether the group has said what is this process's, or had time enough to."""
        return self._given or (self.beats > 0 and not self.reason and time.monotonic() > self._since + JOINED_S)

    def end(self) -> None:
        """Finish the lanes and leave the group."""
        self._stop.set()

    def assigned(self, partitions: Collection[int]) -> None:
        """Start a lane for each."""
        standing = self._standing_of(self._polls)
        for partition in sorted(partitions):
            if self._stop.is_set():
                return
            self._portion.give(partition)
            if self._make_lane is None:
                self._portion.add(partition)
            else:
                lane = self._make_lane(partition, standing)
                self._lanes[partition] = self._adopt(LanePart(lane, self._portion.add))
        self._given = True  # when they are there to be asked whether they stand ready
        if partitions and self._make_lane is not None and len(partitions) < self._count:
            logger.info("%s gives this worker %s", self.name, _listed(partitions))

    def revoked(self, partitions: Collection[int]) -> None:
        """Let their lanes finish what they have begun, and end them."""
        lanes = self._ended(partitions, drop=False)
        deadline = time.monotonic() + REVOKE_S
        for lane in lanes:
            lane.thread.join(max(0.0, deadline - time.monotonic()))
            if lane.thread.is_alive():
                logger.warning(
                    "%s does not end within %.0f s and is left behind; it can commit no more", lane.name, REVOKE_S
                )
        if lanes and not self._stop.is_set():
            logger.info("%s takes %s back", self.name, _listed(partitions))

    def lost(self, partitions: Collection[int]) -> None:
        """Drop their lanes: what they have begun cannot be committed."""
        self._given = True
        if self._ended(partitions, drop=True):
            logger.warning("%s has given %s to somebody else already", self.name, _listed(partitions))

    def _ended(self, partitions: Collection[int], *, drop: bool) -> list[Supervised]:
        ended: list[Supervised] = []
        for partition in partitions:
            self._portion.remove(partition)
            lane = self._lanes.pop(partition, None)
            if lane is not None:
                lane.end("stopped" if self._stop.is_set() else "released", drop=drop)
                ended.append(lane)
        return ended

    def _standing_of(self, given: int) -> Callable[[], Standing | None]:
        """What a lane that was given in the poll after `given` others asks for: see `_entitled`."""

        def standing() -> Standing | None:
            with self._polled:
                if not self._polled.wait_for(lambda: self._polls > given, STANDING_S):
                    raise LogUnavailable(f"{self.name} does not say in {STANDING_S:.0f} s what is this process's")
                return self._entitled

        return standing

    def _note_standing(self, member: Member) -> None:
        entitled = member.standing()
        with self._polled:
            self._entitled = entitled
            self._polls += 1
            self._polled.notify_all()

    def _live(self) -> None:
        try:
            while not self._stop.is_set():
                self._take_part()
        finally:
            self._stop.set()
            self._leave()

    def _take_part(self) -> None:
        """Poll until told to stop; a log that is away is asked again and again: the lanes say what they lack."""
        pause = PAUSE_FIRST_S
        while not self._stop.is_set():
            try:
                if self._member is None:
                    self._count = self._log.partitions(self._topics.commands)
                    self._member = self._log.join(self._topics, self, self._group)
                self._member.poll(MEMBER_POLL_S)
                self.beats += 1
                self._note_standing(self._member)
                self.reason, pause = "", PAUSE_FIRST_S
            except SystemFault as fault:
                self.beats += 1
                if str(fault) != self.reason:
                    logger.warning("%s waits and tries again: %s", self.name, fault)
                self.reason = str(fault)
                self._stop.wait(pause)
                pause = min(PAUSE_MOST_S, pause * 2)
            except (CallerError, DataError) as wrong:
                self.reason = str(wrong)
                self._stop.set()
                self._refuse(wrong)
            except Exception:  # nobody foresaw it: leave, and begin from the beginning
                self.beats += 1
                logger.exception("%s fails in a way that nobody foresaw; it joins again", self.name)
                self._leave()
                self._stop.wait(PAUSE_MOST_S)

    def _leave(self) -> None:
        member, self._member = self._member, None
        if member is not None:
            try:
                member.close()
            except SystemFault as fault:
                logger.warning("%s: leaving failed, so others wait until it is given up: %s", self.name, fault)
        self.revoked(list(self._lanes))  # what a member that failed did not give back


def _listed(partitions: Collection[int]) -> str:
    return f"partition{'s' if len(partitions) > 1 else ''} {', '.join(map(str, sorted(partitions)))}"
