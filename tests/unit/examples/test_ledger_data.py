"""What examples/ledger/data/README.md says of the bank's file, told from the file alone."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal

import pytest

from examples.ledger.bank_file import IS_CREDIT, Line, day_of, lines, printed_balances
from examples.ledger.verify import REORDERED, TOLERANCE

Negatives = dict[tuple[str, date], int]


@pytest.fixture(scope="module")
def file() -> list[Line]:
    return list(lines())


def running(ordered: Iterable[Line]) -> tuple[Negatives, dict[tuple[str, date], Decimal]]:
    """How many balances of each account-day are negative in this order, and with what balance it ends."""
    balances: dict[str, Decimal] = defaultdict(Decimal)
    negatives: Negatives = defaultdict(int)
    ends: dict[tuple[str, date], Decimal] = {}
    for line in ordered:
        account, key = line["account_id"], (line["account_id"], day_of(line))
        amount = Decimal(line["amount"])
        balances[account] += amount if IS_CREDIT[line["type"]] else -amount
        negatives[key] += balances[account] < 0
        ends[key] = balances[account]
    return {key: count for key, count in negatives.items() if count}, ends


def accounts_of(negatives: Negatives) -> int:
    return len({account for account, _ in negatives})


def credits_first(file: list[Line]) -> list[Line]:
    return sorted(file, key=lambda line: (line["date"], not IS_CREDIT[line["type"]]))


def test_the_file_has_its_rows_accounts_and_days(file: list[Line]) -> None:
    assert len(file) == len({line["trans_id"] for line in file}) == 46_997
    assert len({line["account_id"] for line in file}) == 1_229
    assert (min(map(day_of, file)), max(map(day_of, file))) == (date(1993, 1, 1), date(1994, 3, 30))


def test_each_account_day_ends_near_a_balance_that_the_bank_printed(file: list[Line]) -> None:
    printed = printed_balances()
    for ordered in (file, credits_first(file)):
        _, ends = running(ordered)
        assert len(ends) == 38_821
        off = [min(abs(end - balance) for balance in printed[key]) for key, end in ends.items()]
        assert max(off) == TOLERANCE
        assert sum(end < 0 for end in ends.values()) == 51


def test_balances_go_below_zero_as_often_as_the_bank_printed_if_credits_come_first(file: list[Line]) -> None:
    printed: Negatives = {
        key: count for key, balances in printed_balances().items() if (count := sum(b < 0 for b in balances))
    }
    in_file_order, _ = running(file)
    ours, _ = running(credits_first(file))
    assert (sum(in_file_order.values()), accounts_of(in_file_order)) == (110, 39)
    assert (sum(ours.values()), accounts_of(ours)) == (sum(printed.values()), accounts_of(printed)) == (88, 26)
    assert {
        key: ours.get(key, 0) - printed.get(key, 0)
        for key in {*ours, *printed}
        if ours.get(key, 0) != printed.get(key, 0)
    } == REORDERED
