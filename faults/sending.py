"""Clients under load: each sends commands of known ids at a known rate, waits for answers, and asks again with the same id.

A sender owns its accounts, so the order in which their commands were sent is known: the judge holds the log to it. What
to send follows from the seed; when, from the clock, and a sender that had to wait does not hurry afterwards.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from eventcore import Message
from eventcore.app import Client
from eventcore.errors import LogUnavailable, OutcomeUnknown
from eventcore.log.port import Log
from examples.bank.account import Deposit, Withdraw, accounts
from examples.bank.app import app
from examples.bank.transfer import RequestTransfer, transfers
from faults.judge import ACCOUNT, TRANSFER
from faults.record import Answered, Sent

PATIENCE_S = 120.0  # after which a command that nobody answers is given up, and the fault has not been survived
AGAIN_S = 0.1  # before it is asked again when the log said that it is away
EVERY = 50  # of so many commands one is asked again although it was answered


class Load(NamedTuple):
    """What is sent: by how many clients, how many commands in a batch, how often, and how long each waits."""

    clients: int = 4
    batch: int = 25
    period_s: float = 0.25
    timeout_s: float = 3.0
    accounts: int = 10  # of each client

    @property
    def rate(self) -> float:
        """Commands a second, when nothing is wrong."""
        return self.clients * self.batch / self.period_s


class Made(NamedTuple):
    """A command, to be sent and to be judged."""

    message: Message[Any]
    id: UUID
    sent: Sent


class Sender:
    """One client in a thread of its own."""

    def __init__(self, number: int, log: Log, load: Load, seed: str) -> None:
        self.sent: list[Sent] = []
        self.answered: dict[bytes, Answered] = {}
        self.retries = 0
        self.longest_s = 0.0
        self.begun_at = self.finished_at = -1.0  # of the last batch that was answered whole
        self.failure = ""
        self._random = random.Random(f"{seed} sender {number}")
        self._names = [f"account-{number}-{each}" for each in range(load.accounts)]
        self._others = [f"account-{n}-{each}" for n in range(load.clients) for each in range(load.accounts)]
        self._number = number
        self._load = load
        self._client = Client(app, log)
        self._over = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"sender {number}", daemon=True)

    def end(self) -> None:
        """Send no more batches."""
        self._over.set()

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                began = time.monotonic()
                batch = [self._make() for _ in range(self._load.batch)]
                self.sent += [made.sent for made in batch]
                self._settle(batch, began + PATIENCE_S)
                self.begun_at, self.finished_at = began, time.monotonic()
                self.longest_s = max(self.longest_s, self.finished_at - began)
                again = [made for made in batch if self._random.randrange(EVERY) == 0]
                self._settle(again, time.monotonic() + PATIENCE_S)
                self._over.wait(max(0.0, began + self._load.period_s - time.monotonic()))
        except Exception as fault:  # noqa: BLE001 - told by the suite as what was found
            self.failure = f"{type(fault).__name__}: {fault}"
        finally:
            self._client.close()

    def _settle(self, batch: Sequence[Made], deadline: float) -> None:
        """Send until each has its answer."""
        left = list(batch)
        while left:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(left)} commands without an answer after {PATIENCE_S:.0f} s; {left[0].sent}")
            answers = self._client.send_all([(m.message, m.id) for m in left], timeout_s=self._load.timeout_s)
            done = 0
            try:
                for made, outcome in zip(left, answers, strict=True):
                    self._note(made.sent.command_id, outcome.kind, outcome.version)
                    done += 1
            except (OutcomeUnknown, LogUnavailable):
                self.retries += len(left) - done
                if time.monotonic() + AGAIN_S < deadline:
                    threading.Event().wait(AGAIN_S)
            left = left[done:]

    def _note(self, command_id: bytes, kind: str, version: int) -> None:
        known = self.answered.get(command_id)
        otherwise = known is not None and (known.kind, known.version) != (kind, version)
        contradictions = (known.contradictions if known is not None else 0) + otherwise
        self.answered[command_id] = Answered(kind, version, contradictions)

    def _make(self) -> Made:
        dice, amount = self._random.random(), self._random.randint(1, 100)
        id_ = UUID(bytes=self._random.randbytes(16))
        message: Message[Any]
        if dice < 0.05:
            source, target = self._random.sample(self._others, 2)
            name, machine, instance = (
                "RequestTransfer",
                TRANSFER,
                f"transfer-{self._number}-{len(self.sent)}-{id_.hex[:8]}",
            )
            message = transfers.to(instance, RequestTransfer(source, target, amount))
        else:
            machine, instance = ACCOUNT, self._random.choice(self._names)
            if dice < 0.55:
                name, message = "Deposit", accounts.to(instance, Deposit(amount))
            else:
                name, message = "Withdraw", accounts.to(instance, Withdraw(amount))
        return Made(message, id_, Sent(id_.bytes, machine, instance, name, amount))


class Senders:
    """All clients of one run, on one log."""

    def __init__(self, log: Log, load: Load, seed: str) -> None:
        self.load = load
        self._senders = [Sender(number, log, load, seed) for number in range(load.clients)]

    def start(self) -> None:
        """Begin to send."""
        for sender in self._senders:
            sender.thread.start()

    def end(self) -> None:
        """Stop sending, and return when what was begun has been answered or given up."""
        for sender in self._senders:
            sender.end()
        for sender in self._senders:
            sender.thread.join(PATIENCE_S + 30)
            if sender.thread.is_alive():
                sender.failure = "does not end"

    @property
    def failures(self) -> list[str]:
        """Why clients gave up."""
        return [f"{s.thread.name}: {s.failure}" for s in self._senders if s.failure]

    @property
    def sent(self) -> list[Sent]:
        """Everything that was sent, each client's in its order."""
        return [each for sender in self._senders for each in sender.sent]

    @property
    def answered(self) -> dict[bytes, Answered]:
        """Everything that was answered."""
        return {key: value for sender in self._senders for key, value in sender.answered.items()}

    @property
    def retries(self) -> int:
        """How often a command was asked again because no answer came in time."""
        return sum(sender.retries for sender in self._senders)

    def resumed(self, since: float) -> float | None:
        """When, after `since`, every client had a batch answered that it began after that; None where one has not yet."""
        if failures := self.failures:
            raise TimeoutError(failures[0])
        if any(sender.begun_at < since for sender in self._senders):
            return None
        return max(sender.finished_at for sender in self._senders)
