"""An aggregate as a machine: its own decide and evolve, through the one `take_turn`, in a scope.

A search takes many more turns than it finds states, so a turn is taken twice in two manners. The first is *lean*: the
aggregate without invariants; it says where the turn leads, and most turns lead nowhere new. The state is validated all
the same, since what equals a known state need not be one: 2.0 equals 2, and a text equals a member of a StrEnum. A turn
that leads to a new state is then *confirmed*: taken again by the aggregate as it is, invariants and all. So every state
is judged as in production, and every turn that found one was run twice and compared.
"""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable, Iterable, Sequence
from types import CodeType
from typing import Any, NamedTuple

from eventcore.aggregate import Aggregate
from eventcore.annotations import shape_of
from eventcore.avro.codec import Codec, codec_for
from eventcore.check.checked import Checked
from eventcore.check.domain import contexts_leaf, instances, typed_size
from eventcore.check.equality import odd_in
from eventcore.check.machine import Fault, Outcome, Refusals
from eventcore.check.remember import Remembered
from eventcore.check.sharing import is_open, sharing
from eventcore.check.source import shown
from eventcore.check.twice import anew
from eventcore.check.unread import PassedOn, hiding, refuse_hidden
from eventcore.check.unseeing import unseeing
from eventcore.context import Context
from eventcore.errors import EventcoreError, NotSupported
from eventcore.turn import VALID_EVENT, VALID_STATE, Accepted, Refused, Violated, take_turn
from eventcore.value import Value

NOWHEN = Context(0, bytes(16))
CODED_ALL, CODED_SHARE = 10_000, 16  # states whose codec is tried: so many at first, then one of so many
FAULTS = (Exception, SystemExit, GeneratorExit)  # all that code may raise but Ctrl-C
LIKELY = "the clock, randomness, iteration over a set, a default or a global that was changed in place, identity (`is`)"


class Asked(NamedTuple):
    """The label of a step where contexts are part of the scope: what was asked, and when."""

    command: Any
    context: Context


