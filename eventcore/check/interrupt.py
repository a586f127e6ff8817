"""Ctrl-C as a word, not as an exception: raised just anywhere, KeyboardInterrupt would tear what is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def instead_of_interrupt(told: Callable[[], None]) -> Generator[None]:
    """Call `told` on Ctrl-C meanwhile. In a thread other than the main one nothing is changed: nobody can interrupt it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def pressed(_: int, __: FrameType | None) -> None:
        told()

    before = signal.signal(signal.SIGINT, pressed)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
