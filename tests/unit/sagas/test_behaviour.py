"""What a saga does for each thing that can happen to a trip of four steps, told by its ledger."""

from __future__ import annotations

import pytest

from eventcore import Accepted, Value
from eventcore.turn import fold
from sagas import (
    Answered,
    CompensationStarted,
    Finished,
    LateAnswer,
    StepDone,
    StepRefused,
    StepRequested,
    StepState,
    UndoDone,
    open_data,
)
from tests.unit.sagas.trip import (
    START,
    TURN_BACK,
    Trip,
    after,
    asked,
    do,
    refusal,
    refused,
    trips,
    trips_and_more,
    turn,
    undo,
)

ANN = Trip("ann")


def test_a_start_records_the_data_and_asks_for_the_first_step_only() -> None:
    _, ledger = after(trips, START)
    assert ledger == [ANN, StepRequested("A", "booking", "ann", "Book", b'{"$type":"Book","what":"A"}')]


def test_all_accepted_completes_without_an_undo() -> None:
    progress, ledger = after(trips, START, *do("A", "B", "C", "D"))
    assert asked(ledger) == "A B C D"
    assert ledger[-2:] == [StepDone("D"), Finished("completed", None)]
    assert progress.status == "completed"


def test_a_refused_pivot_undoes_the_steps_before_it_last_first() -> None:
    progress, ledger = after(trips, START, *do("A", "B", "C"), refused("D", "full"), *undo("C", "B", "A"))
    assert asked(ledger) == "A B C D C- B- A-"
    assert ledger[-1] == Finished("compensated", "full")
    assert (progress.status, progress.reason) == ("compensated", "full")


def test_an_undo_is_asked_for_only_after_the_one_before_was_acknowledged() -> None:
    _, ledger = after(trips, START, *do("A", "B", "C"), refused("D"))
    assert asked(ledger) == "A B C D C-"
    _, ledger = after(trips, START, *do("A", "B", "C"), refused("D"), *undo("C"))
    assert asked(ledger) == "A B C D C- B-"


def test_what_comes_after_a_refused_step_is_never_asked_for() -> None:
    _, ledger = after(trips, START, *do("A", "B"), refused("C"), *undo("B", "A"))
    assert asked(ledger) == "A B C B- A-"


def test_a_refused_first_step_leaves_nothing_to_undo() -> None:
    progress, ledger = after(trips, START, refused("A", "full"))
    assert ledger[2:] == [
        StepRefused("A", "refused", "full"),
        CompensationStarted("A", "full"),
        Finished("compensated", "full"),
    ]
    assert progress.status == "compensated"


@pytest.mark.parametrize("verdict", ["refused", "violated", "conflict", "expired"])
def test_whatever_declines_a_step_turns_the_saga_back(verdict: str) -> None:
    declined = Answered("B", "do", verdict, "never_above_ceiling")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - a name from the list above
    progress, ledger = after(trips, START, *do("A"), declined, *undo("A"))
    assert asked(ledger) == "A B A-"
    assert progress.steps[1] == StepState("B", "refused", declined.kind, "never_above_ceiling")
    assert progress.reason == "never_above_ceiling"


def test_an_undo_that_fails_is_named_and_leaves_the_saga_stuck_and_open() -> None:
    progress, ledger = after(
        trips, START, *do("A", "B", "C"), refused("D"), *undo("C"), Answered("B", "undo", "refused", "departed")
    )
    assert progress.status == "stuck"
    assert progress.step("B") == StepState("B", "undo_failed", "refused", "departed")
    assert not [event for event in ledger if isinstance(event, Finished)]
    assert open_data(progress) == ANN


def test_a_failed_undo_that_is_accepted_later_resumes_where_it_stood() -> None:
    failed = Answered("B", "undo", "violated", "departed")
    progress, ledger = after(trips, START, *do("A", "B", "C"), refused("D"), *undo("C"), failed, *undo("B", "A"))
    assert asked(ledger) == "A B C D C- B- A-"
    assert progress.status == "compensated"


