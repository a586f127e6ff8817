"""V4 and V5: an answer tells its cut, and one that must hold a cut waits for it."""

from __future__ import annotations

import threading

import pytest

from eventcore.cut import Cut
from eventcore.errors import TimedOut
from projections import ProjectionRunner, Views
from tests.contracts.views.bank import TOPIC, Balance, Deposited, balances, catalogue, deposits, new_bank


def test_an_answer_tells_the_cut_it_was_read_at(views: Views) -> None:
    bank = new_bank(partitions=2)
    runner = ProjectionRunner(balances, bank.log, views, catalogue, TOPIC)
    bank.lanes[0].write([("alice", Deposited(5)), ("alice", Deposited(6))])
    bank.lanes[1].write([("bob", Deposited(7))])
    while runner.step(0):
        pass
    answer = views.ask(balances, "alice")
    assert (answer.row, answer.cut) == (Balance("alice", 11, 2), Cut({(TOPIC, 0): 2, (TOPIC, 1): 1}))
    assert views.ask(balances, "nobody").row is None
    assert views.ask(balances, "nobody").cut == answer.cut


def test_an_answer_waits_for_the_cut_it_must_hold(views: Views) -> None:
    bank = new_bank()
    runner = ProjectionRunner(balances, bank.log, views, catalogue, TOPIC)
    runner.step(0)
    bank.lanes[0].write([("alice", Deposited(5))])
    later = threading.Timer(0.1, runner.step, [1.0])
    later.start()
    answer = views.ask(balances, "alice", at_least=Cut({(TOPIC, 0): 1}))
    later.join()
    assert answer.row == Balance("alice", 5, 1)


def test_a_wait_that_was_too_short_tells_the_lag(views: Views) -> None:
    bank = new_bank(partitions=2)
    runner = ProjectionRunner(balances, bank.log, views, catalogue, TOPIC)
    bank.lanes[1].write(deposits(3))
    runner.step(0)
    wanted = Cut({(TOPIC, 0): 1, (TOPIC, 1): 918})
    expected = r"balances wants bank.account.events\[1\]@918, has 3 \(1 more partitions lag\), not moving after 0\.\d s: is a worker"
    with pytest.raises(TimedOut, match=expected):
        views.ask(balances, "a0", at_least=wanted, timeout_s=0.01)


def test_what_a_cut_says_of_other_topics_is_not_waited_for(views: Views) -> None:
    bank = new_bank()
    runner = ProjectionRunner(balances, bank.log, views, catalogue, TOPIC)
    bank.lanes[0].write(deposits(1))
    runner.step(0)
    wanted = Cut({(TOPIC, 0): 1, ("bank.account.outcomes", 0): 99, ("bank.transfer.events", 0): 99})
    assert views.ask(balances, "a0", at_least=wanted, timeout_s=0).row == Balance("a0", 0, 1)
