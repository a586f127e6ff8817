"""Induction by enumeration: from every typed state that satisfies the invariants, one turn keeps them.

No search and no bound on depth: where it holds and the initial states satisfy the invariants, they hold for ever. It asks
more than a search does, since it starts from states that nothing may ever reach. A counterexample is therefore a
question: is this state reachable? If it is, there is a bug; if not, an invariant is missing that says so.

N1  It holds only where the typed states were enumerated whole, every command was, and no step led out of what was
    enumerated. Otherwise nothing is proved beyond what was tried. Where a scope declares some of the values of a field,
    what was enumerated is a part of the typed states: then it speaks of that part, and of all that is reachable only
    where the initial states lie in it.
N2  Invariants and properties that are claimed of all states are one conjunction: all are assumed, each is judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from eventcore.aggregate import Aggregate
from eventcore.annotations import unknown_in
from eventcore.check.abstraction import Abstraction, settled_for
from eventcore.check.aggregate import AggregateMachine
from eventcore.check.checked import Checked
from eventcore.check.domain import Domains, Leaf
from eventcore.check.judge import Judge
from eventcore.check.machine import Fault, unsteady_in
from eventcore.check.matrix_cells import Judged
from eventcore.check.report import Verdict
from eventcore.check.run import silent
from eventcore.check.sampled import without_contexts
from eventcore.check.scope import Bounds
from eventcore.check.search import Explored, Noticed, Plan, search
from eventcore.check.source import shown
from eventcore.errors import NotSupported
from eventcore.turn import Accepted, Violated

TURNS_MAX = 2_000_000  # typed states times commands: some ten seconds
Reach = Literal["reachable", "unreachable", "unknown"]


@dataclass(frozen=True)
class Typed:
    """The states that the types allow, and those of them that satisfy the invariants, where they could be listed.

    `size` is None where there is no end. Where `complete` is false, `satisfying` is empty and `why` says why.
    """

    size: int | None
    complete: bool
    satisfying: Sequence[Any]
    why: str = ""
    leaves: Sequence[Leaf] = ()

    @property
    def narrow(self) -> Sequence[Leaf]:
        """The fields of which a declaration gives other values than all that the type has: then this is a part of the states."""
        return [leaf for leaf in self.leaves if leaf.evidence == "declared" and leaf.tried != leaf.typed]

    @property
    def whole(self) -> bool:
        """Whether they are all that the types allow."""
        return self.complete and not self.narrow


@dataclass(frozen=True)
class Question:
    """A counterexample to induction: from `before`, `command` breaks `name`; `reach` says whether `before` is reachable."""

    name: str
    message: str
    reach: Reach
    before: Any
    command: Any
    events: Sequence[Any]
    hints: Sequence[str] = ()


@dataclass(frozen=True)
class Induction:
    """The answer: how many states there were, how many steps were taken from them, and what does not hold.

    Where `declared` names fields, the states were those with the values that the scope declares for these. Where they were
    not `listed`, since they have no end or are too many, `satisfying` and `steps` are zero.
    """

    name: str
    verdict: Verdict
    typed: int | None
    satisfying: int
    steps: int
    leaving: int
    questions: Sequence[Question]
    reasons: Sequence[str]
    reachable: int
    exhausted: bool
    claims: Sequence[str] = field(default_factory=tuple[str, ...])
    declared: Sequence[str] = field(default_factory=tuple[str, ...])
    listed: bool = True


def typed_states(checked: Checked[Any, Any, Any], cells: Abstraction) -> Typed:
    """Every state that the types and the declared domains allow and the invariants too; none where they are too many.

    Raises UnknownName where the abstraction declares values for a field that there is none of.
    """
    aggregate = checked.aggregate
    domains = Domains(cells.states)
    try:
        domain = domains.of_class(aggregate.state_type)
    except NotSupported as unknown:
        return Typed(None, complete=False, satisfying=(), why=str(unknown))
    domains.refuse_unused((aggregate.state_type,))
    sampled = [leaf.where for leaf in domain.leaves if leaf.evidence == "sampled"]
    if sampled:
        return Typed(
            None,
            complete=False,
            satisfying=(),
            why=f"the values of {', '.join(sampled)} have no end",
            leaves=domain.leaves,
        )
    machine = AggregateMachine(checked)
    if domain.size * len(machine.commands) > TURNS_MAX:
        why = f"{domain.size:,} typed states and {len(machine.commands):,} commands are more than {TURNS_MAX:,} turns"
        return Typed(domain.size, complete=False, satisfying=(), why=why, leaves=domain.leaves)
    judge = Judge(machine)
    satisfying = [state for state in domain.make() if judge.holds(state)]
    return Typed(domain.size, complete=True, satisfying=satisfying, leaves=domain.leaves)


def sweep(
    machine: AggregateMachine, typed: Typed, cells: Abstraction | None = None, *, of_steps: bool = False
) -> Iterator[tuple[Any, Sequence[Judged]]]:
    """Every typed state with what comes of each step from it; claims of steps are judged where `of_steps` says so."""
    judge = Judge(machine, typed.satisfying, of_steps=of_steps)
    return ((state, judge.steps(state, cells)) for state in typed.satisfying)


def induction(
    what: Aggregate[Any, Any, Any] | Checked[Any, Any, Any],
    abstraction: Abstraction | None = None,
    *,
    bounds: Bounds = Bounds(),  # noqa: B008 - a value that cannot change
) -> Induction:
    """Take one turn from every typed state that satisfies the invariants, and ask about those that break them.

    The scope is searched as well, to say of each counterexample whether its state is reachable. Raises CallerError
    where the scope or the abstraction does not fit.
    """
    checked = what if isinstance(what, Checked) else Checked(what)
    cells = settled_for(checked.aggregate.state_type, abstraction or checked.abstraction, checked.scope.unread)
    machine = AggregateMachine(checked)
    typed = typed_states(checked, cells)
    found = search(machine, Plan(within=machine.judged.scope.within, bounds=bounds, keep_going=True), silent)
    exhausted = found.exhausted and not (_sampled(machine) or unsteady_in(found.noticed) or anything_in(machine))
    reached, inside = set(found.states), set(typed.satisfying)
    steps = leaving = 0
    wrongs: list[Noticed | Fault] = [*found.noticed]
    questions: dict[tuple[str, Reach], Question] = {}
    for state, judged in sweep(machine, typed):
        for label, _, outcome, _ in judged:
            steps += 1
            if isinstance(outcome, Accepted):
                leaving += outcome.state not in inside
            elif isinstance(outcome, Violated | Fault):
                wrongs += [outcome] if isinstance(outcome, Fault) else []
                reach: Reach = "reachable" if state in reached else "unreachable" if exhausted else "unknown"
                name = outcome.invariant if isinstance(outcome, Violated) else outcome.name
                if (name, reach) not in questions:
                    questions[name, reach] = _question(machine, found, cells, state, label, outcome, reach)
    blocking = [*([typed.why] if typed.why else []), *_sampled(machine), *unsteady_in(wrongs)]
    if leaving:
        blocking.append(
            f"{leaving:,} steps lead to states that were not enumerated, and nothing is known of what follows"
        )
    wrong = _wrong_start(machine, found)
    broken = wrong is not None or any(each.reach == "reachable" for each in questions.values())
    outside = next((n for n, state in enumerate(found.states) if state not in inside), None)
    if typed.complete and not broken and outside is not None:
        kind = "initial" if outside < found.initial else "reachable"
        blocking.append(f"the {kind} state {shown(found.states[outside])} is not among the states that were enumerated")
    reasons = [*([] if wrong is None else [wrong]), *blocking]
    reasons += [f"{leaf.where} took {leaf.shown}, as declared" for leaf in typed.narrow]
    return Induction(
        name=machine.name,
        verdict="fail" if broken else "inconclusive" if questions or blocking else "pass",
        typed=typed.size,
        satisfying=len(typed.satisfying),
        steps=steps,
        leaving=leaving,
        questions=sorted(
            questions.values(), key=lambda each: ("reachable", "unknown", "unreachable").index(each.reach)
        ),
        reasons=reasons,
        reachable=len(found.states),
        exhausted=exhausted,
        claims=_claims(checked),
        declared=[leaf.where for leaf in typed.narrow],
        listed=typed.complete,
    )


def _claims(checked: Checked[Any, Any, Any]) -> list[str]:
    names = [guard.name for guard in checked.aggregate.guards]
    return [*names, *(each.name for each in checked.properties if each.kind == "always")]


def _wrong_start(machine: AggregateMachine, found: Explored) -> str | None:
    """What is wrong with an initial state that does not satisfy what is claimed of all states; None where all do."""
    judge = Judge(machine)
    wrong = next((state for state in found.states[: found.initial] if not judge.holds(state)), None)
    return None if wrong is None else f"the initial state {shown(wrong)} does not satisfy all of it"


def sampled_columns(machine: AggregateMachine) -> set[str]:
    """The kinds of commands of which only samples are tried: of their fields, or of the contexts they are decided in."""
    domains = Domains(machine.checked.scope)
    one_context = without_contexts(machine)
    kinds = machine.aggregate.command_checks
    return {cls.__name__ for cls in kinds if one_context or domains.of_class(cls).evidence == "sampled"}


def anything_in(machine: AggregateMachine) -> list[str]:
    """The fields of states and events that are typed Any: what was met of them may not be all that there is."""
    classes = (machine.aggregate.state_type, *machine.aggregate.event_checks)
    return [where for cls in classes for where in unknown_in(cls)]


def _sampled(machine: AggregateMachine) -> list[str]:
    fields = [f"{leaf.where} was sampled" for leaf in machine.leaves if leaf.evidence == "sampled"]
    if without_contexts(machine):
        fields.append("decide takes a Context, and one time and one command id were tried")
    return list(dict.fromkeys(fields))


def _question(
    machine: AggregateMachine,
    found: Explored,
    cells: Abstraction,
    state: Any,
    label: Any,
    outcome: Violated | Fault,
    reach: Reach,
) -> Question:
    command, context = machine.asked(label)
    if isinstance(outcome, Fault):
        return Question(outcome.name, outcome.message, reach, state, command, (), _hints(found, cells, state))
    decide: Any = machine.aggregate.decide
    events = decide(state, command, context) if machine.aggregate.takes_context else decide(state, command)
    name = outcome.invariant
    return Question(name, f"{name} is false after it", reach, state, command, events, _hints(found, cells, state))


def _hints(found: Explored, cells: Abstraction, state: Any) -> list[str]:
    """What is true of every state that was reached and not of this one: candidates for the invariant that is missing."""
    hints: list[str] = []
    for each in cells.parts:
        ours = each.label(state)
        met = {each.label(other) for other in found.states}
        if ours not in met:
            hints.append(f"{each.name} is {ours} here, and in every state that was reached {_either(sorted(met))}")
    return hints


def _either(labels: Sequence[str]) -> str:
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} or {labels[-1]}"
