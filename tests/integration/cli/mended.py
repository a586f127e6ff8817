"""The pantry after somebody has corrected its code: a jar that falls is caught, and nothing raises any more."""

from __future__ import annotations

from eventcore import Aggregate
from eventcore.app import App
from projections import Projection
from tests.integration.cli import pantry
from tests.integration.cli.pantry import Add, Added, Drop, Holding, Jar, Take, Taken


def decide(jar: Jar, command: Add | Take | Drop) -> list[Added | Taken]:
    """What follows from a command."""
    return [] if isinstance(command, Drop) else pantry.decide(jar, command)


jars = Aggregate("jar", Jar, decide, pantry.evolve, invariants=[pantry.never_over_full, pantry.never_thirteen])
app = App("pantry", [jars], projections=[Projection("holdings", jars, Holding, pantry.fold)], sagas=[pantry.moves])
