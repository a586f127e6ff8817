"""What a lane remembers of itself, as records of its snapshots topic: to their keys and values, and back.

The keys begin with a byte that no UTF-8 has, so none is an instance's id. A key says what it is about, and the value is
made from the memory when it is written; None, a tombstone, where there is nothing to be said.
"""

from __future__ import annotations

import msgspec

from eventcore.avro.envelope import NOTHING, Options
from eventcore.avro.facts import STEP_FACT, STOPPED_FACT, WAITING_FACT, Answer, StepFact, StoppedFact, WaitingFact
from eventcore.avro.framing import HEAD_BYTES
from eventcore.errors import DecodeError
from eventcore.lane.backlog import Waiting
from eventcore.lane.memory import Decided, Foreign, LaneMemory, StepKey, StepMemory

FACT = 0xFF  # the first byte of every key here
LANE, STEP, STOPPED, WAITING = b"\xfflane", b"\xffstep:", b"\xffstopped:", b"\xffwaiting:"


def step_key(step: StepKey) -> bytes:
    """The key of a saga step's fact."""
    return STEP + msgspec.json.encode(step)


def stopped_key(key: bytes) -> bytes:
    """The key of what is known against an instance."""
    return STOPPED + key


def waiting_key(command_id: bytes) -> bytes:
    """The key of a command that waits."""
    return WAITING + command_id


def every_fact(memory: LaneMemory) -> set[bytes]:
    """The keys of all facts that a memory holds."""
    against = {*memory.quarantined, *memory.unsound, *memory.foreign, *memory.passed}
    return {
        *map(step_key, memory.steps),
        *map(stopped_key, against),
        *map(waiting_key, memory.waiting.ids()),
    }


def fact_of(memory: LaneMemory, record_key: bytes) -> bytes | None:
    """The value of a fact as it is now."""
    if record_key.startswith(STEP):
        step = _step_in(record_key)
        known = None if step is None else memory.steps.get(step)
        return None if known is None else STEP_FACT.write(StepFact(_answer(known.do), _answer(known.undo)))
    if record_key.startswith(STOPPED):
        return _stopped(memory, record_key[len(STOPPED) :])
    if record_key.startswith(WAITING):
        return _waiting(memory, record_key[len(WAITING) :])
    return None


def learn(memory: LaneMemory, record_key: bytes, value: bytes) -> None:
    """Know what a fact says. Raises DecodeError where it is none of ours."""
    if record_key.startswith(STEP) and value[:HEAD_BYTES] == STEP_FACT.head:
        fact = STEP_FACT.decode(value, HEAD_BYTES)
        if (step := _step_in(record_key)) is None:
            raise DecodeError("eventcore.StepFact", "key", f"{record_key[:40]!r} names no step")
        memory.steps[step] = StepMemory(_decided(fact.do), _decided(fact.undo))
    elif record_key.startswith(STOPPED) and value[:HEAD_BYTES] == STOPPED_FACT.head:
        _learn_stopped(memory, record_key[len(STOPPED) :], STOPPED_FACT.decode(value, HEAD_BYTES))
    elif record_key.startswith(WAITING) and value[:HEAD_BYTES] == WAITING_FACT.head:
        waits = WAITING_FACT.decode(value, HEAD_BYTES)
        memory.waiting.restore(waits.key, waits.place, _waits(record_key[len(WAITING) :], waits))
    else:
        raise DecodeError("a fact of a lane", "", f"the key {record_key[:40]!r} with a value of {value[:10].hex(' ')}")


def _step_in(record_key: bytes) -> StepKey | None:
    try:
        return msgspec.json.decode(record_key[len(STEP) :], type=tuple[str, str, str])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # somebody else's: it is taken out of the topic


def _stopped(memory: LaneMemory, key: bytes) -> bytes | None:
    said, foreign = memory.quarantined.get(key), memory.foreign.get(key)
    if said is not None and said == memory.judged.get(key) and not memory.waiting.of(key):
        said = None  # only the state tells, which each restore judges anew
    fact = StoppedFact(
        said,
        memory.unsound.get(key) if key not in memory.judged else None,
        None if foreign is None else foreign.why,
        0 if foreign is None else foreign.offset,
        memory.passed.get(key, 0),
    )
    return None if fact == StoppedFact() else STOPPED_FACT.write(fact)


def _learn_stopped(memory: LaneMemory, key: bytes, fact: StoppedFact) -> None:
    if fact.said is not None:
        memory.quarantined[key] = fact.said
    if fact.unsound is not None:
        memory.unsound[key] = fact.unsound
    if fact.foreign is not None:
        memory.foreign[key] = Foreign(fact.foreign_at, fact.foreign)
    if fact.passed:
        memory.passed[key] = fact.passed


def _waiting(memory: LaneMemory, command_id: bytes) -> bytes | None:
    found = memory.waiting.placed(command_id)
    if found is None:
        return None
    key, place, waiting = found
    o = waiting.options
    return WAITING_FACT.write(
        WaitingFact(
            key,
            place,
            waiting.value,
            waiting.version,
            waiting.reason,
            waiting.message,
            o.expected_version,
            o.source,
            o.step,
            o.expires,
            o.code,
            o.trace,
        )
    )


def _waits(command_id: bytes, f: WaitingFact) -> Waiting:
    options = Options(f.expected_version, f.source, f.step, None, f.expires, f.code, f.trace)
    return Waiting(command_id, f.value, NOTHING if options == NOTHING else options, f.version, f.reason, f.message)


def _answer(decided: Decided | None) -> Answer | None:
    return None if decided is None else Answer(*decided)


def _decided(answer: Answer | None) -> Decided | None:
    return None if answer is None else Decided(answer.kind, answer.version, answer.reason, answer.message)
