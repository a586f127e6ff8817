"""What the ratchet keeps of a scope: the values that were tried and what was claimed, and what of it is gone or smaller.

R1  Values are compared one by one where both lists are in the file. Where one is too long for that, only equal lists are
    the same: of others nobody can say that nothing is missing, and so something may be.
R2  Fewer values of a type that is tried whole are a narrower type, which is no loss; fewer samples never showed anything.
R3  A field that the code no longer has cannot be tried. One that it has and that is only tried within declared instances
    is compared by instances.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import msgspec

from eventcore.annotations import shapes_within
from eventcore.check.aggregate import AggregateMachine
from eventcore.check.domain import Domains
from eventcore.check.equality import classes_within
from eventcore.check.scope import Scope
from eventcore.check.source import Source
from eventcore.value import Value

VALUES_MAX = 1_000  # kept one by one: some pages of a file that people look at
NAMED_MAX = 5  # of what is gone
WEIGHT = {"enumerated": 2, "declared": 1, "sampled": 0}


class Listed(msgspec.Struct, frozen=True):
    """Some values, whatever their order: how many, a hash of all, and each as source where there are at most VALUES_MAX."""

    count: int
    digest: str
    values: tuple[str, ...] = ()


class Field(msgspec.Struct, frozen=True):
    """How a field of the commands was tried, and with which values where a scope lists them."""

    evidence: str
    tried: int
    listed: Listed | None = None


class Command(msgspec.Struct, frozen=True):
    """How a kind of command was tried: by which fields or classes, of all that it has (`places`), with which instances."""

    evidence: str
    tried: int
    by: tuple[str, ...]
    places: tuple[str, ...]
    listed: Listed | None = None


class Claim(msgspec.Struct, frozen=True):
    """What kind of claim it is, and what is assumed to be fair."""

    kind: str
    fair: tuple[str, ...] = ()


class Tried(msgspec.Struct, frozen=True):
    """What a check tried and what it claimed. `contexts` is None where decide takes none, `initial` how many states it began in."""

    commands: dict[str, Command]
    fields: dict[str, Field]
    contexts: Listed | None
    initial: int
    claims: dict[str, Claim]
    enforced: tuple[str, ...]
    finished: bool


def tried_by(machine: AggregateMachine) -> Tried:
    """What a search of this machine tries and claims."""
    checked, aggregate = machine.checked, machine.aggregate
    domains = Domains(checked.scope)
    commands = {cls.__name__: _command(domains, cls) for cls in aggregate.command_checks}
    fields = {where for command in commands.values() for where in command.by}
    claims = {guard.name: Claim("invariant") for guard in aggregate.guards}
    claims |= {each.name: Claim(each.kind, tuple(sorted(map(str, each.fair)))) for each in checked.properties}
    return Tried(
        commands,
        {
            leaf.where: Field(leaf.evidence, leaf.tried, _declared(checked.scope, leaf.where))
            for leaf in machine.leaves
            if leaf.where in fields
        },
        _listed(checked.scope.contexts) if aggregate.takes_context else None,
        sum(1 for _ in machine.initial()),
        claims,
        tuple(sorted(checked.enforced)),
        checked.finished is not None,
    )


def _command(domains: Domains, cls: type[Value]) -> Command:
    domain = domains.of_class(cls)
    listed = _listed(domain.make()) if domain.evidence == "declared" else None
    by = tuple(dict.fromkeys(leaf.where for leaf in domain.leaves))
    return Command(domain.evidence, domain.size, by, tuple(dict.fromkeys(_places(cls))), listed)


def _places(cls: type[Value]) -> Iterator[str]:
    """A class, its fields, and those of the classes within them: all that a scope can speak of."""
    yield from (each.__name__ for each in classes_within(cls))
    yield from (f"{owner.__name__}.{name}" for owner, name, _ in shapes_within(cls))


def _declared(scope: Scope, where: str) -> Listed | None:
    """The values that a scope declares for a field or a class, where it lists them."""
    named = {key if isinstance(key, str) else key.__name__: values for key, values in scope.domains.items()}
    values = named.get(where, named.get(where.rpartition(".")[2]))
    return None if values is None else _listed(values)


def _listed(values: Iterable[object]) -> Listed:
    texts = sorted({Source().of(value) for value in values})
    digest = hashlib.blake2b("\n".join(texts).encode(), digest_size=8).hexdigest()
    return Listed(len(texts), digest, tuple(texts) if len(texts) <= VALUES_MAX else ())


# --- what is gone or smaller -----------------------------------------------------------------------------------------


def less_tried(before: Tried, now: Tried) -> Iterator[str]:
    """What was tried or claimed and is not any more."""
    for name, was in before.commands.items():
        if (command := now.commands.get(name)) is not None:  # that one is gone is told with the columns
            yield from _of_command(name, was, command)
    for where, old in before.fields.items():
        if (field := now.fields.get(where)) is not None:
            yield from _of_field(where, old, field)
    if before.contexts is not None and now.contexts is not None:
        yield from _gone(before.contexts, now.contexts, "decide is no longer tried in")
    if now.initial < before.initial:
        yield f"the search began in {before.initial:,} states and begins in {now.initial:,}"
    yield from _of_claims(before, now)


def _of_command(name: str, old: Command, new: Command) -> Iterator[str]:
    hidden = [where for where in old.by if where not in new.by and where in new.places]
    if not hidden or new.evidence == "enumerated" or old.evidence == "sampled":
        return
    if old.listed is None or new.listed is None:
        yield f"{name} was {old.evidence}, {old.tried:,} of it, and is {new.evidence}, {new.tried:,} of it"
        return
    yield from _gone(old.listed, new.listed, f"{name} is no longer tried as")


def _of_field(where: str, old: Field, new: Field) -> Iterator[str]:
    if WEIGHT[new.evidence] < WEIGHT[old.evidence]:
        yield f"{where} was {old.evidence} and is {new.evidence}"
    elif new.evidence == old.evidence == "declared":
        if new.tried < old.tried:
            yield f"{where} took {old.tried:,} values and takes {new.tried:,}"
        if old.listed is not None and new.listed is not None:
            yield from _gone(old.listed, new.listed, f"{where} no longer takes")


def _gone(old: Listed, new: Listed, said: str) -> Iterator[str]:
    if old.digest == new.digest:
        return
    if len(old.values) < old.count or len(new.values) < new.count:
        yield f"{said} the same values, {old.count:,} then and {new.count:,} now, which are too many to compare one by one"
        return
    gone = [value for value in old.values if value not in new.values]
    if gone:
        rest = f" and {len(gone) - NAMED_MAX:,} more" if len(gone) > NAMED_MAX else ""
        yield f"{said} {', '.join(gone[:NAMED_MAX])}{rest}"


def _of_claims(before: Tried, now: Tried) -> Iterator[str]:
    for name, old in before.claims.items():
        new = now.claims.get(name)
        if new is None:
            yield f"the claim {name} ({old.kind}) is gone"
        elif _strength(new.kind) != _strength(old.kind):
            yield f"the claim {name} was {old.kind} and is {new.kind}"
        elif assumed := [each for each in new.fair if each not in old.fair]:
            yield f"the claim {name} now rests on {' and '.join(assumed)}"
    for name in now.enforced:
        if name in before.claims and name not in before.enforced:
            yield f"the claim {name} is now left to the turn, which refuses what would break it"
    if before.finished and not now.finished:
        yield "the claim finished is gone: a state that no command leaves is no finding any more"


def _strength(kind: str) -> str:
    """An invariant is true of every reachable state, as what is claimed always."""
    return "always" if kind == "invariant" else kind
