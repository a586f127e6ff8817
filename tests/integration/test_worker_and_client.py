"""A worker and clients of it, in threads, on every log: answered once, decided once, and whoever takes over goes on."""

from __future__ import annotations

import threading
from collections.abc import Generator
from typing import NamedTuple

import pytest

from eventcore import Cut
from eventcore.app import Client, Worker
from eventcore.app.audit import judge, states_at
from eventcore.app.cuts import capture, check_cut
from eventcore.app.wiring import provision
from eventcore.avro.envelope import read_envelope
from eventcore.avro.outcome import read_outcome
from eventcore.errors import Fenced, OutcomeUnknown, OwnedElsewhere
from eventcore.lane.restore import read_to
from eventcore.log.port import Log
from examples.bank.account import Account, Deposit, Withdraw, accounts
from examples.bank.app import app
from examples.bank.balances import Balance, balances
from examples.bank.conservation import money_is_conserved
from examples.bank.transfer import RequestTransfer, transfers
from projections import Views, open_views
from sagas import Progress
from tests.logs import EVERY_LOG, KAFKA, Opener, opened, opener_of
from tests.running import WAIT_S, Running, running, wait_until

PARTITIONS = 2
wiring = app.wiring


class Place(NamedTuple):
    """A log and views, with everything made in them that the bank needs."""

    kind: str
    log: Log
    views: Views
    another: Opener

    def ends(self, topic: str) -> Cut:
        """Where a topic ends."""
        return Cut({(topic, p): self.log.end(topic, p) for p in range(PARTITIONS)})

    def states(self, name: str) -> dict[str, object]:
        """The states of a machine by what the log holds now."""
        machine = wiring.machine(name)
        return states_at(self.log, machine, self.ends(machine.topics.events))

    def transfer(self, name: str) -> str:
        """The status of a transfer."""
        progress = self.states("transfer").get(name)
        return progress.status if isinstance(progress, Progress) else "unknown"


@pytest.fixture(params=EVERY_LOG)
def place(request: pytest.FixtureRequest) -> Generator[Place]:
    """A log of each kind, and views in a file."""
    yield from _place(request)


@pytest.fixture(params=["sqlite"])
def on_sqlite(request: pytest.FixtureRequest) -> Generator[Place]:
    """A log that one process can own."""
    yield from _place(request)


@pytest.fixture(params=[KAFKA])
def on_kafka(request: pytest.FixtureRequest) -> Generator[Place]:
    """A log whose owner can be fenced by another process."""
    yield from _place(request)


def _place(request: pytest.FixtureRequest) -> Generator[Place]:
    opener = opener_of(request, request.param)
    with opened(opener) as log:
        provision(log, wiring, PARTITIONS)
        views = open_views(f"sqlite:{request.getfixturevalue('tmp_path') / 'views.db'}")
        views.upgrade()
        views.prepare([balances])
        yield Place(request.param, log, views, opener)
        views.close()


def check_log(log: Log, name: str) -> int:
    """Read a machine's records as anybody can, and check what lanes promise; return the number of first decisions."""
    topics, firsts = wiring.machine(name).topics, 0
    for partition in range(PARTITIONS):
        versions: dict[bytes | None, int] = {}
        sequence = 0
        for records in read_to(log, topics.events, partition, log.end(topics.events, partition)):
            for record in records:
                envelope = read_envelope(record.envelope)
                assert envelope.version == versions.get(record.key, 0) + 1
                assert envelope.sequence == sequence + 1
                versions[record.key], sequence = envelope.version, envelope.sequence
        seen: set[bytes] = set()
        causes: list[int] = []
        for records in read_to(log, topics.outcomes, partition, log.end(topics.outcomes, partition)):
            for record in records:
                outcome = read_outcome(record.value)
                assert outcome.details.repeated == (outcome.command_id in seen)
                seen.add(outcome.command_id)
                causes.append(outcome.cause)
        assert causes == sorted(set(causes))
        firsts += len(seen)
    return firsts


