"""A network that fails on purpose: a proxy before one broker that knows requests by their kind.

The broker advertises the proxy's port, so that every connection of every client goes through it. A rule takes the next
request of a kind: it cuts the connection instead of passing the request on, or passes it on and cuts before the answer,
or holds it until the test lets it go, by when the client has usually given up and asked again on another connection.
"""

import contextlib
import enum
import socket
import struct
import threading
from collections.abc import Generator, Mapping

from tests.servers.broker import QUICK_REGISTRATION, KafkaServer, Place
from tests.servers.process import free_port

JOIN_S = 5.0


class Request(enum.IntEnum):
    """The kinds of request that tests meet, by their number in the protocol."""

    PRODUCE = 0
    FETCH = 1
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS = 24
    ADD_OFFSETS = 25
    END_TRANSACTION = 26
    TXN_OFFSET_COMMIT = 28
    GROUP_HEARTBEAT = 68


class Fate(enum.Enum):
    """What happens to a request."""

    CUT = "the connection is cut, the request lost"
    CUT_BEFORE_ANSWER = "the request arrives, its answer is lost with the connection"
    HELD = "the request waits until `release`, whatever its client does meanwhile"


class Proxy:
    """Listens on `port` and passes everything on to `broker_port`, as the rules say. Any thread may use it."""

    def __init__(self, port: int, broker_port: int) -> None:
        self.port = port
        self.bootstrap = f"127.0.0.1:{port}"
        self._broker_port = broker_port
        self._lock = threading.Lock()
        self._rules: list[tuple[Request, Fate]] = []
        self._met = threading.Condition()
        self._fates = 0
        self._go = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._down = False
        self._listener = socket.create_server(("127.0.0.1", port))
        self._start(self._accept)

    def next(self, request: Request, fate: Fate) -> None:
        """The next request of this kind meets this fate, once."""
        with self._lock:
            self._rules.append((request, fate))

    def wait_until_met(self, count: int, timeout_s: float) -> bool:
        """Whether `count` requests have met their fate, waiting up to `timeout_s` for it."""
        with self._met:
            return self._met.wait_for(lambda: self._fates >= count, timeout_s)

    def release(self) -> None:
        """Let every held request go on to the broker."""
        self._go.set()

    def cut(self) -> None:
        """Cut every connection, and refuse new ones until `mend`: the broker is away."""
        with self._lock:
            self._down = True
        self._close_all()

    def mend(self) -> None:
        """Take connections again."""
        with self._lock:
            self._down = False

    def close(self) -> None:
        """End every connection and thread."""
        self.release()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in list(self._threads):
            thread.join(JOIN_S)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                down = self._down
            if down:
                client.close()
                continue
            try:
                broker = socket.create_connection(("127.0.0.1", self._broker_port))
            except OSError:
                client.close()
                continue
            with self._lock:
                down = self._down  # it may have been cut since
                self._sockets |= set() if down else {client, broker}
            if down:
                client.close()
                broker.close()
                continue
            self._start(self._requests, client, broker)
            self._start(self._answers, broker, client)

    def _requests(self, client: socket.socket, broker: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while (frame := _frame(client)) is not None:
                match self._fate(frame):
                    case Fate.CUT:
                        break
                    case Fate.CUT_BEFORE_ANSWER:
                        _shut(client)
                        broker.sendall(frame)
                        _drain(broker)
                        break
                    case Fate.HELD:
                        self._go.wait()
                        broker.sendall(frame)
                    case None:
                        broker.sendall(frame)
        _shut(client)
        _shut(broker)

    def _answers(self, broker: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := broker.recv(65_536):
                client.sendall(data)
        _shut(client)

    def _fate(self, frame: bytes) -> Fate | None:
        (kind,) = struct.unpack_from(">h", frame, 4)
        with self._lock:
            rule = next((rule for rule in self._rules if rule[0] == kind), None)
            if rule is None:
                return None
            self._rules.remove(rule)
        with self._met:
            self._fates += 1
            self._met.notify_all()
        return rule[1]

    def _start(self, work: object, *parts: socket.socket) -> None:
        assert callable(work)
        thread = threading.Thread(target=work, args=parts, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _close_all(self) -> None:
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for each in sockets:
            _shut(each)
            each.close()


@contextlib.contextmanager
def proxied_kafka(settings: Mapping[str, str] = QUICK_REGISTRATION) -> Generator[tuple[KafkaServer, Proxy]]:
    """A broker of one's own and the proxy that its clients go through: connect to the proxy's `bootstrap`."""
    place, port = Place(), free_port()
    server = KafkaServer({**settings, "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}"}, place)
    try:
        with contextlib.closing(Proxy(port, place.port)) as proxy:
            server.start()  # it is ready when the address that it advertises answers
            yield server, proxy
    finally:
        server.close()


def _frame(client: socket.socket) -> bytes | None:
    """One request with its length before it; None at the end of the connection."""
    head = _exactly(client, 4)
    if head is None:
        return None
    body = _exactly(client, struct.unpack(">i", head)[0])
    return None if body is None else head + body


def _exactly(client: socket.socket, count: int) -> bytes | None:
    found = bytearray()
    while len(found) < count:
        if not (data := client.recv(count - len(found))):
            return None
        found += data
    return bytes(found)


def _drain(broker: socket.socket) -> None:
    """Give the broker the time to answer, so that it has taken the request; the answer goes nowhere."""
    broker.settimeout(0.3)
    with contextlib.suppress(OSError):
        while broker.recv(65_536):
            pass


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
