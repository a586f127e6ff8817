"""Every error that eventcore raises, split by blame: the domain, the caller, the data, the world.

EventcoreError
├── Refusal                 the domain said no, with a stable reason
├── CallerError             wrong use
│   ├── NotSupported        a value class, aggregate, projection or saga that breaks the rules of definition
│   ├── InvalidValue        a value outside its declared type or bounds
│   ├── UnknownName         no such aggregate, command, event, projection, saga or topic
│   ├── WrongUse            the right thing at the wrong time or place
│   └── FoldFailed          a projection's fold raised, or returned what cannot be its row
├── DataError               bytes that cannot be what they claim
│   ├── DecodeError         a body that its schema does not explain
│   ├── UnknownFraming      a record that does not begin as any framing that we read
│   ├── UnknownSchema       a fingerprint that the catalogue of this topic does not hold
│   └── BrokenLog           a log whose versions, terms or sequences are not contiguous
└── SystemFault             the world
    ├── Fenced              another process owns this now; nothing was written
    ├── OwnedElsewhere      another process owns this, and it is alive
    ├── LogUnavailable      the log does not answer
    ├── ViewsUnavailable    the views database does not answer
    ├── OutcomeUnknown      it was sent, and no answer came: ask again with the same id
    └── TimedOut            a wait ended before what it waited for
"""

from __future__ import annotations


class EventcoreError(Exception):
    """The root of every error that eventcore raises on purpose."""


class Refusal(EventcoreError):
    """The domain said no: `reason` is a stable name that sagas dispatch on, `message` is for people."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(f"{reason}: {message}" if message else reason)
        self.reason = str(reason)  # of a StrEnum member: its value, which is what the log will say
        self.message = str(message)


class CallerError(EventcoreError):
    """The framework was used in a way that cannot work."""


class NotSupported(CallerError):
    """A definition breaks a rule; the message says which, and what to write instead."""


class InvalidValue(CallerError):
    """A value lies outside its declared type or bounds; `path` names the field, as `Deposit.amount`."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class UnknownName(CallerError):
    """A name that nothing in the app bears; the message lists those that exist."""

    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        listed = ", ".join(sorted(known)) or "none"
        super().__init__(f"no {kind} is named {name!r}; the {kind} names here are: {listed}")
        self.kind = kind
        self.name = name


class WrongUse(CallerError):
    """The right call at the wrong time: after close, twice, or in another state."""


class FoldFailed(CallerError):
    """A projection's fold raised, or returned what cannot be its row; the projection halts at `position`."""

    def __init__(self, projection: str, position: str, event: object, problem: str) -> None:
        super().__init__(
            f"projection {projection} halts at {position}: its fold of {event!r} {problem}. Nothing from there on was "
            "written. Correct the fold and start again: it goes on at this event. If rows written before are wrong as "
            "well, give the projection another name, and it is filled from the beginning."
        )
        self.projection = projection
        self.position = position
        self.problem = problem


class DataError(EventcoreError):
    """Bytes from outside that cannot be taken for what they claim to be."""


class DecodeError(DataError):
    """A body does not decode with the schema it names: `schema`, `field` and `reason` say where and why."""

    def __init__(self, schema: str, field: str, reason: str) -> None:
        super().__init__(f"{schema}{f'.{field}' if field else ''}: {reason}")
        self.schema = schema
        self.field = field
        self.reason = reason


class UnknownFraming(DataError):
    """A record begins with bytes that belong to no framing that we read."""

    def __init__(self, head: bytes) -> None:
        super().__init__(
            f"the record begins with {head[:10].hex(' ') or 'nothing'}; expected c3 01 (Avro single-object encoding). "
            "Usually another program writes to this topic."
        )
        self.head = head[:10]


class UnknownSchema(DataError):
    """A fingerprint that nothing in this topic's catalogue bears: most often a rollback, or a reader deployed late."""

    def __init__(self, fingerprint: bytes) -> None:
        super().__init__(
            f"schema fingerprint {fingerprint.hex()} is not in this topic's catalogue. "
            "Usual causes: the writer runs newer code than this reader, or another program writes to this topic."
        )
        self.fingerprint = fingerprint


class BrokenLog(DataError):
    """A log contradicts itself: a gap or a repeat in versions, terms or sequences, at `position`."""

    def __init__(self, position: str, problem: str) -> None:
        super().__init__(
            f"{position}: {problem}. Usual causes: another producer wrote to this topic, or records were deleted from it."
        )
        self.position = position
        self.problem = problem


class SystemFault(EventcoreError):
    """The world failed: a server, a connection, another process."""


class Fenced(SystemFault):
    """A newer owner took over; what this process tried to write was not written."""


class OwnedElsewhere(SystemFault):
    """Another live process owns this; the message names it."""


class LogUnavailable(SystemFault):
    """The log cannot be reached, or refused for a reason that may pass."""


class ViewsUnavailable(SystemFault):
    """The views database cannot be reached, or refused for a reason that may pass."""


class OutcomeUnknown(SystemFault):
    """The command was sent and no outcome was seen in time: it may yet be decided. Ask again with the same id."""


class TimedOut(SystemFault):
    """A wait ended before what it waited for; the message says how far it came."""
