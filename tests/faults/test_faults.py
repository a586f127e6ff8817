"""Each fault once, on real processes: what is promised under it holds (`make faults` plays many of each)."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from faults.__main__ import play
from faults.catalogue import FAULTS, Fault
from faults.stages import Stages
from faults.table import findings, seen

SEED = 1


@pytest.fixture(scope="module")
def stages() -> Generator[Stages]:
    """Servers of this module's own."""
    with Stages() as started:
        yield started


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_what_is_promised_holds_under(fault: Fault, stages: Stages) -> None:
    report = play(fault, stages, SEED, short=True)
    assert list(findings(fault, report)) == []
    assert report.injected >= 1
    assert report.verdict.answered == report.sent > 0, seen(report)
