"""The bank's transactions as commands, in the order of sending.

They are sent by date, within a date credits before debits, and otherwise in the file's order. That is close to the order
in which the bank booked, and as close as the file allows: it has no time of day. The balances that the bank printed are
not looked at here; they are what the result is held to.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import NamedTuple

from eventcore import Message
from examples.ledger.account import Command, Credit, Debit, Details, Operation, OtherSide, Purpose, accounts
from examples.ledger.bank_file import IS_CREDIT, Line, day_of, lines

OPERATIONS = {
    "": None,
    "VKLAD": Operation.CASH_IN,
    "VYBER": Operation.CASH_OUT,
    "VYBER KARTOU": Operation.CARD,
    "PREVOD Z UCTU": Operation.TRANSFER_IN,
    "PREVOD NA UCET": Operation.TRANSFER_OUT,
}
PURPOSES = {
    "": None,
    " ": None,
    "UROK": Purpose.INTEREST,
    "SANKC. UROK": Purpose.PENALTY_INTEREST,
    "SLUZBY": Purpose.FEE,
    "SIPO": Purpose.HOUSEHOLD,
    "DUCHOD": Purpose.PENSION,
    "POJISTNE": Purpose.INSURANCE,
    "UVER": Purpose.LOAN,
}


class Transaction(NamedTuple):
    """A transaction as it is sent: its command, to whom, and the id that makes sending it again harmless."""

    message: Message[Command]
    command_id: str


def transactions(until: date = date.max) -> list[Transaction]:
    """Every transaction up to and including the day `until`, in the order of sending."""
    ordered = sorted(lines(until), key=lambda line: (line["date"], not IS_CREDIT[line["type"]]))
    return [_transaction(line) for line in ordered]


def _transaction(line: Line) -> Transaction:
    other_side = OtherSide(line["bank"], line["account"]) if line["bank"] else None
    details = Details(int(line["trans_id"]), OPERATIONS[line["operation"]], PURPOSES[line["k_symbol"]], other_side)
    command = Credit if IS_CREDIT[line["type"]] else Debit
    message = accounts.to(line["account_id"], command(day_of(line), Decimal(line["amount"]), details))
    return Transaction(message, f"transaction-{line['trans_id']}")
