"""What the client library was seen to do wrong, provoked through a network that fails on purpose.

Each test names the trap of docs/reference or the rule it shows: a coordinator that is cut off, late or hanging must cost
a restart of the lane and nothing else.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from eventcore.errors import DataError, Fenced, LogUnavailable, OutcomeUnknown, SystemFault
from eventcore.log.kafka import KafkaLog
from eventcore.log.kafka.client import Code, KafkaException, Producer
from eventcore.log.options import ClientOptions
from eventcore.log.port import Record
from tests import servers
from tests.contracts.log.places import LANE_READER, POLL_S, TOPICS, keys, owned, plans, read, record
from tests.servers.proxy import Fate, Proxy, Request, proxied_kafka

LATE_S = 2.0  # how long the client waits for an answer in these tests
OPTIONS = ClientOptions({"socket.timeout.ms": str(int(LATE_S * 1_000))})


@pytest.fixture(scope="module")
def broken_network() -> Iterator[Proxy]:
    """The proxy before a broker."""
    with proxied_kafka() as (_, proxy):
        yield proxy


@pytest.fixture
def proxy(broken_network: Proxy) -> Iterator[Proxy]:
    """The proxy, with nothing held from the test before."""
    yield broken_network
    broken_network.mend()


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """What stands before the names of a test's topics."""
    return f"{request.node.name.replace('[', '-').replace(']', '')}."[-60:]


@pytest.fixture
def log(proxy: Proxy, prefix: str) -> Iterator[KafkaLog]:
    """An empty log behind the proxy."""
    with contextlib.closing(KafkaLog(proxy.bootstrap, prefix, transaction_ms=20_000, options=OPTIONS)) as log:
        log.provision(plans(TOPICS))
        yield log


@pytest.mark.parametrize("fate", [Fate.CUT, Fate.CUT_BEFORE_ANSWER])
def test_a_commit_whose_connection_was_cut_is_committed_once_and_its_writer_replaced(
    log: KafkaLog, proxy: Proxy, fate: Fate
) -> None:
    """Rule 6: the library asks again and reports success; only a log line tells, and the next use is refused."""
    writer = owned(log)
    writer.append(TOPICS.events, [record("before")])
    writer.commit(1)
    writer.append(TOPICS.events, [record("cut")])
    proxy.next(Request.END_TRANSACTION, fate)
    writer.commit(2)
    with pytest.raises(LogUnavailable, match=r"the last transaction is decided, but .* own the lane again"):
        writer.append(TOPICS.events, [record("refused")])
    again = owned(log)
    again.append(TOPICS.events, [record("after")])
    again.commit(3)
    assert keys(read(log, TOPICS.events)) == ["before", "cut", "after"]


def test_a_commit_request_that_arrives_late_decides_nothing_of_the_next_transaction(
    log: KafkaLog, proxy: Proxy
) -> None:
    """The anomaly behind rule 6: with the same producer, the late request would commit half of the next transaction."""
    writer = owned(log)
    proxy.next(Request.END_TRANSACTION, Fate.HELD)
    writer.append(TOPICS.events, [record("first")])
    writer.commit(1)
    assert proxy.wait_until_met(1, POLL_S)
    with pytest.raises(LogUnavailable, match="own the lane again"):
        writer.append(TOPICS.events, [record("refused")])
    again = owned(log)
    again.append(TOPICS.events, [record("half"), record("other half")])
    proxy.release()
    again.abort()
    again.append(TOPICS.events, [record("next")])
    again.commit(2)
    assert keys(read(log, TOPICS.events)) == ["first", "next"]


@pytest.mark.parametrize("request_kind", [Request.ADD_OFFSETS, Request.TXN_OFFSET_COMMIT, Request.ADD_PARTITIONS])
def test_what_is_cut_on_the_way_to_a_commit_happens_once_or_not_at_all(
    log: KafkaLog, proxy: Proxy, request_kind: Request
) -> None:
    writer = owned(log)
    proxy.next(request_kind, Fate.CUT_BEFORE_ANSWER)
    kept: list[str] = []
    for turn in range(3):
        try:
            writer.append(TOPICS.events, [record(str(turn))])
            writer.commit(turn + 1)
        except (LogUnavailable, OutcomeUnknown, Fenced):
            writer = owned(log)
            if str(turn) not in keys(read(log, TOPICS.events)):
                continue
        except SystemFault as other:
            pytest.fail(f"not one of the errors that an owner knows: {other!r}")
        kept.append(str(turn))
        with contextlib.suppress(LogUnavailable):
            writer.abort()
    found = keys(read(log, TOPICS.events))
    assert found == kept
    assert len(found) >= 1


