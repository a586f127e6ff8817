"""Which records of a lane's topics are the lane's own: those that come after the one before in every respect.

A lane gives each record the next sequence, a term that never falls, a stamp that grows (the events of one turn share it),
and the offset of its command as cause, which never falls. A record that another program wrote there, a copy of ours with
something changed in it too, contradicts at least one of these and is *foreign*. Only what is later in all four and leaves
out sequences shows that records of ours are missing: a *gap*, behind which nobody can tell a state.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from eventcore.avro.envelope import Envelope, read_envelope
from eventcore.avro.outcome import OutcomeRecord, read_outcome
from eventcore.errors import DataError
from eventcore.log.port import Recorded

Kind = Literal["events", "outcomes"]
Standing = Literal["own", "foreign", "gap"]


class Placed(Protocol):
    """What an envelope of an event, and an outcome, say of their place."""

    @property
    def sequence(self) -> int:
        """The number among the lane's records of this topic, from 1."""
        ...

    @property
    def term(self) -> int:
        """The lane's term."""
        ...

    @property
    def stamp(self) -> int:
        """The turn's hybrid clock."""
        ...

    @property
    def cause(self) -> int:
        """The offset of the command."""
        ...


class Mark(NamedTuple):
    """A place by itself; zeros in what is not known of it."""

    sequence: int = 0
    term: int = 0
    stamp: int = 0
    cause: int = 0


BEFORE_ALL = Mark()


def placed_in(record: Recorded, kind: Kind) -> Envelope | OutcomeRecord | None:
    """What a record of such a topic says of its place; None where no lane can have written it."""
    try:
        return read_envelope(record.envelope) if kind == "events" else read_outcome(record.value)
    except DataError:
        return None


def standing_of(placed: Envelope | OutcomeRecord, last: Placed) -> Standing:
    """What an event with this envelope, or an outcome, is after `last`."""
    return standing_of_event(placed, last) if isinstance(placed, Envelope) else standing_of_outcome(placed, last)


def standing_of_event(envelope: Envelope, last: Placed) -> Standing:
    """What an event with this envelope is, after `last`."""
    turn_goes_on = (
        envelope.index > 0
        and envelope.stamp == last.stamp
        and envelope.cause == last.cause
        and envelope.index >= envelope.sequence - last.sequence
    )
    return _standing(envelope, last, turn_goes_on=turn_goes_on)


def standing_of_outcome(outcome: OutcomeRecord, last: Placed) -> Standing:
    """What an outcome is, after `last`."""
    return _standing(outcome, last, turn_goes_on=False)


def _standing(record: Placed, last: Placed, *, turn_goes_on: bool) -> Standing:
    if (
        record.sequence <= last.sequence
        or record.term < last.term
        or record.cause < last.cause
        or not (record.stamp > last.stamp or turn_goes_on or not last.stamp)
    ):
        return "foreign"
    if record.sequence == last.sequence + 1:
        return "own"
    # Several turns may have one cause, but what shows that others are missing must not be a copy of the last of ours.
    return "gap" if turn_goes_on or record.cause > last.cause or not last.sequence else "foreign"