def test_a_client_is_answered_and_reads_what_it_wrote(place: Place) -> None:
    with running(app, place.log, place.views):
        client = Client(app, place.log)
        for n in range(1, 4):
            outcome = client.send(accounts.to("alice", Deposit(5)))
            assert outcome.accepted
            assert place.views.ask(balances, "alice", at_least=outcome.cut).row == Balance("alice", 5 * n)
        refused = client.send(accounts.to("bob", Withdraw(5)))
        assert (refused.kind, refused.reason) == ("refused", "insufficient_funds")
        client.close()


def test_a_transfer_goes_its_way_without_being_asked(place: Place) -> None:
    with running(app, place.log, place.views):
        client = Client(app, place.log)
        client.send(accounts.to("alice", Deposit(500)))
        assert client.send(transfers.to("good", RequestTransfer("alice", "bob", 300))).accepted
        assert client.send(transfers.to("bad", RequestTransfer("carol", "bob", 300))).accepted
        wait_until(lambda: place.transfer("good") == "completed", "the good transfer")
        wait_until(lambda: place.transfer("bad") == "compensated", "the bad transfer")
        client.close()
        cut = capture(place.log, wiring.topics())
        assert check_cut(place.log, wiring.topics(), cut) == []
        assert judge(place.log, wiring, money_is_conserved, cut).holds
    assert place.states("account")["bob"] == Account(balance=300, credited=300)
    assert check_log(place.log, "account") == 1 + 3 + 1
    assert check_log(place.log, "transfer") == 2 + 3 + 1


def test_without_a_worker_the_outcome_is_unknown_and_asking_again_gives_the_one_there_is(place: Place) -> None:
    client = Client(app, place.log)
    deposit = accounts.to("alice", Deposit(5))
    for _ in range(2):
        with pytest.raises(OutcomeUnknown, match="ask again with the same id. Usually no worker runs its lane"):
            client.send(deposit, id="receipt 17", timeout_s=0.2)
    with running(app, place.log, place.views):
        first = client.send(deposit, id="receipt 17", timeout_s=WAIT_S)
        again = client.send(deposit, id="receipt 17", timeout_s=WAIT_S)
    assert (first.kind, first.version) == (again.kind, again.version) == ("accepted", 1)
    assert again.repeated
    assert place.states("account") == {"alice": Account(5)}
    assert check_log(place.log, "account") == 1
    client.close()


def test_many_in_flight_are_answered_in_order_doubles_too(place: Place) -> None:
    wanted = [(accounts.to(f"account-{n % 8}", Deposit(1)), f"receipt {n % 80}") for n in range(120)]
    with running(app, place.log, place.views):
        client = Client(app, place.log)
        outcomes = list(client.send_all(wanted, timeout_s=WAIT_S))
        client.close()
    assert [o.repeated for o in outcomes] == [False] * 80 + [True] * 40
    assert [o.command_id for o in outcomes[:40]] == [o.command_id for o in outcomes[80:]]
    assert check_log(place.log, "account") == 80


def test_threads_share_a_client_and_send_the_same(place: Place) -> None:
    """Each gets an answer of its own, also to a command that all of them send."""
    with running(app, place.log, place.views):
        client = Client(app, place.log)
        answered: list[tuple[str, bool]] = []

        def work(number: int) -> None:
            for n in range(5):
                own = client.send(accounts.to(f"account-{number}", Deposit(1)), timeout_s=WAIT_S)
                shared = client.send(accounts.to("shared", Deposit(1)), id=f"shared {n}", timeout_s=WAIT_S)
                answered.extend([("own", own.repeated), ("shared", shared.repeated)])

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
        client.close()
    assert answered.count(("own", False)) == 30
    assert answered.count(("shared", False)) == 5
    assert answered.count(("shared", True)) == 25
    assert place.states("account")["shared"] == Account(5)


def test_who_stops_taking_answers_leaves_nothing_behind(place: Place) -> None:
    wanted = [(accounts.to("alice", Deposit(1)), f"receipt {n}") for n in range(10)]
    with running(app, place.log, place.views):
        client = Client(app, place.log)
        outcomes = client.send_all(wanted, timeout_s=WAIT_S)
        next(outcomes)
        outcomes.close()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # it is a generator
        assert client.send(accounts.to("alice", Deposit(1)), id="last", timeout_s=WAIT_S).version == 11
        assert [(a._missing.total(), len(a._found)) for a in client.listening.all()] == [(0, 0)]
        client.close()


