"""Tests of a service in the words of its domain: given a past, when something comes, then this follows.

`given(subject, *past).when(input).then(*outputs)`, whatever the subject: an aggregate answers commands with events, a
projection events with rows, a saga answers with commands. Each runs through what runs in production.

    given(accounts, Deposited(5)).when(Withdraw(3)).then(Withdrawn(3))
    given(balances, Deposited(5), id="alice").when(Withdrawn(3)).then(Balance("alice", 2))
    given(transfers, RequestTransfer("alice", "bob", 5)).when(accepted("hold")).then(accounts.to("bob", Credit(5)))

Strategies for Hypothesis are in `eventcore.testing.strategies`, which needs Hypothesis installed.
"""

from eventcore.testing.given import given
from eventcore.testing.rows import Folded, GivenEvents
from eventcore.testing.steps import GivenSaga, Reacted, accepted, refused, undo_refused, undone
from eventcore.testing.turns import GivenPast, Taken

__all__ = [
    "Folded",
    "GivenEvents",
    "GivenPast",
    "GivenSaga",
    "Reacted",
    "Taken",
    "accepted",
    "given",
    "refused",
    "undo_refused",
    "undone",
]