class AggregateMachine:
    """An aggregate in its scope, as a search takes it. `leaves` say what is known of the commands' fields.

    `judged` are the claims of `checked` as they are asked: about states whose unread fields are hidden.

    Raises CallerError where the scope does not fit the aggregate.
    """

    def __init__(self, checked: Checked[Any, Any, Any]) -> None:
        self.checked = checked
        self.aggregate: Aggregate[Any, Any, Any] = checked.aggregate
        self.name = self.aggregate.name
        commands, self.leaves = instances(tuple(self.aggregate.command_checks), checked.scope)
        declared = dict.fromkeys(checked.scope.contexts) if self.aggregate.takes_context else {}
        self.contexts: Sequence[Context] = tuple(declared) or (NOWHEN,)
        if declared:
            self.leaves = (*self.leaves, contexts_leaf(self.contexts))
        self.commands: Sequence[Any] = commands
        if len(self.contexts) > 1:
            self.commands = [Asked(command, context) for command in commands for context in self.contexts]
        self.typed = typed_size(self.aggregate.state_type)
        self.coded = 0
        self._enforced = frozenset(checked.enforced)
        self._codecs: dict[type[Value], Codec[Any]] = {}
        self._refuse_strange(self.aggregate.initial())
        self._rebuild = sharing(self.aggregate.state_type)
        self._hide: Callable[[Any], Any] | None = None
        self.judged = checked
        full = self.aggregate
        if checked.scope.unread:
            self._hide, self._plain_state = hiding(full.state_type, checked.scope.unread, full.initial())
            self.judged = unseeing(checked, self._hide)
            full = _noticing(full, self._plain_state)
        self._full = full
        self._lean = _changed(full, guards=())
        self._unjudged = _changed(full, guards=(), state_check=_anything)
        self._turned = _turning(self._unjudged)
        state_type: type[Value] = full.state_type
        self.open = [field.name for field in shape_of(state_type) if is_open(field.shape)]
        never = (*self.open, *checked.scope.unread)
        self._remembered = Remembered(self._lean, self.commands, self.asked, never)

    def _refuse_strange(self, state: Any) -> None:
        """Raise NotSupported where states are not told apart by the values of their fields."""
        same = anew(state)
        if same != state or hash(same) != hash(state):
            name = self.aggregate.state_type.__name__
            raise NotSupported(
                f"{self.name}: two {name}s with equal fields are not equal, so no search could know a state again. "
                "A state is compared by its fields: leave out eq=False, and any __eq__ or __hash__ of its own."
            )
        for cls in (self.aggregate.state_type, *self.aggregate.command_checks):
            if (why := odd_in(cls)) is not None:
                raise NotSupported(
                    f"{self.name}: {why}, so two that are unlike could be taken for one, and one of them left out. States "
                    "and commands are compared by their fields, and so is what they hold: leave out eq=False, and any "
                    "__eq__ or __hash__ of their own."
                )

    def hide(self, state: Any) -> Any:
        """A state as code and claims are shown it: without what the fields hold that nobody reads."""
        return state if self._hide is None else self._hide(state)

    def initial(self) -> Iterable[Any]:
        """The states to begin in. Raises InvalidValue and NotSupported for one that the aggregate could never be in."""
        given = self.checked.initial
        if given is None:
            return [self.aggregate.initial()]
        try:
            starts = list(given())
            for state in starts:
                self._check_start(state)
            starts = list(dict.fromkeys(starts if self._hide is None else map(self._plain_state, starts)))
        except FAULTS as error:
            if isinstance(error, EventcoreError):
                raise
            raise NotSupported(f"{self.name}: its initial states raise {type(error).__name__}: {error}.") from error
        if not starts:
            raise NotSupported(f"{self.name}: the scope gives no initial state at all.")
        return starts

    def _check_start(self, state: Any) -> None:
        if type(state) is not self.aggregate.state_type:
            wanted = self.aggregate.state_type.__name__
            raise NotSupported(f"{self.name}: the initial state {state!r} is not of the class {wanted}.")
        self.aggregate.state_check(state)
        for guard in self.aggregate.guards:
            if not guard.holds(state):
                raise NotSupported(f"{self.name}: the initial state {state!r} breaks the invariant {guard.name}.")

    def steps(self, state: Any) -> Sequence[tuple[Any, Outcome]]:
        """What each command leads to. Invariants are not judged here; see `confirm`."""
        hidden = self.hide(state)
        try:
            steps = self._remembered.steps(hidden)
        except FAULTS:  # taken again one at a time, where each is caught, named and reported
            steps = [(label, self._carefully(self._lean, hidden, label)) for label in self.commands]
        return steps if self._hide is None else [(label, self._clean(outcome)) for label, outcome in steps]

    def take(self, state: Any, label: Any) -> Outcome:
        """What one label leads to, as one of `steps`."""
        return self._taken(self._lean, state, label)

    def unjudged(self, state: Any, label: Any) -> Accepted[Any, Any] | None:
        """Where a turn would lead if nobody minded its state; None where it leads nowhere."""
        outcome = self._taken(self._unjudged, state, label)
        return outcome if isinstance(outcome, Accepted) else None

    def _taken(self, aggregate: Aggregate[Any, Any, Any], state: Any, label: Any) -> Outcome:
        outcome = self._carefully(aggregate, self.hide(state), label)
        return outcome if self._hide is None else self._clean(outcome)

    def _clean(self, outcome: Outcome) -> Outcome:
        return Accepted(outcome.events, self._plain_state(outcome.state)) if isinstance(outcome, Accepted) else outcome

    def _carefully(
        self, aggregate: Aggregate[Any, Any, Any], state: Any, asked: Any
    ) -> Accepted[Any, Any] | Refused | Violated | Fault:
        command, context = self.asked(asked)
        try:
            outcome = take_turn(aggregate, state, command, context)
        except FAULTS as error:  # whatever the user's code raises is the finding
            return self._fault(error, state, command, context)
        if isinstance(outcome, Accepted):
            return Accepted(list(outcome.events), outcome.state)  # decide may keep its list and change it later
        return outcome

    def _fault(self, error: BaseException, state: Any, command: Any, context: Context) -> Fault:
        decide: Any = self.aggregate.decide
        if isinstance(error, PassedOn):
            return Fault("raises", error.by, str(error))
        if isinstance(error, EventcoreError) and _blamed(error, self.aggregate) == "take_turn":
            try:
                given = decide(state, command, context) if self.aggregate.takes_context else decide(state, command)
            except FAULTS as other:  # it did not raise a moment ago
                message = f"{shown(command)} gives {error} and then {type(other).__name__}: {other} on the same state"
                return Fault("non_deterministic", "decide", message, LIKELY)
            if given is None:
                message = f"decide returns nothing for {shown(command)}"
                return Fault("unhandled", "decide", message, f"no case of it matches {type(command).__name__}")
            if "evolve returned None" in str(error):
                kinds = ", ".join(sorted({type(event).__name__ for event in given}))
                return Fault("unhandled", "evolve", f"evolve returns nothing for {kinds}", "no case of it matches")
            return Fault("raises", "decide" if "decide" in str(error) else "evolve", str(error))
        name = _blamed(error, self.aggregate)
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{at.filename.rpartition('/')[2]}:{at.lineno}"
        return Fault("raises", name, f"{name} raises {type(error).__name__}: {error} ({where})")

    def asked(self, label: Any) -> tuple[Any, Context]:
        """The command and the context of a label."""
        return (label.command, label.context) if isinstance(label, Asked) else (label, self.contexts[0])

    def confirm(self, state: Any, label: Any, found: Accepted[Any, Any]) -> Refused | Violated | Fault | None:
        """Take a turn in full that was taken lean, and compare: what is wrong with it, or None."""
        outcome = self._carefully(self._full, self.hide(state), label)
        match outcome:
            case Accepted(events, following):
                same = following if self._hide is None else self._plain_state(following)
                if same != found.state or events != found.events:
                    return _differs(label, found, outcome)
                return self._survives(found) if self._tries_codec() else None
            case Violated(name, message, _) if name in self._enforced:
                return Refused(name, message)
            case Refused():
                return _differs(label, found, outcome)
            case _:
                return outcome

    def _tries_codec(self) -> bool:
        self.coded += 1
        return self.coded <= CODED_ALL or self.coded % CODED_SHARE == 0

    def _survives(self, found: Accepted[Any, Any]) -> Fault | None:
        """Whether the events and the state are the same after being written and read."""
        values: Sequence[Value] = (*found.events, found.state)
        return next((fault for fault in map(self._lost, values) if fault is not None), None)

    def _lost(self, value: Value) -> Fault | None:
        cls: type[Value] = value.__class__
        codec = self._codecs.get(cls)
        if codec is None:
            codec = self._codecs[cls] = codec_for(cls, f"check.{self.name}")
        try:
            read = codec.decode(codec.encode(value))
        except EventcoreError as error:
            return Fault("codec", cls.__name__, f"{shown(value)} cannot be written and read: {error}")
        return None if read == value else Fault("codec", cls.__name__, f"{shown(value)} is read as {shown(read)}")

    def again(self, state: Any, first: Sequence[tuple[Any, Outcome]]) -> tuple[Any, Fault] | None:
        """Take every turn afresh, once from `state` and once from an equal one made anew, its sets turned round.

        The two must agree, and so must the `first` time, some of whose decisions were remembered.
        """
        earlier = {id(label): outcome for label, outcome in first}
        refused = sum(sum(n for _, n in one.counts) for _, one in first if isinstance(one, Refusals))
        same = anew(state)
        for label in self.commands:
            fresh = self.take(state, label)
            if (fault := self._differs_from(same, label, fresh, state)) is not None:
                return label, fault
            before = earlier.get(id(label))
            if before is None:
                refused -= 1
            if before != fresh if before is not None else not isinstance(fresh, Refused) or refused < 0:
                message = f"{shown(self.asked(label)[0])} now gives {_told(fresh)}, and before another answer"
                return label, Fault("non_deterministic", "decide", message, LIKELY)
        return None

    def differs_anew(self, state: Any, label: Any, first: Outcome) -> Fault | None:
        """How a turn differs when it is taken from an equal state made anew."""
        return self._differs_from(anew(state), label, first, state)

    def _differs_from(self, same: Any, label: Any, first: Outcome, state: Any) -> Fault | None:
        """How a turn from `state` differs from that of the `same` state made anew, its command and events made anew as well.

        No type allows what takes part in that one, since its sets are Turned; so values that no type allows are compared too.
        """
        command, context = self.asked(label)
        other = self._taken(self._turned, same, Asked(anew(command), context))
        if isinstance(first, Violated) and first.invariant in (VALID_STATE, VALID_EVENT):
            first = self._taken(_unchecked(self._unjudged), state, label)
        return None if other == first else _differs(label, first, other)

    def compact(self, state: Any) -> Any:
        """The same state, its parts shared with all other states that hold equal ones."""
        return self._rebuild(state)


