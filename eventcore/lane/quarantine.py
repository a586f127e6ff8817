"""Quarantine: one instance is stopped, its commands wait in order, and an operator's order lets it go on.

What stops an instance is either *said by an outcome* (its turn raised, its invariant asked for it, a command waits
behind it) or *found in its events* when the lane restores (they do not fold, their state breaks an invariant, another
program wrote among them).

Q1  Each command that waits has a parked outcome, which is not final: when it is decided or discarded it gets another,
    whose cause is the order that did it. Until then whoever asks again is told that it is parked.
Q2  What waits behind an instance is decided in the order in which it came, and before anything that comes later.
Q3  What an outcome has said holds until an order, whatever later restores find: otherwise commands would wait behind
    nothing. What only the events tell, and nothing waits behind, is judged anew by each restore: with today's code.
Q4  An order cannot lift what is found in the events, since there is no state to go on with: it is refused with the
    reason. Restored with code that finds the state sound, the same order is obeyed. Another program's records change
    no state, so a release that names an offset above them passes over them, from then on and for good.
Q5  Everything here follows from the outcomes and events: `recall` makes of the lane's outcomes, read back, what the
    lane knew when it wrote them.
"""

from __future__ import annotations

from collections.abc import Callable

from eventcore.avro.control import Control, Discard, Release, read_control
from eventcore.avro.envelope import NOTHING, Options
from eventcore.avro.outcome import Details, OutcomeRecord
from eventcore.errors import DataError
from eventcore.lane.backlog import BACKLOG_FULL, DISCARDED, Waiting
from eventcore.lane.journal import QUARANTINED, RAISED, Batch, Case, Journal
from eventcore.lane.memory import FOREIGN, NOTHING_TO_UNDO, Decided, LaneMemory
from eventcore.log.port import Recorded

# The reasons for which an order is refused.
NOT_QUARANTINED, NOTHING_WAITS = "not_quarantined", "nothing_waits"
UNSOUND_STATE, FOREIGN_RECORDS, STOPPED_AGAIN = "unsound_state", "foreign_records", "stopped_again"

Decide = Callable[[Case, Batch], Decided]  # takes the turn of a command that waited, and writes what became of it


class Quarantine:
    """The quarantine of one lane, over its memory."""

    def __init__(self, memory: LaneMemory, journal: Journal) -> None:
        self._memory = memory
        self._journal = journal

    def park(self, case: Case, version: int, batch: Batch) -> None:
        """Let a command wait behind its stopped instance; where too many do, it is told to come again."""
        key, why = _key(case), self._memory.quarantined[_key(case)]
        decided = Decided("parked", version, QUARANTINED, why)
        if (full := self._full(case)) is not None:
            again = (
                f"{full}: this one is not kept. Send it again when the instance is released; it is stopped by: {why}"
            )
            decided = Decided("parked", version, BACKLOG_FULL, again)
        written = self._journal.write_outcome(case, decided, batch)
        self._memory.changed_stops.add(key)
        if full is None:
            self._keep(key, case, written)

    def stop(self, case: Case, version: int, fault: BaseException, batch: Batch) -> Decided:
        """Park the command whose turn raised as the first of those that wait, and stop its instance."""
        key = _key(case)
        full = self._full(case)
        written = self._journal.write_fault(case, version, fault, batch, BACKLOG_FULL if full is not None else RAISED)
        self._memory.changed_stops.add(key)
        self._memory.quarantined[key] = written.message or RAISED
        if full is None:
            self._keep(key, case, written)
        return written

    def obey(self, case: Case, order: Control, version: int, batch: Batch, decide: Decide) -> int:
        """Carry out an operator's order and write what became of it; return the last stamp that it used.

        Its own outcome comes last, so that the cut of whoever gave it holds everything that followed.
        """
        first = len(batch.outcomes)
        self._memory.changed_stops.add(_key(case))
        if (answer := self._impossible(case, order, version)) is None and isinstance(order, Release):
            case, answer = self._release(case, order, batch, decide)
        elif answer is None and isinstance(order, Discard):
            case, answer = self._discard(case, order, version, batch)
        assert answer is not None, "an order is a release or a discard"
        batch.others.update(range(first, len(batch.outcomes)))
        self._journal.write_outcome(case, answer, batch)
        return case.stamp

    def _impossible(self, case: Case, order: Control, version: int) -> Decided | None:
        memory, key = self._memory, _key(case)
        if key not in memory.quarantined:
            return Decided("refused", version, NOT_QUARANTINED, "nothing stops this instance")
        if isinstance(order, Discard):
            waits = memory.waiting.of(key)
            nothing = Decided("refused", version, NOTHING_WAITS, "no command waits behind this instance")
            return nothing if order.first_only and not waits else None
        if (why := memory.unsound.get(key)) is not None:
            return Decided("refused", version, UNSOUND_STATE, why)
        foreign = memory.foreign.get(key)
        if foreign is not None and foreign.offset >= order.foreign_below:
            return Decided("refused", version, FOREIGN_RECORDS, foreign.why)
        return None

    def _release(self, case: Case, order: Release, batch: Batch, decide: Decide) -> tuple[Case, Decided]:
        memory, key = self._memory, _key(case)
        pass_over(memory, key, order)
        memory.foreign.pop(key, None)
        del memory.quarantined[key]
        count = 0
        for waiting in memory.waiting.of(key):
            decided = decide(_again(case, waiting), batch)
            case = case._replace(stamp=case.stamp + 1)
            if (decided.kind, decided.reason) == ("parked", RAISED):
                break  # it waits again, as the first
            memory.waiting.drop(waiting.command_id)
            count += 1
            if key in memory.quarantined:
                break  # its invariant asked for it
        version = memory.instances[key][1] if key in memory.instances else 0
        waits = len(memory.waiting.of(key))
        if key in memory.quarantined:
            said = f"{count:,} commands were decided, {waits:,} wait: {memory.quarantined[key]}"
            return case, Decided("refused", version, STOPPED_AGAIN, said)
        return case, Decided("accepted", version, None, f"{count:,} waiting commands were decided")

    def _discard(self, case: Case, order: Discard, version: int, batch: Batch) -> tuple[Case, Decided]:
        memory, key = self._memory, _key(case)
        waits = memory.waiting.of(key)
        dropped = waits[:1] if order.first_only else waits
        for waiting in dropped:
            memory.waiting.drop(waiting.command_id)
            self._journal.write_outcome(_again(case, waiting), self._gone(waiting, version), batch)
            case = case._replace(stamp=case.stamp + 1)
        said = f"{len(dropped):,} commands were discarded"
        if not order.first_only:
            lift(memory, key)
        if key in memory.quarantined:
            said += f", {len(waits) - len(dropped):,} wait, and it stays quarantined: {memory.quarantined[key]}"
        return case, Decided("accepted", version, None, said)

    def _gone(self, waiting: Waiting, version: int) -> Decided:
        """The answer to a discarded command; the undo of what never took effect is undone all the same."""
        step = waiting.options.step
        if step is not None and step.action == "undo":
            do = self._memory.step(step).do
            if do is None or do.kind != "accepted":
                return Decided("accepted", version, None, NOTHING_TO_UNDO)
        return Decided("parked", version, DISCARDED, f"discarded by an operator; it was parked: {waiting.reason}")

    def _full(self, case: Case) -> str | None:
        return self._memory.waiting.full(_key(case), case.command_id, case.record.value or b"")

    def _keep(self, key: bytes, case: Case, written: Decided) -> None:
        options = waiting_options(case.options)
        _, version, reason, message = written
        waiting = Waiting(case.command_id, case.record.value or b"", options, version, reason or "", message)
        self._memory.waiting.keep(key, waiting)


