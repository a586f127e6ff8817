"""Global invariants: a fold over several aggregates and sagas, judged at consistent cuts and nowhere else.

Each part says what one instance adds to a sum; `combine` adds sums up in any order, and `holds` judges the total. A
saga's part is summed over its open instances: one that has ended holds nothing in flight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from eventcore.aggregate import Aggregate
from eventcore.value import Value
from sagas import Saga

State = TypeVar("State", bound=Value)
Summary = TypeVar("Summary")


@dataclass(frozen=True)
class Part(Generic[State, Summary]):
    """What one instance of an aggregate, or one open instance of a saga, adds to a global invariant's sum."""

    of: Aggregate[State, Any, Any] | Saga[State]
    summarise: Callable[[State], Summary]


@dataclass(frozen=True)
class GlobalInvariant(Generic[Summary]):
    """A named predicate over a sum of parts.

    `combine` is associative and commutative, so that the order of instances does not matter. Without any instance
    there is no sum, and the invariant holds.
    """

    name: str
    parts: Sequence[Part[Any, Summary]]
    combine: Callable[[Summary, Summary], Summary]
    holds: Callable[[Summary], bool]