def _differs(label: Any, one: Outcome, other: Outcome) -> Fault:
    command = label.command if isinstance(label, Asked) else label
    message = f"{shown(command)} gives {_told(one)} and then {_told(other)} on the same state"
    return Fault("non_deterministic", "decide" if _events(one) != _events(other) else "evolve", message, LIKELY)


def _events(outcome: Outcome) -> object:
    return outcome.events if isinstance(outcome, Accepted) else outcome


def _told(outcome: Outcome) -> str:
    match outcome:
        case Accepted(events, state):
            return f"[{', '.join(map(shown, events))}] and {shown(state)}"
        case Refused(reason):
            return f"a refusal ({reason})"
        case Refusals():
            return "refusals"
        case Violated(name):
            return f"a violation ({name})"
        case Fault(message=message):
            return message


def _blamed(error: BaseException, aggregate: Aggregate[Any, Any, Any]) -> str:
    """Which function of the aggregate an error came out of, by the frames that it went through."""
    codes: dict[CodeType, str] = {}
    for name, function in (("decide", aggregate.decide), ("evolve", aggregate.evolve)):
        codes[_code(function)] = name
    for guard in aggregate.guards:
        if hasattr(guard.holds, "__code__"):
            codes[_code(guard.holds)] = guard.name
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code in codes:
            return codes[frame.f_code]
    return "take_turn"


