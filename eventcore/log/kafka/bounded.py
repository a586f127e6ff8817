"""A thread for calls whose own timeouts cannot be trusted (K3).

After a broker's restart `send_offsets_to_transaction` was seen to hang for more than 200 s with a timeout of 5: a
thread inside it cannot be interrupted, and while that is the main thread, no signal handler runs. So such calls are
made by a thread of their own; the caller waits in Python, with a bound, and leaves the thread behind when the bound is
reached. The way there and back costs about 20 µs; a transaction takes more than a thousand.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class CallHangs(Exception):
    """A call did not return in its time; its thread was left behind, and what it uses must not be used again."""


class BoundedCalls:
    """Makes one call at a time in its own thread. After CallHangs it is of no use."""

    def __init__(self, name: str) -> None:
        self._asked: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._answered: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        threading.Thread(target=_serve, args=(self._asked, self._answered), name=name, daemon=True).start()

    def run(self, call: Callable[[], T], bound_s: float) -> T:
        """Return what `call` returns, or raise what it raises. Raises CallHangs when `bound_s` have passed."""
        self._asked.put(call)
        try:
            result, raised = self._answered.get(timeout=bound_s)
        except queue.Empty:
            self.end()
            raise CallHangs(f"a call into the client library did not return within {bound_s:.0f} s") from None
        if raised is not None:
            raise raised
        return result  # type: ignore[no-any-return] # the queue carries what any call returns

    def end(self) -> None:
        """Let the thread end after the call it is in."""
        self._asked.put(None)


def _serve(
    asked: queue.SimpleQueue[Callable[[], Any] | None], answered: queue.SimpleQueue[tuple[Any, BaseException | None]]
) -> None:
    while (call := asked.get()) is not None:
        try:
            answered.put((call(), None))
        except BaseException as raised:  # noqa: BLE001 - handed to the thread that waits
            answered.put((None, raised))
