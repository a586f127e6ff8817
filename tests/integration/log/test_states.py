"""What follows from a failure of the client library: the one table, row by row and code by code."""

from __future__ import annotations

from typing import Any

import confluent_kafka
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventcore.errors import Fenced, LogUnavailable, OutcomeUnknown, SystemFault
from eventcore.log.kafka.client import KafkaError, KafkaException
from eventcore.log.kafka.faults import FENCED, REFUSED, fault
from eventcore.log.kafka.states import At, Verdict, judge

_error: Any = confluent_kafka.KafkaError
CODES = sorted({code for name in dir(KafkaError) if name.isupper() and type(code := getattr(KafkaError, name)) is int})
EVERYWHERE = list(At)


def error(code: int, *, fatal: bool = False, retriable: bool = False, abort: bool = False) -> KafkaError:
    """An error as the library makes it."""
    made: KafkaError = _error(code, "as in a test", fatal, retriable, abort)
    return made


def verdict(raised: type[SystemFault], *, again: bool = False, abort: bool = False) -> Verdict:
    return Verdict(again=again, abort=abort, raised=raised)


@pytest.mark.parametrize("at", EVERYWHERE)
@pytest.mark.parametrize("code", sorted(FENCED))
@pytest.mark.parametrize("fatal", [True, False])
def test_a_fenced_client_is_dropped_without_an_abort(at: At, code: int, fatal: bool) -> None:
    assert judge(at, error(code, fatal=fatal, retriable=not fatal)) == verdict(Fenced)


@pytest.mark.parametrize("at", EVERYWHERE)
@pytest.mark.parametrize("code", sorted(REFUSED))
def test_a_refused_standing_is_aborted_and_fenced(at: At, code: int) -> None:
    assert judge(at, error(code, abort=True)) == verdict(Fenced, abort=True)


@pytest.mark.parametrize("flag", ["fatal", "retriable", "abort"])
def test_a_commit_that_fails_as_unknown_has_an_unknown_outcome(flag: str) -> None:
    """So a fenced producer's commit was seen to fail; whatever its flags say, it is neither repeated nor aborted."""
    assert judge(At.COMMIT, error(KafkaError.UNKNOWN, **{flag: True})) == verdict(OutcomeUnknown)


@pytest.mark.parametrize("at", EVERYWHERE)
def test_what_the_library_wants_aborted_is_aborted_and_was_not_written(at: At) -> None:
    for code in (_error._INCONSISTENT, _error.INVALID_TXN_STATE, _error._MSG_TIMED_OUT):
        assert judge(at, error(code, abort=True)) == verdict(LogUnavailable, abort=True)


@pytest.mark.parametrize("code", [_error._TIMED_OUT, _error._TRANSPORT, _error.COORDINATOR_LOAD_IN_PROGRESS])
def test_only_a_commit_and_an_abort_are_asked_for_again(code: int) -> None:
    assert {at for at in At if judge(at, error(code, retriable=True)).again} == {At.COMMIT, At.ABORT}
    assert not judge(At.COMMIT, error(code, retriable=True, fatal=True)).again


def test_a_position_that_timed_out_is_never_sent_again() -> None:
    assert judge(At.POSITION, error(_error._TIMED_OUT, retriable=True)) == verdict(LogUnavailable)


@pytest.mark.parametrize("at", EVERYWHERE)
def test_no_answer_leaves_only_a_commit_in_doubt(at: At) -> None:
    assert judge(at, None) == verdict(OutcomeUnknown if at is At.COMMIT else LogUnavailable)


@given(st.sampled_from(CODES), st.sampled_from(EVERYWHERE), st.booleans(), st.booleans(), st.booleans())
def test_no_code_says_that_a_commit_did_not_happen_unless_the_library_or_a_fence_does(
    code: int,
    at: At,
    fatal: bool,
    retriable: bool,
    abort: bool,
) -> None:
    seen = judge(at, error(code, fatal=fatal, retriable=retriable, abort=abort))
    known = code in FENCED | REFUSED or (abort and code != KafkaError.UNKNOWN)
    assert (seen.raised is OutcomeUnknown) == (at is At.COMMIT and not known)
    assert not (seen.again and (seen.abort or fatal))


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("at", EVERYWHERE)
def test_the_raised_error_is_the_one_of_the_table(code: int, at: At) -> None:
    for flags in ({}, {"fatal": True}, {"retriable": True}, {"abort": True}):
        seen = judge(at, made := error(code, **flags))
        raised = fault(KafkaException(made), "doing", "nowhere:1", sent=seen.raised is OutcomeUnknown)
        assert type(raised) is seen.raised