def _code(function: Any) -> CodeType:
    code: CodeType = function.__code__
    return code


def _anything(_: Value) -> None:
    """The validation of what is shown, whatever it is."""


def _unchecked(aggregate: Aggregate[Any, Any, Any]) -> Aggregate[Any, Any, Any]:
    """The aggregate, whatever its events hold."""
    return _changed(aggregate, event_checks=dict.fromkeys(aggregate.event_checks, _anything))


def _turning(aggregate: Aggregate[Any, Any, Any]) -> Aggregate[Any, Any, Any]:
    """The aggregate that takes in every event made anew."""
    evolve: Callable[[Any, Any], Any] = aggregate.evolve

    def turned(state: Any, event: Any) -> Any:
        return evolve(state, anew(event))

    return _changed(_unchecked(aggregate), evolve=turned)


def _noticing(aggregate: Aggregate[Any, Any, Any], clean: Callable[[Any], Any]) -> Aggregate[Any, Any, Any]:
    """The aggregate for states whose unread fields are hidden: it notices where such a value is put anywhere else."""
    state_check = aggregate.state_check

    def check_state(state: Any) -> None:
        plain = clean(state)
        refuse_hidden(plain, "evolve")
        state_check(plain)

    def checking(check: Callable[[Any], None]) -> Callable[[Any], None]:
        def check_event(event: Any) -> None:
            refuse_hidden(event, "decide")
            check(event)

        return check_event

    events = {cls: checking(check) for cls, check in aggregate.event_checks.items()}
    return _changed(aggregate, state_check=check_state, event_checks=events)


def _changed(aggregate: Aggregate[Any, Any, Any], **parts: object) -> Aggregate[Any, Any, Any]:
    """A copy of an aggregate with some of its derived fields replaced."""
    changed = copy.copy(aggregate)
    for name, part in parts.items():
        object.__setattr__(changed, name, part)
    return changed
