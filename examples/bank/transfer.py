"""A transfer: money goes from one account to another in three steps, or stays where it was.

    hold at the source     can be undone: release
    credit at the target   the pivot: refused, or against the target's ceiling, it turns the transfer back
    settle at the source   cannot be refused, since the money is held

Others see the steps between. What they can rely on at every moment is said in `conservation`.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from eventcore import Value, require
from examples.bank.account import Amount, Credit, Hold, Release, Settle, accounts
from sagas import Saga, Step, starts_on

AccountId = Annotated[str, Meta(min_length=1, max_length=60)]


class RequestTransfer(Value):
    """Ask for a transfer."""

    source: AccountId
    target: AccountId
    amount: Amount


class Transfer(Value):
    """What a transfer is about, from its start to its end."""

    source: AccountId
    target: AccountId
    amount: Amount


def begin(request: RequestTransfer) -> Transfer:
    """The transfer that was asked for; refused as `same_account` where it would go nowhere."""
    require(request.source != request.target, "same_account", f"{request.source} is both ends of it")
    return Transfer(request.source, request.target, request.amount)


transfers = Saga(
    "transfer",
    starts_on(RequestTransfer, Transfer, begin),
    steps=[
        Step(
            "hold",
            do=lambda t: accounts.to(t.source, Hold(t.amount)),
            undo=lambda t: accounts.to(t.source, Release(t.amount)),
        ),
        Step("credit", do=lambda t: accounts.to(t.target, Credit(t.amount)), kind="pivot"),
        Step("settle", do=lambda t: accounts.to(t.source, Settle(t.amount)), kind="retriable"),
    ],
)