def test_a_worker_that_is_stopped_stops_all_its_children(place: Place) -> None:
    with running(app, place.log, place.views) as run:
        run.stands_ready()
        Client(app, place.log).send(accounts.to("alice", Deposit(5)), timeout_s=WAIT_S)
    assert {child.status for child in run.ended()} == {"stopped"}
    names = [child.name for child in run.worker.children]
    assert names == [
        *("bank.account[0]", "bank.account[1]", "bank.transfer[0]", "bank.transfer[1]"),
        *("relay:bank.transfer.events", "relay:bank.account.outcomes", "relay:bank.transfer.outcomes"),
        "projection:balances",
    ]


def test_a_worker_that_starts_again_goes_on_where_the_log_stands(place: Place) -> None:
    client = Client(app, place.log)
    for n in range(3):
        with running(app, place.log, place.views):
            client.send(accounts.to("alice", Deposit(5)), id=f"receipt {n}", timeout_s=WAIT_S)
            client.send(accounts.to("alice", Deposit(5)), id="receipt 0", timeout_s=WAIT_S)
    client.close()
    assert place.states("account") == {"alice": Account(15)}
    assert check_log(place.log, "account") == 3


def test_a_second_worker_on_an_embedded_log_names_the_first(on_sqlite: Place) -> None:
    with running(app, on_sqlite.log, on_sqlite.views) as first, opened(on_sqlite.another) as log:
        first.stands_ready()
        Client(app, on_sqlite.log).send(accounts.to("alice", Deposit(5)), timeout_s=WAIT_S)
        with pytest.raises(OwnedElsewhere, match=r"are owned by .* \(process \d+\) since"):
            Worker(app, log, on_sqlite.views).run()
        client = Client(app, log)
        assert client.send(accounts.to("alice", Deposit(5)), timeout_s=WAIT_S).version == 2
        client.close()
        assert {child.status for child in first.worker.children} == {"running"}


def lanes_of(worker: Worker) -> set[str]:
    """The lanes that run in a worker now."""
    return {child.name for child in worker.children if child.part.kind == "lane" and child.status == "running"}


LANES = {f"bank.{name}[{partition}]" for name in ("account", "transfer") for partition in range(PARTITIONS)}


def test_a_second_worker_on_a_broker_takes_its_share_and_gives_it_back(on_kafka: Place) -> None:
    client = Client(app, on_kafka.log)
    with running(app, on_kafka.log, on_kafka.views) as first:
        client.send(accounts.to("alice", Deposit(500)), timeout_s=WAIT_S)
        client.send(transfers.to("one", RequestTransfer("alice", "bob", 100)), timeout_s=WAIT_S)
        with opened(on_kafka.another) as log, running(app, log, on_kafka.views) as second:
            wait_until(lambda: len(lanes_of(second.worker)) == len(LANES) / 2, "the second worker's half")
            wait_until(lambda: lanes_of(first.worker) == LANES - lanes_of(second.worker), "the first worker's half")
            wanted = [(accounts.to(f"account-{n % 8}", Deposit(1)), f"receipt {n}") for n in range(40)]
            assert [o.kind for o in client.send_all(wanted, timeout_s=WAIT_S)] == ["accepted"] * 40
            last = client.send(transfers.to("two", RequestTransfer("alice", "bob", 100)), timeout_s=WAIT_S)
            for name in ("one", "two"):
                wait_until(lambda name=name: on_kafka.transfer(name) == "completed", f"transfer {name}")  # type: ignore[misc]
            at_end = on_kafka.ends("bank.account.events")
            assert on_kafka.views.ask(balances, "bob", at_least=at_end, timeout_s=WAIT_S).row == Balance("bob", 200)
        wait_until(lambda: lanes_of(first.worker) == LANES, "everything to come back")
        assert last.accepted
        again = client.send(accounts.to("account-1", Deposit(1)), id="receipt 1", timeout_s=WAIT_S)
        assert again.repeated
    assert {child.status for child in first.worker.children} == {"stopped"}
    client.close()
    assert on_kafka.states("account")["bob"] == Account(balance=200, credited=200)
    assert check_log(on_kafka.log, "account") == 1 + 40 + 2 * 3


