"""Facts: what a lane itself remembers, as keyed records in its snapshots topic.

A fact is written in the transaction in which it changes, so the last record of each key is what the lane knew when it
last committed. `LaneState` alone is written now and then: it says from where on events and outcomes are to be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from eventcore.avro.codec import codec_for
from eventcore.avro.envelope import NAMESPACE, SagaStep, Source
from eventcore.avro.outcome import Kind
from eventcore.value import Value


class Place(Value):
    """Where to read on: an offset, and what the lane's record before it says of itself."""

    offset: int
    sequence: int
    term: int
    stamp: int
    cause: int


class LaneState(Value):
    """A checkpoint: all snapshots are at least as new as the events before `events`, if they are to be trusted.

    `trusted` says by which code and schemas: for others the snapshots are worth nothing. Outcomes are read from the
    beginning of the window of deduplication, whose generations are `window` outcomes long and begin with number
    `generation`; `delivered` is how far relays had come by then. `outcomes_until` is the outcome at the mark.
    """

    trusted: bytes
    events: Place
    outcomes: Place
    window: int
    generation: int
    delivered: tuple[Source, ...]
    outcomes_until: int


class Answer(Value):
    """A decision that was given."""

    kind: Kind
    version: int
    reason: str | None
    message: str | None


class StepFact(Value):
    """What became of a step of a saga."""

    do: Answer | None
    undo: Answer | None


class StoppedFact(Value):
    """What is known against an instance: said by outcomes, and met in its events."""

    said: str | None = None
    unsound: str | None = None
    foreign: str | None = None
    foreign_at: int = 0
    passed: int = 0


class WaitingFact(Value):
    """A command that waits behind a stopped instance, at its place in the order of all that came to wait."""

    key: bytes
    place: int
    value: bytes
    version: int
    reason: str
    message: str | None
    expected_version: int | None
    source: Source | None
    step: SagaStep | None
    expires: int | None
    code: bytes | None
    trace: str | None


LANE_STATE = codec_for(LaneState, NAMESPACE)
STEP_FACT = codec_for(StepFact, NAMESPACE)
STOPPED_FACT = codec_for(StoppedFact, NAMESPACE)
WAITING_FACT = codec_for(WaitingFact, NAMESPACE)

FACT_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "eventcore/LaneState": LANE_STATE.text,
        "eventcore/StepFact": STEP_FACT.text,
        "eventcore/StoppedFact": STOPPED_FACT.text,
        "eventcore/WaitingFact": WAITING_FACT.text,
    }
)
FACT_SCHEMAS: Mapping[bytes, str] = MappingProxyType(
    {codec.fingerprint: codec.text for codec in (LANE_STATE, STEP_FACT, STOPPED_FACT, WAITING_FACT)}
)