def lift(memory: LaneMemory, key: bytes) -> None:
    """Forget what outcomes said against an instance; what its events say against it remains (Q4)."""
    memory.quarantined.pop(key, None)
    found_in_events(memory, key)


def found_in_events(memory: LaneMemory, key: bytes) -> None:
    """Stop an instance for what its events told, if anything."""
    if key in memory.unsound:
        memory.quarantined.setdefault(key, memory.unsound[key])
    elif key in memory.foreign and memory.quarantined.get(key, FOREIGN).startswith(FOREIGN):
        memory.quarantined[key] = memory.foreign[key].why  # the last one, whichever an outcome or a fact knows of


def pass_over(memory: LaneMemory, key: bytes, order: Release) -> None:
    """Remember which records of other programs a release has passed over, for good."""
    if order.foreign_below > memory.passed.get(key, 0):
        memory.passed[key] = order.foreign_below


def waiting_options(options: Options) -> Options:
    """The options that a waiting command keeps: all but the reply address, which was answered."""
    if options is NOTHING:
        return NOTHING
    return Options(
        options.expected_version, options.source, options.step, None, options.expires, options.code, options.trace
    )


def recall(memory: LaneMemory, key: bytes, outcome: OutcomeRecord) -> None:
    """Q5: learn from an outcome that is read back, not a repeated one, what it says of its instance's quarantine."""
    details = outcome.details
    if (order := order_in(details)) is not None:
        _recall_order(memory, key, details, order)
        return
    why = details.message or details.reason or ""
    if details.kind == "parked" and details.reason in (RAISED, QUARANTINED):
        if details.reason == RAISED:
            memory.quarantined[key] = why
        else:
            memory.quarantined.setdefault(key, why)
        memory.waiting.keep(key, waiting_in(outcome))
        return
    memory.waiting.drop(outcome.command_id)
    if details.kind == "parked" and details.reason == BACKLOG_FULL and details.detail is not None:
        memory.quarantined[key] = why  # a turn raised, and its command could not be kept
    elif details.kind == "violated" and details.detail == QUARANTINED:
        memory.quarantined[key] = f"violated {details.reason}"


def order_in(details: Details) -> Control | None:
    """The operator's order that an outcome answers, or None where it answers a command."""
    try:
        return read_control(details.command)
    except DataError:
        return None  # it was parked as undecodable


def waiting_in(outcome: OutcomeRecord) -> Waiting:
    """The waiting command that a parked outcome tells of."""
    details = outcome.details
    options = Options(
        details.expected_version, details.source, details.step, None, details.expires, details.code, details.trace
    )
    command_id, version = outcome.command_id, outcome.version
    return Waiting(command_id, details.command, options, version, details.reason or "", details.message)


def _recall_order(memory: LaneMemory, key: bytes, details: Details, order: Control) -> None:
    obeyed = details.kind == "accepted"
    if isinstance(order, Release):
        if obeyed:
            memory.quarantined.pop(key, None)
        if obeyed or (details.kind == "refused" and details.reason == STOPPED_AGAIN):
            pass_over(memory, key, order)
    elif obeyed and not order.first_only:
        memory.quarantined.pop(key, None)


def _again(order: Case, waiting: Waiting) -> Case:
    """A waiting command as a case of its own: it is decided now, because of the order."""
    record = Recorded(order.record.offset, order.record.key, waiting.value, None, order.record.time_ms, ())
    return Case(record, waiting.command_id, waiting.options, order.stamp)


def _key(case: Case) -> bytes:
    key = case.record.key
    assert key is not None, "only placed records are decided"
    return key