def test_workers_that_come_and_go_in_the_middle_of_the_work_lose_and_double_nothing(on_kafka: Place) -> None:
    """Batches are sent all the while; whichever worker decides a command, it is decided once."""
    client, over, kinds = Client(app, on_kafka.log), threading.Event(), list[str]()

    def send() -> None:
        while not over.is_set():
            batch = [(accounts.to(f"account-{n % 8}", Deposit(1)), f"receipt {len(kinds) + n}") for n in range(40)]
            kinds.extend(outcome.kind for outcome in client.send_all(batch, timeout_s=WAIT_S))

    with running(app, on_kafka.log, on_kafka.views) as first:
        first.stands_ready()
        sender = threading.Thread(target=send)
        sender.start()
        try:
            for _ in range(3):
                before = len(kinds)
                wait_until(lambda before=before: len(kinds) > before + 100, "a hundred")  # type: ignore[misc]
                with opened(on_kafka.another) as log, running(app, log, on_kafka.views) as second:
                    wait_until(lambda second=second: bool(lanes_of(second.worker)), "its share")  # type: ignore[misc]
                    joined = len(kinds)
                    wait_until(lambda joined=joined: len(kinds) > joined + 100, "a hundred more")  # type: ignore[misc]
        finally:
            over.set()
            sender.join(WAIT_S)
        first.stands_ready()
    client.close()
    assert set(kinds) == {"accepted"}
    assert check_log(on_kafka.log, "account") == len(kinds)


def test_a_lane_that_is_fenced_while_its_partition_is_its_own_takes_over_again(on_kafka: Place) -> None:
    """Somebody outside the group owns a lane, as a former owner that wakes up: it is fenced in its turn, once."""
    client = Client(app, on_kafka.log)
    with running(app, on_kafka.log, on_kafka.views) as run, opened(on_kafka.another) as log:
        run.stands_ready()
        client.send(accounts.to("alice", Deposit(1)), timeout_s=WAIT_S)
        topics = wiring.machine("account").topics
        strangers = [log.own(topics, partition) for partition in range(PARTITIONS)]
        for n in range(4):
            assert client.send(accounts.to(f"account-{n}", Deposit(1)), timeout_s=WAIT_S).accepted
        for stranger in strangers:
            with pytest.raises(Fenced):
                stranger.commit(0)
        assert {child.status for child in run.worker.children} == {"running"}
        assert max(child.standing().restarts for child in run.worker.children) == 1
    client.close()
    assert check_log(on_kafka.log, "account") == 5


def test_projections_apart_from_lanes_are_shared_in_a_group_of_their_own(on_kafka: Place) -> None:
    client = Client(app, on_kafka.log)

    def partitions_of(run: Running) -> set[int]:
        return {p for child in run.worker.children if child.status == "running" for p in child.part.partitions}

    lanes = running(app, on_kafka.log, on_kafka.views, lambda kind, _: kind != "projections")
    one = running(app, on_kafka.log, on_kafka.views, lambda kind, _: kind == "projections")
    with lanes, one as first, opened(on_kafka.another) as log:
        client.send(accounts.to("alice", Deposit(1)), timeout_s=WAIT_S)
        wait_until(lambda: partitions_of(first) == {0, 1}, "all of them")
        with running(app, log, on_kafka.views, lambda kind, _: kind == "projections") as second:
            wait_until(lambda: len(partitions_of(second)) == len(partitions_of(first)) == 1, "half each")
            outcomes = [client.send(accounts.to(f"account-{n}", Deposit(n + 1)), timeout_s=WAIT_S) for n in range(8)]
            for n, outcome in enumerate(outcomes):
                row = on_kafka.views.ask(balances, f"account-{n}", at_least=outcome.cut, timeout_s=WAIT_S).row
                assert row == Balance(f"account-{n}", n + 1)
        wait_until(lambda: partitions_of(first) == {0, 1}, "all of them again")
        assert max(child.standing().restarts for child in first.worker.children) <= 1  # fenced once at the most
    client.close()