def test_done_undone_asked_and_failed_undos_are_told_apart() -> None:
    progress, _ = after(trips, START, *do("A", "B", "C"), refused("D"), *undo("C"))
    assert {step.name: step.status for step in progress.steps} == {
        "A": "done",
        "B": "undo_asked",
        "C": "undone",
        "D": "refused",
    }


def test_a_saga_restored_from_any_prefix_of_its_ledger_goes_on_as_if_never_killed() -> None:
    commands: list[Value] = [START, *do("A", "B", "C"), refused("D"), *undo("C", "B", "A")]
    _, whole = after(trips, *commands)
    for killed_after in range(len(commands)):
        _, stored = after(trips, *commands[:killed_after])
        progress = fold(trips, trips.initial(), stored)
        for command in commands[killed_after:]:
            taken = turn(trips, progress, command)
            assert isinstance(taken, Accepted)
            progress = taken.state
            stored += taken.events
        assert stored == whole


def test_a_parked_step_makes_the_saga_stuck_until_it_is_answered() -> None:
    parked = Answered("B", "do", "parked", "quarantined")
    progress, _ = after(trips, START, *do("A"), parked)
    assert (progress.status, progress.step("B")) == ("stuck", StepState("B", "parked", "parked", "quarantined"))
    progress, ledger = after(trips, START, *do("A"), parked, *do("B"))
    assert (progress.status, asked(ledger)) == ("running", "A B C")
    progress, ledger = after(trips, START, *do("A"), parked, refused("B"))
    assert (progress.status, asked(ledger)) == ("compensating", "A B A-")


def test_a_parked_undo_makes_the_saga_stuck_until_it_is_answered() -> None:
    parked = Answered("A", "undo", "parked", "quarantined")
    progress, _ = after(trips, START, *do("A"), refused("B"), parked)
    assert (progress.status, progress.step("A")) == ("stuck", StepState("A", "undo_parked", "parked", "quarantined"))
    progress, _ = after(trips, START, *do("A"), refused("B"), parked, *undo("A"))
    assert progress.status == "compensated"


def test_a_step_whose_parked_command_was_discarded_is_as_refused() -> None:
    parked, discarded = Answered("B", "do", "parked", "quarantined"), Answered("B", "do", "parked", "discarded")
    for answers in ([parked, discarded], [discarded]):
        progress, ledger = after(trips, START, *do("A"), *answers, *undo("A"))
        assert (progress.status, asked(ledger)) == ("compensated", "A B A-")
        assert progress.step("B") == StepState("B", "refused", "parked", "discarded")


def test_an_undo_whose_parked_command_was_discarded_leaves_the_saga_stuck() -> None:
    parked, discarded = Answered("A", "undo", "parked", "quarantined"), Answered("A", "undo", "parked", "discarded")
    progress, _ = after(trips, START, *do("A"), refused("B"), parked, discarded)
    assert (progress.status, progress.step("A")) == ("stuck", StepState("A", "undo_failed", "parked", "discarded"))


def test_a_refused_step_after_the_pivot_undoes_nothing_and_is_stuck() -> None:
    progress, ledger = after(trips_and_more, START, *do("A", "B", "C", "D"), refused("E", "closed"))
    assert asked(ledger) == "A B C D E"
    assert (progress.status, progress.step("E")) == ("stuck", StepState("E", "failed", "refused", "closed"))
    assert open_data(progress) == ANN


def test_a_step_after_the_pivot_that_is_accepted_later_completes_the_saga() -> None:
    progress, _ = after(trips_and_more, START, *do("A", "B", "C", "D"), refused("E"), *do("E"))
    assert progress.status == "completed"


def test_a_saga_told_to_turn_back_undoes_the_unanswered_step_first() -> None:
    progress, ledger = after(trips, START, *do("A"), TURN_BACK, *undo("B", "A"))
    assert asked(ledger) == "A B B- A-"
    assert (progress.status, progress.reason) == ("compensated", "operator")


