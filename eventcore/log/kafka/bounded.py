"""A thread for calls whose own timeouts cannot be trusted (K3), and which the caller may have better to do than wait for.

After a broker's restart `send_offsets_to_transaction` was seen to hang for more than 200 s with a timeout of 5: a
thread inside it cannot be interrupted, and while that is the main thread, no signal handler runs. So such calls are
made by a thread of their own; the caller waits in Python, with a bound, and leaves the thread behind when the bound is
reached. The way there and back costs about 20 µs; a transaction takes more than a thousand.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class CallHangs(Exception):
    """A call did not return in its time; its thread was left behind, and what it uses must not be used again."""


class Pending(Generic[T]):
    """A call that was asked for. Any thread may look."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._done = threading.Event()
        self._result: T | None = None
        self._raised: BaseException | None = None

    @property
    def done(self) -> bool:
        """Whether it has returned or raised."""
        return self._done.is_set()

    def done_within(self, bound_s: float) -> bool:
        """Whether it has returned or raised, waiting up to `bound_s` for it."""
        return self._done.wait(bound_s)

    def wait(self, bound_s: float) -> T:
        """Return what the call returns, or raise what it raises. Raises CallHangs when `bound_s` have passed."""
        if not self._done.wait(bound_s):
            raise CallHangs(f"a call into the client library did not return within {bound_s:.0f} s")
        if self._raised is not None:
            raise self._raised
        return self._result  # type: ignore[return-value] # T may be None itself

    def make(self) -> None:
        """Make the call, here and now."""
        try:
            self._result = self._call()
        except BaseException as raised:  # noqa: BLE001 - handed to the thread that waits
            self._raised = raised
        self._done.set()


class BoundedCalls:
    """Makes calls in its own thread, one after the other. After CallHangs it is of no use."""

    def __init__(self, name: str) -> None:
        self._asked: queue.SimpleQueue[Pending[Any] | None] = queue.SimpleQueue()
        threading.Thread(target=_serve, args=(self._asked,), name=name, daemon=True).start()

    def start(self, call: Callable[[], T]) -> Pending[T]:
        """Have a call made when those before it have returned."""
        pending = Pending(call)
        self._asked.put(pending)
        return pending

    def run(self, call: Callable[[], T], bound_s: float) -> T:
        """Return what `call` returns, or raise what it raises. Raises CallHangs when `bound_s` have passed."""
        try:
            return self.start(call).wait(bound_s)
        except CallHangs:
            self.end()
            raise

    def end(self) -> None:
        """Let the thread end after the calls that were asked for."""
        self._asked.put(None)


def _serve(asked: queue.SimpleQueue[Pending[Any] | None]) -> None:
    while (pending := asked.get()) is not None:
        pending.make()
        del pending  # a call holds what it uses, and this thread waits for the next one
