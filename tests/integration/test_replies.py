"""Replies when things go wrong: a topic that is gone, a broker that restarts, a client that dies, a shared partition."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Generator
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from eventcore.app import Client, Outcome
from eventcore.app.wiring import provision
from eventcore.avro.envelope import Options, command_envelope
from eventcore.errors import LogUnavailable, OutcomeUnknown
from eventcore.lane.reply import CUT_HEADER, address_of
from eventcore.log.kafka import KafkaLog
from eventcore.log.port import Log, Record
from examples.bank.account import Deposit, accounts
from examples.bank.app import app
from examples.bank.balances import balances
from projections import Views, open_views
from tests import servers
from tests.bank import everything
from tests.failing import FailingLog
from tests.logs import KAFKA, opened, opener_of
from tests.running import WAIT_S, running

REPLIES = "bank.replies"
ASKING = """
import sys
from eventcore.app import Client
from eventcore.log.kafka import KafkaLog
from examples.bank.account import Deposit, accounts
from examples.bank.app import app
client = Client(app, KafkaLog(sys.argv[1], sys.argv[2]))
print("asking", flush=True)
outcome = client.send(accounts.to("alice", Deposit(5)), id="receipt 17", timeout_s=float(sys.argv[3]))
print(outcome.kind, outcome.version, outcome.repeated, outcome.cut)
"""


@pytest.fixture(params=["memory", KAFKA])
def log(request: pytest.FixtureRequest) -> Generator[Log]:
    """A log that has replies."""
    with opened(opener_of(request, request.param)) as log:
        provision(log, app.wiring, 2)
        yield log


@pytest.fixture
def views() -> Generator[Views]:
    """Views in memory."""
    views = open_views("memory:")
    views.upgrade()
    views.prepare([balances])
    yield views
    views.close()


def third(_: int) -> int:
    """The number of the partition that both clients choose."""
    return 3


def test_clients_of_one_reply_partition_hear_their_own_and_no_more(
    log: Log, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "randrange", third)
    one, other = Client(app, log), Client(app, log)
    with running(app, log, views):
        for number in range(5):
            mine = one.send(accounts.to("alice", Deposit(1)), id=f"one {number}", timeout_s=WAIT_S)
            theirs = other.send(accounts.to("alice", Deposit(1)), id=f"other {number}", timeout_s=WAIT_S)
            again = other.send(accounts.to("alice", Deposit(1)), id=f"one {number}", timeout_s=WAIT_S)
            assert (mine.version, theirs.version) == (2 * number + 1, 2 * number + 2)
            assert (again.version, again.repeated) == (mine.version, True)
            assert mine.cut <= theirs.cut <= again.cut
    assert one.listening.reply != other.listening.reply
    assert all(not a._missing.total() and not a._found for client in (one, other) for a in client.listening.all())
    one.close()
    other.close()


def test_what_others_write_into_the_replies_harms_nobody(log: Log, views: Views) -> None:
    client = Client(app, log)
    address = address_of(client.listening.reply or "")
    assert address is not None
    foreign = [
        Record(address.token, b"garbage"),
        Record(address.token, None),
        Record(b"somebody", b"else", None, 0, ((CUT_HEADER, b"a[0]@1"),)),
        Record(address.token, b"garbage", None, 0, ((CUT_HEADER, b"\xff" * 100),)),
    ]
    log.append(REPLIES, address.partition, foreign)
    with running(app, log, views):
        assert client.send(accounts.to("alice", Deposit(5)), timeout_s=WAIT_S).version == 1
    client.close()


def test_every_command_whose_reply_was_lost_is_asked_for_again(views: Views) -> None:
    log = FailingLog()
    provision(log, app.wiring, 2)
    client = Client(app, log)
    with running(app, log, views):
        client.send(accounts.to("alice", Deposit(5)), timeout_s=WAIT_S)
        log.mute = True
        batch = [(accounts.to(f"account-{n}", Deposit(5)), f"receipt {n}") for n in range(16)]
        answers = iter(client.send_all(batch, timeout_s=10.0))
        talks = threading.Timer(2.0, setattr, (log, "mute", False))
        talks.start()
        outcomes = list(answers)
        talks.join()
    client.close()
    assert log.dropped >= 2
    assert [(o.kind, o.version, o.repeated) for o in outcomes] == [("accepted", 1, True)] * 16


def test_a_batch_of_which_a_part_is_sent_is_not_told_that_nothing_was_written(views: Views) -> None:
    log = FailingLog()
    provision(log, app.wiring, 2)
    client = Client(app, log)
    batch = [(accounts.to(name, Deposit(5)), name) for name in "abcdef"]  # in both partitions
    log.away = {0, 1, 2, 3}
    with pytest.raises(LogUnavailable):
        list(client.send_all(batch))
    log.away = {1}
    with pytest.raises(
        OutcomeUnknown, match=r"account.commands\[1\] cannot be written.*Ask again with the same ids"
    ) as said:
        list(client.send_all(batch))
    assert isinstance(said.value.__cause__, LogUnavailable)
    log.away = set()
    with running(app, log, views):
        outcomes = list(client.send_all(batch, timeout_s=WAIT_S))
    client.close()
    assert {(outcome.kind, outcome.version) for outcome in outcomes} == {("accepted", 1)}


@pytest.mark.parametrize(
    "address", ["", "/", "3", "3/", "99999/abc", "-1/abc", "3/" + "x" * 5_000, "٣/abc", "3/a\nb", "0x1/abc", "3/é"]
)
def test_a_lane_answers_no_address_that_is_none_and_goes_on(log: Log, views: Views, address: str) -> None:
    command = accounts.to("alice", Deposit(5)).command
    value = app.wiring.machine("account").commands.encode(command)
    hostile = Record(b"alice", value, command_envelope(bytes(16), Options(reply=address)))
    with running(app, log, views):
        client = Client(app, log)
        assert client.send(accounts.to("alice", Deposit(5)), timeout_s=WAIT_S).version == 1
        place, _ = client.addressed(accounts.to("alice", Deposit(5)))
        log.append(place.machine.topics.commands, place.partition, [hostile])
        assert client.send(accounts.to("alice", Deposit(5)), timeout_s=WAIT_S).version in (2, 3)
        client.close()
    assert sum(len(everything(log, REPLIES, p)) for p in range(8)) >= 2


@pytest.mark.server
def test_without_the_replies_topic_clients_read_the_outcomes(kafka: str, kafka_prefix: str, views: Views) -> None:
    with opened(lambda: KafkaLog(kafka, kafka_prefix)) as log:
        provision(log, app.wiring, 2)
        client = Client(app, log)
        with running(app, log, views):
            first = client.send(accounts.to("alice", Deposit(5)), id="receipt 1", timeout_s=WAIT_S)
            admin: Any = AdminClient({"bootstrap.servers": kafka})  # kept: a collected one fails what it was asked
            for future in admin.delete_topics([kafka_prefix + REPLIES]).values():
                future.result(10)
            # The first of these are sent while the client does not know it yet.
            versions = [_asked_until_known(client, f"receipt {number}").version for number in range(2, 5)]
            again = client.send(accounts.to("alice", Deposit(5)), id="receipt 1", timeout_s=WAIT_S)
        client.close()
    assert versions == [2, 3, 4]
    assert (again.version, again.repeated) == (first.version, True)


def _asked_until_known(client: Client, name: str) -> Outcome:
    for _ in range(3):
        try:
            return client.send(accounts.to("alice", Deposit(5)), id=name, timeout_s=10.0)
        except OutcomeUnknown:
            continue
    raise AssertionError(f"{name} was asked for three times, and nobody knows")


def test_a_client_that_waits_through_a_restart_of_the_broker_is_answered(
    own_kafka: servers.KafkaServer, views: Views
) -> None:
    answered: list[Outcome] = []
    with opened(lambda: KafkaLog(own_kafka.bootstrap, "restart.")) as log:
        provision(log, app.wiring, 2)
        client = Client(app, log)

        def ask() -> None:
            answered.append(client.send(accounts.to("alice", Deposit(5)), id="receipt 17", timeout_s=60.0))

        thread = threading.Thread(target=ask)
        thread.start()
        while not sum(log.end("bank.account.commands", p) for p in range(2)):
            thread.join(0.02)  # until it is sent
        own_kafka.kill()
        own_kafka.start()
        with opened(lambda: KafkaLog(own_kafka.bootstrap, "restart.")) as other, running(app, other, views):
            thread.join(65)
            assert not thread.is_alive()
        client.close()
    assert [(o.kind, o.version) for o in answered] == [("accepted", 1)]


@pytest.mark.server
def test_who_asks_again_for_a_client_that_died_is_told_what_it_would_have_been(
    kafka: str, kafka_prefix: str, views: Views
) -> None:
    with opened(lambda: KafkaLog(kafka, kafka_prefix)) as log:
        provision(log, app.wiring, 2)
        asking = [sys.executable, "-c", ASKING, kafka, kafka_prefix]
        with subprocess.Popen([*asking, "60"], stdout=subprocess.PIPE, text=True) as first:
            assert first.stdout is not None
            assert first.stdout.readline() == "asking\n"
            while not sum(log.end("bank.account.commands", p) for p in range(2)):
                threading.Event().wait(0.02)
            first.kill()
        with running(app, log, views):
            said = [
                subprocess.run([*asking, "30"], capture_output=True, text=True, check=True, timeout=60).stdout
                for _ in range(2)
            ]
    assert [line.splitlines()[1].split()[:3] for line in said] == [["accepted", "1", "True"]] * 2