def test_a_late_success_of_a_step_being_undone_is_recorded_and_changes_nothing() -> None:
    before, _ = after(trips, START, *do("A"), TURN_BACK)
    progress, ledger = after(trips, START, *do("A"), TURN_BACK, *do("B"))
    assert ledger[-1] == LateAnswer("B", "do", "accepted", None)
    assert progress == before


def test_answers_after_the_end_are_recorded_and_change_nothing() -> None:
    ended: list[Value] = [START, *do("A"), refused("B"), *undo("A")]
    before, ledger = after(trips, *ended)
    for answer in [*do("A", "B"), refused("A"), refused("B"), *undo("A"), Answered("A", "undo", "refused", "departed")]:
        progress, longer = after(trips, *ended, answer)
        assert longer == [*ledger, LateAnswer(answer.step, answer.action, answer.kind, answer.reason)]
        assert progress == before


def test_a_repeated_answer_asks_for_nothing_again() -> None:
    _, once = after(trips, START, *do("A"))
    _, twice = after(trips, START, *do("A", "A"))
    assert asked(twice) == asked(once) == "A B"


def test_turning_back_twice_turns_back_once() -> None:
    _, once = after(trips, START, *do("A"), TURN_BACK)
    _, twice = after(trips, START, *do("A"), TURN_BACK, TURN_BACK)
    assert twice == once


def test_a_parked_saga_can_be_told_to_turn_back() -> None:
    parked = Answered("B", "do", "parked", "quarantined")
    _, ledger = after(trips, START, *do("A"), parked, TURN_BACK, *undo("B", "A"))
    assert asked(ledger) == "A B B- A-"


def test_a_saga_is_not_turned_back_once_its_pivot_was_asked_for() -> None:
    assert refusal(trips, START, *do("A", "B", "C"), TURN_BACK) == "past_the_pivot"
    assert refusal(trips_and_more, START, *do("A", "B", "C", "D"), refused("E"), TURN_BACK) == "past_the_pivot"


def test_a_finished_saga_is_not_turned_back() -> None:
    assert refusal(trips, START, *do("A", "B", "C", "D"), TURN_BACK) == "already_finished"


def test_a_second_start_is_refused() -> None:
    assert refusal(trips, START, START) == "already_started"
    assert refusal(trips, START, refused("A"), START) == "already_started"


def test_an_answer_or_an_order_for_an_unknown_saga_is_refused() -> None:
    assert refusal(trips, *do("A")) == "unknown_saga"
    assert refusal(trips, TURN_BACK) == "unknown_saga"


def test_an_answer_to_what_was_never_asked_is_refused() -> None:
    assert refusal(trips, START, *do("B")) == "not_asked"
    assert refusal(trips, START, *do("elsewhere")) == "not_asked"
    assert refusal(trips, START, *do("A"), *undo("A")) == "not_asked"


def test_a_saga_has_data_to_show_while_it_is_open_and_no_longer() -> None:
    assert open_data(trips.initial()) is None
    assert open_data(after(trips, START)[0]) == ANN
    assert open_data(after(trips, START, *do("A"), refused("B"))[0]) == ANN
    assert open_data(after(trips, START, refused("A"))[0]) is None


def test_the_ledger_of_a_compensated_saga_reads_as_it_happened() -> None:
    _, ledger = after(trips, START, *do("A"), refused("B", "full"), *undo("A"))
    names = [f"{type(event).__name__}({getattr(event, 'step', '')})" for event in ledger]
    assert names == [
        "Trip()",
        "StepRequested(A)",
        "StepDone(A)",
        "StepRequested(B)",
        "StepRefused(B)",
        "CompensationStarted(B)",
        "UndoRequested(A)",
        "UndoDone(A)",
        "Finished()",
    ]
    assert ledger[-2:] == [UndoDone("A"), Finished("compensated", "full")]