def test_a_cluster_that_is_cut_off_is_an_error_within_a_bound_and_the_lane_goes_on_after_it(
    log: KafkaLog, proxy: Proxy
) -> None:
    """Trap 12: no call hangs longer than its bound, whatever its own timeout does."""
    writer = owned(log)
    writer.append(TOPICS.events, [record("before")])
    writer.commit(1)
    proxy.cut()
    began = time.monotonic()
    with pytest.raises((LogUnavailable, OutcomeUnknown)):
        _append_and_commit(writer, "in doubt")
    assert time.monotonic() - began < 30.0
    proxy.mend()
    again = owned(log)
    before = keys(read(log, TOPICS.events))
    assert before in (["before"], ["before", "in doubt"])
    again.append(TOPICS.events, [record("after")])
    again.commit(3)
    assert keys(read(log, TOPICS.events)) == [*before, "after"]


def _append_and_commit(writer: object, key: str) -> None:
    writer.append(TOPICS.events, [record(key)])  # type: ignore[attr-defined] # a writer
    writer.commit(2)  # type: ignore[attr-defined]


def test_posts_to_a_cluster_that_is_away_are_dropped_and_counted_and_nobody_waits(
    log: KafkaLog, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventcore.log.kafka.settings.POST_MS", 1_000)
    log.post(TOPICS.commands, 0, [record("before")])
    proxy.cut()
    began = time.monotonic()
    for _ in range(100):
        log.post(TOPICS.commands, 0, [record("lost")] * 10)
    assert time.monotonic() - began < 1.0
    deadline = time.monotonic() + POLL_S
    while log.dropped < 1_000 and time.monotonic() < deadline:
        log.post(TOPICS.commands, 0, [])
        time.sleep(0.05)  # the client's own timer is waited for
    assert log.dropped >= 1_000
    proxy.mend()


def test_posts_beyond_the_queue_are_dropped_and_counted(
    log: KafkaLog, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventcore.log.kafka.settings.POSTS_MAX", 100)
    proxy.cut()
    log.post(TOPICS.commands, 0, [Record(b"k", b"v")] * 250)
    assert log.dropped == 150
    proxy.mend()


def test_a_fresh_cluster_takes_the_first_position_at_once(own_kafka: servers.KafkaServer) -> None:
    """Trap 12: sent before the group's coordinator had ever been asked for, the first position hung for ever."""
    with contextlib.closing(KafkaLog(own_kafka.bootstrap)) as log:
        log.provision(plans(TOPICS))
        writer = owned(log)
        writer.append(TOPICS.events, [record("a")])
        began = time.monotonic()
        writer.commit(1)
        assert time.monotonic() - began < 5.0
        assert log.saved(LANE_READER, TOPICS.commands, 0) == 1


def test_a_start_that_is_not_there_is_an_error_and_never_the_beginning(log: KafkaLog) -> None:
    """Trap 1: no reader lets the client choose where to start."""
    log.append(TOPICS.commands, 0, [record("a")])
    with pytest.raises(DataError, match="ends at 1"):
        log.follow(TOPICS.commands, {0: 5})


class Told:
    """A receipt that asks what it is told: the library serves it while the error of its fence is under way."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def __call__(self, error: Any, message: Any) -> None:
        """Take a receipt."""
        self.said.append(str(error) if error is not None else str(message.offset()))


@pytest.mark.parametrize("ask", ["flush", "poll", "commit"])
def test_a_fenced_producer_raises_what_everybody_catches(proxy: Proxy, log: KafkaLog, prefix: str, ask: str) -> None:
    """The library itself raises SystemError here, or its bare KafkaError, which no `except Exception` catches."""
    owned(log).close()
    topic = f"{prefix}{TOPICS.events}"
    options = {"bootstrap.servers": proxy.bootstrap, "transactional.id": f"{prefix}fenced", "linger.ms": 1_000}
    former = Producer(options)
    former.init_transactions(POLL_S)
    former.begin_transaction()
    former.produce(topic, b"before", partition=0, on_delivery=Told())
    former.flush(POLL_S)
    Producer(options).init_transactions(POLL_S)
    told = Told()
    for _ in range(20):
        former.produce(topic, b"fenced", partition=0, on_delivery=told)  # not sent yet
    calls: dict[str, Callable[[], object]] = {
        "flush": lambda: former.flush(POLL_S),
        "poll": lambda: [former.poll(POLL_S) for _ in range(50)],
        "commit": lambda: former.commit_transaction(POLL_S),
    }
    with pytest.raises(KafkaException) as raised:
        calls[ask]()
    error = raised.value.args[0]
    assert error.fatal()
    assert error.code() == Code.FENCED
