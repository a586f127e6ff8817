"""A proxy before a broker, which can hold, cut or delay what ends a transaction: requests of kind EndTxn, and their answers.

All clients reach the broker through it, since the broker tells them its address. A request is a length, then its kind
and version (two bytes each) and its correlation id (four); an answer is a length and that id. Everything else passes.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

END_TXN = 26
LENGTH, KIND_AT, ID_AT = 4, 0, 4

Trick = Literal["delay the answer", "cut before the answer", "cut before the request", "hold the request"]


@dataclass
class Order:
    """What to do with the next request that ends a transaction."""

    trick: Trick
    seconds: float
    done: threading.Event = field(default_factory=threading.Event)


class Proxy:
    """Listens on a port of 127.0.0.1 and passes everything to another one."""

    def __init__(self, port: int, target: int) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._order: Order | None = None
        self._open: list[socket.socket] = []
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def play(self, trick: Trick, seconds: float = 0.0) -> Order:
        """Play a trick on the next request that ends a transaction; its `done` is set when it has been played."""
        order = Order(trick, seconds)
        with self._lock:
            self._order = order
        return order

    def cut_all(self) -> int:
        """Cut every connection that is open; how many."""
        with self._lock:
            cut, self._open = self._open, []
        for each in cut:
            _shut(each)
        return len(cut) // 2

    def close(self) -> None:
        """Stop listening, and cut everything."""
        self._closed = True
        _shut(self._listener)
        self.cut_all()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self._target))
            except OSError:  # the broker is away: so are we
                client.close()
                continue
            for each in (client, broker):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open += [client, broker]
            _Connection(client, broker, self._take, self._give_back).start()

    def _take(self) -> Order | None:
        with self._lock:
            order, self._order = self._order, None
        return order

    def _give_back(self, order: Order) -> None:
        with self._lock:
            self._order = self._order or order


class _Connection:
    """One connection: a thread for each direction."""

    def __init__(
        self,
        client: socket.socket,
        broker: socket.socket,
        take: Callable[[], Order | None],
        give_back: Callable[[Order], None],
    ) -> None:
        self._client = client
        self._broker = broker
        self._take = take
        self._give_back = give_back
        self._answers: dict[bytes, Order] = {}

    def start(self) -> None:
        """Begin to pass."""
        for target in (self._requests, self._responses):
            threading.Thread(target=self._pass, args=(target,), daemon=True).start()

    def _pass(self, run: Callable[[], None]) -> None:
        with contextlib.suppress(OSError, EOFError):  # one side is gone: so is the other
            run()
        _shut(self._client)
        _shut(self._broker)
        with contextlib.suppress(KeyError):  # the client hung up before its answer came: the next one's is played with
            while True:
                self._give_back(self._answers.popitem()[1])

    def _requests(self) -> None:
        while True:
            frame = _frame(self._client)
            order = self._take() if _kind(frame) == END_TXN else None
            match order.trick if order is not None else None:
                case "cut before the request":
                    assert order is not None
                    order.done.set()
                    return
                case "hold the request":
                    # The client gives up on this connection meanwhile, and asks again on another; the broker hears
                    # the held request afterwards, as if it had been under way in the network.
                    assert order is not None
                    threading.Event().wait(order.seconds)
                    self._broker.sendall(frame)
                    order.done.set()
                    _frame(self._broker)
                    return
                case "delay the answer" | "cut before the answer":
                    assert order is not None
                    self._answers[frame[LENGTH + ID_AT : LENGTH + ID_AT + 4]] = order
                case None:
                    pass
            self._broker.sendall(frame)

    def _responses(self) -> None:
        while True:
            frame = _frame(self._broker)
            order = self._answers.pop(frame[LENGTH : LENGTH + 4], None)
            if order is not None:
                order.done.set()
                if order.trick == "cut before the answer":
                    return
                threading.Event().wait(order.seconds)
            self._client.sendall(frame)


def _kind(frame: bytes) -> int:
    return int.from_bytes(frame[LENGTH + KIND_AT : LENGTH + KIND_AT + 2], "big")


def _frame(source: socket.socket) -> bytes:
    length = _exactly(source, LENGTH)
    return length + _exactly(source, int.from_bytes(length, "big"))


def _exactly(source: socket.socket, size: int) -> bytes:
    got = bytearray()
    while len(got) < size:
        more = source.recv(size - len(got))
        if not more:
            raise EOFError
        got += more
    return bytes(got)


def _shut(each: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it was shut already
        each.shutdown(socket.SHUT_RDWR)
    each.close()
