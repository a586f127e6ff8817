"""Models whose sizes others published come out with exactly these sizes: a changed number is a changed meaning."""

import pytest

from eventcore.check import Bounds, Checked, Scope, check
from examples.models import t_commit, two_phase


@pytest.mark.parametrize(("managers", "counts"), [(3, (288, 1_146, 11)), (5, (8_832, 58_146, 17))])
def test_two_phase_commit_has_its_published_size_and_passes(managers: int, counts: tuple[int, int, int]) -> None:
    report = check(two_phase.checked(managers))
    assert (report.distinct, report.transitions, report.depth) == counts
    assert (report.verdict, report.exit_code, list(report.cut)) == ("pass", 0, [])


def test_two_phase_commit_accepts_each_command_as_often_as_published() -> None:
    report = check(two_phase.three)
    accepted = {"Hear": 96, "DecideToCommit": 1, "DecideToAbort": 64, "Prepare": 156, "Abandon": 156}
    assert report.fired == {**accepted, "Commit": 24, "Abort": 648}
    assert sum(report.fired.values()) + 1 == report.transitions


@pytest.mark.parametrize(
    ("managers", "counts"), [(1, (4, 5, 3)), (2, (12, 23, 5)), (3, (34, 94, 7)), (6, (792, 4_567, 13))]
)
def test_transaction_commit_has_its_published_size(managers: int, counts: tuple[int, int, int]) -> None:
    scope = Scope({"manager": range(managers)})
    report = check(Checked(t_commit.transaction_of(managers), scope), bounds=Bounds(1_000))
    assert (report.distinct, report.transitions, report.depth) == counts
    assert report.verdict == "pass"
