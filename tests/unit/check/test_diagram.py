"""Diagrams say what a search of the scope finds, and nothing that it does not."""

from __future__ import annotations

import re

import pytest

from eventcore.check import Checked, Scope, check
from eventcore.check.aggregate import AggregateMachine
from eventcore.check.diagram import state_diagram, text_of, walk
from eventcore.check.diagram_sequence import sequence_of_saga, sequence_of_trace
from eventcore.check.diagram_tables import command_table, event_table
from eventcore.errors import NotSupported
from examples.bank.account import CEILING, Account, accounts
from examples.bank.transfer import Transfer, transfers
from examples.models import die_hard, t_commit
from examples.models.t_commit import Transaction

TWO = AggregateMachine(t_commit.two)


def phases(transaction: Transaction) -> tuple[str, ...]:
    return tuple(sorted(transaction.phases))


def test_states_of_one_view_are_a_box_and_its_ways_out_are_labelled() -> None:
    assert (
        state_diagram(TWO, phases)
        == """\
stateDiagram-v2
    %% t_commit: 12 states, drawn as 8
    state "working, working" as s0
    state "prepared, working" as s1
    state "aborted, working" as s2
    state "prepared, prepared" as s3
    state "aborted, prepared" as s4
    state "aborted, aborted" as s5
    state "committed, prepared" as s6
    state "committed, committed" as s7
    [*] --> s0
    s0 --> s1 : Prepare
    s0 --> s2 : DecideAbort
    s1 --> s2 : DecideAbort
    s1 --> s3 : Prepare
    s1 --> s4 : DecideAbort
    s2 --> s4 : Prepare
    s2 --> s5 : DecideAbort
    s3 --> s4 : DecideAbort
    s3 --> s6 : DecideCommit
    s4 --> s5 : DecideAbort
    s6 --> s7 : DecideCommit
    s5 --> [*]
    s7 --> [*]
"""
    )


def test_without_a_view_every_state_is_a_box() -> None:
    drawn = state_diagram(AggregateMachine(die_hard.puzzle))
    assert len(re.findall(r"^    state ", drawn, re.MULTILINE)) == 16
    labels = re.findall(r"^    s\d+ --> s\d+ : (.*)$", drawn, re.MULTILINE)
    steps = check(die_hard.puzzle, keep_going=True).transitions - 1
    assert sum(len(label.split(", ")) for label in labels) <= steps
    assert len(labels) == len(walk(AggregateMachine(die_hard.puzzle), lambda state: state).arrows)


def test_more_boxes_than_can_be_looked_at_are_refused_with_what_to_write() -> None:
    with pytest.raises(NotSupported, match=r"a diagram of 96 boxes.*view="):
        state_diagram(AggregateMachine(t_commit.four))


def test_a_walk_that_was_cut_says_so() -> None:
    drawn = state_diagram(TWO, phases, states=4)
    assert "t_commit: 4 states, and more that were not looked at" in drawn


def test_a_turn_that_an_invariant_stops_is_no_arrow() -> None:
    scope = Scope(domains={"amount": (CEILING,)})
    machine = AggregateMachine(Checked(accounts, scope, enforced=["never_above_ceiling"]))
    found = walk(machine, lambda account: account.balance + account.held, states=100)
    assert {after for _, after in found.arrows} <= {0, CEILING}
    assert "never_above_ceiling" in found.refusals["Deposit"]


def test_commands_are_listed_with_their_events_and_refusals() -> None:
    table = command_table(t_commit.two.aggregate, walk(TWO, phases))
    assert table.splitlines()[0] == "| command | means | takes | events | refused |"
    assert (
        "| DecideAbort | Have a manager abort, which it may as long as none has committed. | `manager`: int from 0 | "
        "`Aborted` | `others_disagree`, `wrong_phase` |" in table
    )


def test_events_are_listed_with_the_commands_that_they_follow_from() -> None:
    table = event_table(die_hard.jugs, walk(AggregateMachine(die_hard.puzzle), lambda _: 0))
    assert "| Poured | A jug was poured into the other, until it was empty or the other was full. | " in table
    assert "`source`: big or small | `Pour` |" in table


def test_a_trace_is_drawn_with_what_each_step_changed() -> None:
    (finding,) = check(die_hard.puzzle).findings
    assert finding.trace is not None
    lines = sequence_of_trace(finding.trace, "jugs").splitlines()
    assert lines[:4] == [
        "sequenceDiagram",
        "    participant client",
        "    participant jugs",
        "    Note over jugs: Jugs(big=0, small=0)",
    ]
    assert len([line for line in lines if line.startswith("    client->>jugs: ")]) == 6
    assert lines[-1] == "    Note over jugs: big = 4, small = 3"


def test_a_saga_is_drawn_with_the_ways_on_which_it_turns_back() -> None:
    assert (
        sequence_of_saga(transfers, Transfer("alice", "bob", 5))
        == """\
sequenceDiagram
    participant saga as transfer
    participant p0 as account alice
    participant p1 as account bob
    saga->>p0: hold: Hold(amount=5)
    break hold is refused
        p0-->>saga: refused
        Note over saga: compensated
    end
    p0-->>saga: accepted
    saga->>p1: credit: Credit(amount=5)
    break credit is refused
        p1-->>saga: refused
        saga->>p0: undo hold: Release(amount=5)
        p0-->>saga: accepted
        Note over saga: compensated
    end
    p1-->>saga: accepted
    saga->>p0: settle: Settle(amount=5)
    p0-->>saga: accepted
    Note over saga: completed
"""
    )


def test_labels_hold_nothing_that_ends_a_label() -> None:
    assert text_of('say "no"; then\n#1') == "say 'no', then 1"
    assert text_of(Account(1)) == "Account(balance=1, held=0, credited=0, settled=0)"


def test_a_diagram_of_sampled_commands_says_so() -> None:
    found = walk(AggregateMachine(Checked(accounts)), lambda account: account.balance > 0, states=100)
    assert "only sampled: " in found.caption
    assert "Deposit.amount" in found.caption
