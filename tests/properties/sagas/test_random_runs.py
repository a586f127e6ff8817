"""Long random runs of random tables: any order of messages, doubled, parked, refused, turned back at any moment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventcore import Value
from eventcore.turn import fold
from sagas import CompensationStarted, Finished, Progress, Step, StepRefused, StepRequested, UndoRequested, compile_saga
from tests.properties.sagas.world import Rules, World, any_verdict, begin, command_bytes, moves
from tests.unit.sagas.trip import Trip, Trips, compensatable, pivot, retriable, trips_of

MOVES_MAX = 500  # a run of seven steps, each doubled and parked, needs fewer than 100


@st.composite
def tables(draw: st.DrawFn) -> list[Step[Trip]]:
    """Any legal table: compensatable steps, perhaps a pivot, retriable ones."""
    before, after = draw(st.integers(0, 4)), draw(st.integers(0, 2))
    pivots = draw(st.integers(0 if before + after else 1, 1))
    steps = [compensatable(f"c{n}") for n in range(before)] + [pivot("p")] * pivots
    return steps + [retriable(f"r{n}") for n in range(after)]


@st.composite
def runs(draw: st.DrawFn) -> tuple[Trips, World, list[Value]]:
    """A saga's world at rest, nothing under way any more, and the ledger that led there."""
    aggregate: Trips = compile_saga(trips_of(*draw(tables())), command_bytes)
    rules = Rules(aggregate, any_verdict)
    move = begin(
        rules, turns_back=draw(st.integers(0, 1)), doubles=draw(st.integers(0, 4)), parks=draw(st.integers(0, 3))
    )
    ledger = [*move.events]
    for _ in range(MOVES_MAX):
        if not move.world.network:
            return aggregate, move.world, ledger
        move = draw(st.sampled_from(list(moves(rules, move.world))))
        ledger += move.events
    raise AssertionError(f"no rest after {MOVES_MAX} moves: {move.world}")


@given(runs())
def test_a_saga_at_rest_has_all_in_effect_or_nothing_or_is_visibly_stuck(run: tuple[Trips, World, list[Value]]) -> None:
    _, world, _ = run
    failed = [step for step in world.progress.steps if step.status in ("failed", "undo_failed")]
    match world.progress.status:
        case "completed":
            assert world.in_effect() == {step.name for step in world.progress.steps}
        case "compensated":
            assert world.in_effect() == set()
        case "stuck":
            assert failed
            assert all(step.reason is None and step.verdict == "refused" for step in failed)
        case "not_started" | "running" | "compensating":
            raise AssertionError(f"at rest, and still {world.progress.status}")


@given(runs())
def test_an_end_is_written_once_and_only_if_nothing_failed(run: tuple[Trips, World, list[Value]]) -> None:
    _, world, ledger = run
    ends = [event for event in ledger if isinstance(event, Finished)]
    assert len(ends) == (0 if world.progress.open else 1)
    assert all(end.status == world.progress.status for end in ends)


@given(runs())
def test_undos_follow_the_log_backwards_once_each_and_never_for_a_refused_step(
    run: tuple[Trips, World, list[Value]],
) -> None:
    _, _, ledger = run
    turned = next((n for n, event in enumerate(ledger) if isinstance(event, CompensationStarted)), len(ledger))
    asked = [event.step for event in ledger[:turned] if isinstance(event, StepRequested)]
    refused = {event.step for event in ledger if isinstance(event, StepRefused)}
    undone = [event.step for event in ledger if isinstance(event, UndoRequested)]
    expected = [step for step in reversed(asked) if step not in refused]
    assert undone == expected[: len(undone)]
    assert not [event for event in ledger[turned:] if isinstance(event, StepRequested)]
    assert not [event for event in ledger[:turned] if isinstance(event, UndoRequested)]


@given(runs())
def test_progress_is_what_its_ledger_folds_to(run: tuple[Trips, World, list[Value]]) -> None:
    aggregate, world, ledger = run
    progress: Progress[Trip] = fold(aggregate, aggregate.initial(), ledger)
    assert progress == world.progress
