"""The client for programs that await: thousands of sends at a time, two threads, under asyncio and trio.

One thread writes commands: it takes whatever has gathered, groups it by partition and appends each group at once, so that a
thousand sends are a few round trips. One thread listens for all, and hands what it heard to the event loop at once for
each poll. A send itself is an event that it awaits; cancelled, it leaves nothing that is waited for.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from datetime import timedelta
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread

from eventcore import telemetry
from eventcore.aggregate import Message
from eventcore.app.app import App
from eventcore.app.awaited import Awaited, Heard
from eventcore.app.client import IN_FLIGHT_MAX, OUTCOME_S, Client, id_of
from eventcore.app.listening import Place
from eventcore.app.outcome import Outcome, outcome_of
from eventcore.errors import EventcoreError, OutcomeUnknown, SystemFault, WrongUse
from eventcore.log.port import Log, Record

logger = logging.getLogger("eventcore.client")

IDLE_S = 0.1  # how long the listening thread waits before it looks again whether somebody waits


class _Sent:
    """One send that somebody awaits: what is to be sent, and what came of it. Its event belongs to the loop."""

    def __init__(self, message: Message[Any], given: dict[str, Any]) -> None:
        self.message = message
        self.given = given
        self.event = anyio.Event()
        self.place: Place | None = None
        self.record: Record | None = None
        self.awaited: Awaited | None = None
        self.outcome: Outcome | None = None
        self.fault: BaseException | None = None
        self.written = False  # whether it stands in its topic: then no fault says that nothing was written
        self.gone = False  # nobody awaits it any more


class AsyncClient:
    """As `Client`, for coroutines. Use it as `async with AsyncClient(app, log) as client`; it belongs to that event loop.

    At most IN_FLIGHT_MAX sends are under way; the next ones wait, within their patience.
    """

    def __init__(self, app: App, log: Log) -> None:
        self._app = app
        self._log = log
        self._client = Client(app, log)
        self._queue: queue.SimpleQueue[_Sent | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting: dict[bytes, deque[_Sent]] = {}
        self._somebody = threading.Event()
        self._closed = False
        self._threads: list[threading.Thread] = []

    async def __aenter__(self) -> Self:
        self._token = anyio.lowlevel.current_token()
        self._room = anyio.Semaphore(IN_FLIGHT_MAX)
        self._threads = [
            threading.Thread(target=self._write, name="client writes", daemon=True),
            threading.Thread(target=self._listen, name="client listens", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._queue.put(None)
        self._somebody.set()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._end)

    def _end(self) -> None:
        for thread in self._threads:
            thread.join()
        self._client.close()

    async def send(
        self,
        message: Message[Any],
        *,
        id: UUID | str | None = None,  # noqa: A002 - the field's word
        expected_version: int | None = None,
        expires_after: timedelta | None = None,
        timeout_s: float = OUTCOME_S,
    ) -> Outcome:
        """Send one command and return its outcome.

        With the same `id` it may be sent again: it is decided once. Raises InvalidValue before anything is sent,
        OutcomeUnknown where no outcome is seen within `timeout_s` (ask again with the same id), LogUnavailable.
        """
        if not self._threads or self._closed:
            raise WrongUse("this client is not open: `async with AsyncClient(app, log) as client`")
        topic = self._app.wiring.machine(message.to).topics.commands
        with telemetry.sending(topic, self._log) as span:
            given = {
                "id": id,
                "expected_version": expected_version,
                "expires_after": expires_after,
                "trace": span.traceparent,
            }
            sent = _Sent(message, given)
            with anyio.move_on_after(timeout_s):
                async with self._room:
                    outcome = await self._sent(sent, timeout_s)
                    span.answered(outcome.kind)
                    return outcome
            raise self._unknown(sent)

    async def _sent(self, sent: _Sent, timeout_s: float) -> Outcome:
        try:
            self._queue.put(sent)
            with anyio.move_on_after(timeout_s / 2):
                await sent.event.wait()
            if not sent.event.is_set():
                if sent.awaited is not None and sent.awaited.lossy:
                    self._client.listening.doubt(sent.awaited)
                    self._queue.put(sent)  # once more: the reply may be lost
                await sent.event.wait()
        finally:
            self._give_up(sent)
        if sent.fault is not None:
            raise sent.fault
        assert sent.outcome is not None, "an answered send has an outcome or a fault"
        return sent.outcome

    def _unknown(self, sent: _Sent) -> OutcomeUnknown:
        if sent.awaited is not None and sent.record is not None:
            return sent.awaited.unknown(id_of(sent.record), None)
        return OutcomeUnknown("the command was not sent yet, or its fate is not known: ask again with the same id")

    def _give_up(self, sent: _Sent) -> None:
        with self._lock:
            sent.gone = True
            if sent.awaited is None or sent.record is None:
                return
            command_id = id_of(sent.record)
            if (waiting := self._waiting.get(command_id)) and sent in waiting:
                waiting.remove(sent)
                if not waiting:
                    del self._waiting[command_id]
                sent.awaited.give_up([command_id])

    # --- the writing thread ------------------------------------------------------------------------------------------

    def _write(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, ends = [first], False
            while len(batch) < IN_FLIGHT_MAX and not self._queue.empty():
                if (more := self._queue.get()) is None:
                    ends = True
                    break
                batch.append(more)
            self._write_together(batch)
            if ends:
                return

    def _write_together(self, batch: list[_Sent]) -> None:
        groups: dict[Place, list[_Sent]] = {}
        failed: list[_Sent] = []
        for sent in batch:
            try:
                if self._addressed(sent):
                    assert sent.place is not None, "what is addressed has a place"
                    groups.setdefault(sent.place, []).append(sent)
            except Exception as fault:  # noqa: BLE001 - it is its sender's, and the others' thread goes on
                sent.fault = sent.fault or fault
                failed.append(sent)
        for place, together in groups.items():
            records = [sent.record for sent in together if sent.record is not None]
            try:
                self._log.append(place.machine.topics.commands, place.partition, records)
            except SystemFault as away:
                logger.info("commands could not be sent, or not asked for again: %s", away)
                failed += _failed(
                    [sent for sent in together if not sent.written], away
                )  # the others may be answered yet
            except Exception as fault:  # noqa: BLE001 - the same
                failed += _failed(together, fault)
            else:
                for sent in together:
                    sent.written = True
        self._tell(failed)

    def _addressed(self, sent: _Sent) -> bool:
        """Make its record, and wait for its outcome from before it is written; False where nobody does any more."""
        if sent.record is None:
            sent.place, sent.record = self._client.addressed(sent.message, **sent.given)
            awaited = self._client.listening.at(sent.place)
            with self._lock:
                if sent.gone:
                    return False
                sent.awaited = awaited
                awaited.expect([id_of(sent.record)])
                self._waiting.setdefault(id_of(sent.record), deque()).append(sent)
            self._somebody.set()
        return not sent.gone

    # --- the listening thread ----------------------------------------------------------------------------------------

    def _listen(self) -> None:
        while not self._closed:
            if not self._waiting:
                self._somebody.clear()
                if not self._waiting:
                    self._somebody.wait(IDLE_S)
                continue
            places = self._client.listening.all()
            for awaited in places:
                before = awaited.finds
                awaited.poll()
                if awaited.finds != before:
                    self._hand_out(awaited)
                if awaited.broken is not None:
                    self._break(awaited, awaited.broken)

    def _hand_out(self, awaited: Awaited) -> None:
        answered: list[_Sent] = []
        for command_id in awaited.found():
            while (heard := awaited.next(command_id)) is not None:
                with self._lock:
                    waiting = self._waiting.get(command_id)
                    sent = waiting.popleft() if waiting else None
                    if waiting is not None and not waiting:
                        del self._waiting[command_id]
                if sent is not None:
                    self._answer(sent, heard)
                    answered.append(sent)
        self._tell(answered)

    def _answer(self, sent: _Sent, heard: Heard) -> None:
        assert sent.place is not None, "what is answered was sent"
        try:
            sent.outcome = outcome_of(heard.outcome, self._client.listening.cut(sent.place, heard))
        except EventcoreError as fault:
            sent.fault = fault

    def _break(self, awaited: Awaited, why: EventcoreError) -> None:
        with self._lock:
            broken = [sent for waiting in self._waiting.values() for sent in waiting if sent.awaited is awaited]
        for sent in broken:
            if sent.record is not None:
                sent.fault = awaited.unknown(id_of(sent.record), why)
        self._tell(broken)
        time.sleep(IDLE_S)

    def _tell(self, done: list[_Sent]) -> None:
        if done:
            anyio.from_thread.run_sync(_set, done, token=self._token)


def _failed(these: list[_Sent], fault: Exception) -> list[_Sent]:
    for sent in these:
        sent.fault = fault
    return these


def _set(done: list[_Sent]) -> None:
    for sent in done:
        sent.event.set()
