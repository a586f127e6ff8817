"""The matrix of other models, against cells that a plain search and a plain loop count."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from eventcore import Accepted, Context, take_turn
from eventcore.check import Checked
from eventcore.check.abstraction import Abstraction, derived
from eventcore.check.domain import instances
from eventcore.check.matrix import matrix_of
from examples.models import alternating_bit, die_hard, t_commit, two_phase

NOW = Context(0, bytes(16))
MODELS: dict[str, Checked[Any, Any, Any]] = {
    "jugs": Checked(die_hard.jugs),
    "links": alternating_bit.abstract,
    "t_commit": t_commit.three,
    "two_phase": two_phase.checked(2),
}


def plain_cells(checked: Checked[Any, Any, Any], abstraction: Abstraction) -> dict[tuple[Any, str], str]:
    """Every reached cell and its verdict."""
    aggregate = checked.aggregate
    commands, _ = instances(tuple(aggregate.command_checks), checked.scope)
    queue = list(checked.initial()) if checked.initial is not None else [aggregate.initial()]
    seen = set(queue)
    accepting: dict[tuple[Any, str], list[bool]] = defaultdict(list)
    for state in queue:
        accepted: dict[str, bool] = {cls.__name__: False for cls in aggregate.command_checks}
        for command in commands:
            turn = take_turn(aggregate, state, command, NOW)
            if isinstance(turn, Accepted):
                accepted[type(command).__name__] = True
                if turn.state not in seen:
                    seen.add(turn.state)
                    queue.append(turn.state)
        for column, answer in accepted.items():
            accepting[abstraction.row(state), column].append(answer)
    return {
        key: "accepts" if all(answers) else "mixed" if any(answers) else "refuses" for key, answers in accepting.items()
    }


@pytest.mark.parametrize("name", MODELS)
def test_cells_are_what_a_plain_search_counts(name: str) -> None:
    checked = MODELS[name]
    abstraction = Abstraction(derived(checked.aggregate.state_type))
    matrix = matrix_of(checked, abstraction)
    ours = {(row, column): cell.verdict for row, column, cell in matrix.cells() if row in matrix.depths}
    assert matrix.exhausted
    assert ours == plain_cells(checked, abstraction)
    assert matrix.count("unreachable") == matrix.size - len(ours)
    assert matrix.unknown == 0
