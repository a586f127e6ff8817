"""What follows from a failure of the client library, by where it happened and what it was: the one table.

A transaction goes through five places. In each the same few things can be seen, and the first row that fits decides:

    seen                                             again  abort  raised
    ------------------------------------------------ -----  -----  ----------------------------------------------------
    no answer in time, or no error of the library's    no     no   OutcomeUnknown of a commit, else LogUnavailable
    FENCED: somebody initialised this id               no     no   Fenced
    REFUSED: the member's standing is past             no    yes   Fenced
    UNKNOWN of a commit                                no     no   OutcomeUnknown
    the library asks for an abort                      no    yes   LogUnavailable
    fatal                                              no     no   OutcomeUnknown of a commit, else LogUnavailable
    retriable, of a commit or an abort                yes     no   OutcomeUnknown of a commit, else LogUnavailable
    anything else                                      no     no   OutcomeUnknown of a commit, else LogUnavailable

`again` is the same call with the same arguments, until the transaction would be too old; a position that timed out is
never sent again (the call was seen to hang for 75 s after a restart). Without `abort` the next owner's
`init_transactions` decides what is open. UNKNOWN is what a broker says that is surprised, and it says so to a fenced
producer's commit too: whether the lane is still this process's is then for its owner to find out before it owns again.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from eventcore.errors import Fenced, LogUnavailable, OutcomeUnknown, SystemFault
from eventcore.log.kafka.client import Code, KafkaError
from eventcore.log.kafka.faults import FENCED, REFUSED


class At(enum.Enum):
    """Where a transaction can fail."""

    OWNING = "owning"
    APPENDING = "appending to"
    POSITION = "sending the position of"
    COMMIT = "committing"
    ABORT = "aborting"


class Verdict(NamedTuple):
    """What follows: the same call again, an abort, and what is raised when there is no more to try."""

    again: bool
    abort: bool
    raised: type[SystemFault]


def judge(at: At, error: KafkaError | None) -> Verdict:
    """What follows from an error of the library's, or from there being none to look at."""
    doubt: type[SystemFault] = OutcomeUnknown if at is At.COMMIT else LogUnavailable
    if error is None:
        return Verdict(again=False, abort=False, raised=doubt)
    code = error.code()
    if code in FENCED:
        return Verdict(again=False, abort=False, raised=Fenced)
    if code in REFUSED:
        return Verdict(again=False, abort=True, raised=Fenced)
    if code == Code.UNKNOWN and at is At.COMMIT:
        return Verdict(again=False, abort=False, raised=OutcomeUnknown)
    if error.txn_requires_abort():
        return Verdict(again=False, abort=True, raised=LogUnavailable)
    again = error.retriable() and not error.fatal() and at in {At.COMMIT, At.ABORT}
    return Verdict(again=again, abort=False, raised=doubt)
