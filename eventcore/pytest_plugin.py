"""What pytest learns when eventcore is installed: two values that differ are shown by field, and apps open for a test.

    def test_money_that_was_paid_in_is_there(open_app: OpenApp) -> None:
        bank = open_app(app)
        paid = bank.send(accounts.to("alice", Deposit(5)))
        assert bank.ask(balances, "alice", at_least=paid.cut).row == Balance("alice", 5)

Nothing else changes. `pytest -p no:eventcore` does without it. It is no part of `eventcore.testing`, which imports the
projections and sagas that a test run may not need.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Protocol, TypeVar

import pytest

from eventcore.value import Value

Opened = TypeVar("Opened")
Opened_co = TypeVar("Opened_co", covariant=True)


class Openable(Protocol[Opened_co]):
    """An app, seen from below: what `eventcore.app.App` is."""

    def open(self, log: str = ..., views: str | None = ...) -> AbstractContextManager[Opened_co]:
        """Run it in this process."""
        ...


class OpenApp(Protocol):
    """The fixture `open_app`: opens an app in this process, on a log in memory unless another is named."""

    def __call__(self, app: Openable[Opened], log: str = "memory:", views: str | None = None) -> Opened:
        """The open app, which is closed when the test ends."""
        ...


@pytest.fixture
def open_app() -> Iterator[OpenApp]:
    """A function that opens an app for the time of one test; what it opened is closed in reverse when the test ends."""
    with ExitStack() as opened:

        def open_(app: Openable[Opened], log: str = "memory:", views: str | None = None) -> Opened:
            return opened.enter_context(app.open(log, views))

        yield open_


def pytest_assertrepr_compare(op: str, left: Any, right: Any) -> list[str] | None:
    """Explain `left == right` of two values of one class by the fields that differ; leave all else to pytest."""
    if op != "==" or not isinstance(left, Value) or type(left) is not type(right):
        return None
    from eventcore.testing.differences import differences  # imports much, and most runs have nothing to explain

    parts = [f"{path or 'it'}: {one!r} != {other!r}" for path, one, other in differences(left, right)]
    return [f"{left!r} == {right!r}", *parts]
