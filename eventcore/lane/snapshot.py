"""Judging whether what a lane's snapshots topic says is to be trusted, and knowing it.

It is, if the last checkpoint was made by code that folds as this code does, with these schemas, and everything can be read
and stands where it says. Anything else is no fault: events and outcomes tell the same, and more slowly.
"""

from __future__ import annotations

import logging
import struct

from eventcore.avro.facts import LANE_STATE, LaneState
from eventcore.avro.framing import HEAD_BYTES
from eventcore.avro.snapshot import HEAD, STATE_AT, read_snapshot
from eventcore.errors import DataError, DecodeError
from eventcore.lane.checkpoint import Trust
from eventcore.lane.facts import FACT, LANE, learn
from eventcore.lane.memory import Decided, LaneMemory
from eventcore.lane.window import Window
from eventcore.log.port import Log
from eventcore.topics import Topics

logger = logging.getLogger(__name__)

SHORT = struct.Struct(">10sQB")  # a snapshot whose state is shorter than 64 bytes, up to where that begins
FRAMED_AT = STATE_AT + 1

Found = dict[bytes, bytes]  # the last value of each key


def trusted(
    found: Found, trust: Trust, log: Log, topics: Topics, partition: int, window: Window[Decided | int]
) -> tuple[LaneMemory, LaneState] | None:
    """What a lane knew at its last checkpoint or later, and that checkpoint; None where it is not to be trusted.

    `window` is an empty one, as the lane wants it.
    """
    where = f"{topics.snapshots}[{partition}]"
    if trust.unseen is not None:
        logger.warning(
            "%s: no checkpoint is used or made, since nobody can tell whether another program's states are this one's: "
            "%s. Import at the top of a module what evolve needs. Until then everything is read at each start",
            where,
            trust.unseen,
        )
        return None
    if LANE not in found or trust.codec is None:
        return None
    try:
        state = _state_in(found[LANE])
        if (why := _doubt(state, trust, log, topics, partition, window.size)) is not None:
            logger.info(
                "%s: the checkpoint is not used, %s: events and outcomes are read from the beginning", where, why
            )
            return None
        return _memory(found, trust, state, window), state
    except DataError as bad:
        logger.warning("%s cannot be read, %s: events and outcomes are read from the beginning", where, bad)
        return None


def _state_in(value: bytes) -> LaneState:
    if value[:HEAD_BYTES] != LANE_STATE.head:
        raise DecodeError(LANE_STATE.name, "", f"the record begins with {value[:HEAD_BYTES].hex(' ')}")
    state: LaneState = LANE_STATE.decode(value, HEAD_BYTES)
    return state


def _doubt(state: LaneState, trust: Trust, log: Log, topics: Topics, partition: int, window: int) -> str | None:
    if state.trusted != trust.mark:
        return "it was made by other code or with other schemas"
    if state.window != window:
        return f"its window has generations of {state.window}, ours of {window}"
    for topic, place in ((topics.events, state.events), (topics.outcomes, state.outcomes)):
        first, end = log.beginning(topic, partition), log.end(topic, partition)
        if not first <= place.offset <= end:
            return f"it names {topic}[{partition}]@{place.offset}, which has @{first} to @{end}"
    return None


def _memory(found: Found, trust: Trust, state: LaneState, window: Window[Decided | int]) -> LaneMemory:
    assert trust.codec is not None, "asked before"
    window.generation = state.generation
    for source in state.delivered:
        window.deliver(source)
    window.at_newer, window.at_older = dict(window.delivered), dict(window.delivered)
    memory = LaneMemory(decided=window)
    instances, head, decode = memory.instances, trust.codec.head, trust.codec.decode
    for key, value in found.items():
        if key[0] != FACT:
            if len(value) > FRAMED_AT and value[FRAMED_AT : FRAMED_AT + HEAD_BYTES] == head:
                begin, version, size = SHORT.unpack_from(value)
                if begin == HEAD and size == len(value) - FRAMED_AT << 1 and size <= 0x7F:
                    instances[key] = (decode(value, FRAMED_AT + HEAD_BYTES), version)
                    continue
            version, framed = read_snapshot(value)  # whatever is not a short state of this schema
            if framed[:HEAD_BYTES] != head:
                raise DecodeError("eventcore.Snapshot", "state", f"{key!r} has a state of another schema")
            instances[key] = (decode(framed, HEAD_BYTES), version)
        elif key != LANE:
            learn(memory, key, value)
    memory.waiting.in_order()
    return memory
