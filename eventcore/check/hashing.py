"""What a verdict rests on, as one short hash: with another hash, it says nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from eventcore.check.checked import Checked
from eventcore.check.source import Source
from eventcore.codehash import code_hash

ENGINE = 3  # raised whenever a change of the checker could change a verdict


def hash_of(checked: Checked[Any, Any, Any]) -> str:
    """The hash of all that a verdict rests on: the code, the claims, the scope, the checker. Another hash, no verdict."""
    aggregate, scope = checked.aggregate, checked.scope
    functions: list[Callable[..., Any]] = [aggregate.decide, aggregate.evolve, aggregate.initial]
    functions += [guard.holds for guard in aggregate.guards]
    functions += [each.holds for each in checked.properties]
    functions += [each.premise for each in checked.properties if each.premise is not None]
    fair = [(each.name, assumed) for each in checked.properties for assumed in each.fair]
    functions += [assumed.by for _, assumed in fair if assumed.by is not None]
    functions += [each for each in (checked.initial, checked.finished, scope.within) if each is not None]
    source = Source()
    named = [(f"declared {key}", source.of(values)) for key, values in scope.domains.items()]
    named += [(f"sampled {key}", source.of(values)) for key, values in scope.samples.items()]
    said = [ENGINE, named, scope.items, scope.contexts, scope.unread, checked.enforced]
    said += [[guard.name for guard in aggregate.guards], [(p.kind, p.name) for p in checked.properties]]
    said += [[(name, str(assumed)) for name, assumed in fair]] if fair else []
    return hashlib.blake2b(code_hash(*functions) + repr(said).encode(), digest_size=8).hexdigest()
