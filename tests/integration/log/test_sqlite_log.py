"""The SQLite log among other processes, and on files and disks that cannot be used."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from eventcore.errors import DataError, Fenced, LogUnavailable, OutcomeUnknown, OwnedElsewhere, WrongUse
from eventcore.log.port import LocalWriter, Writer
from eventcore.log.sqlite import SqliteLog
from tests.contracts.log.places import POLL_S, TOPICS, keys, owned, plans, read, record

ROOT = Path(__file__).parents[3]
PREAMBLE = """
import sys
from eventcore.log.sqlite import SqliteLog
from tests.contracts.log.places import TOPICS, owned, record
log = SqliteLog(sys.argv[1])
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A log's file, with the suite's topics."""
    path = str(tmp_path / "bank.db")
    with contextlib.closing(SqliteLog(path)) as log:
        log.provision(plans(TOPICS))
    return path


@contextlib.contextmanager
def another_process(file: str, program: str) -> Generator[subprocess.Popen[str]]:
    """Run a program that has the log open as `log`; it is killed at the end. It talks by lines."""
    child = subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + program, file],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with child:
        try:
            yield child
        finally:
            child.kill()


def told(child: subprocess.Popen[str]) -> str:
    """The next line that a process prints."""
    assert child.stdout is not None
    return child.stdout.readline().strip()


OWNS_AND_WAITS = "writer = owned(log); print('owned', flush=True); sys.stdin.read()"


def test_a_second_owner_is_told_who_the_first_is(file: str) -> None:
    with another_process(file, OWNS_AND_WAITS) as child, contextlib.closing(SqliteLog(file)) as log:
        assert told(child) == "owned"
        with pytest.raises(OwnedElsewhere) as refused:
            owned(log)
        message = str(refused.value)
        assert file in message
        assert f"process {child.pid}" in message
        assert f"since {time.strftime('%Y-', time.gmtime())}" in message
        with pytest.raises(OwnedElsewhere):
            owned(log, 1)


def test_a_second_handle_of_one_process_does_not_own_beside_the_first(file: str) -> None:
    with contextlib.closing(SqliteLog(file)) as first, contextlib.closing(SqliteLog(file)) as second:
        writer = owned(first)
        with pytest.raises(OwnedElsewhere, match=rf"process {os.getpid()}"):
            owned(second)
        writer.close()
        owned(second).close()


def test_ownership_ends_with_a_killed_process(file: str) -> None:
    with another_process(file, OWNS_AND_WAITS) as child, contextlib.closing(SqliteLog(file)) as log:
        assert told(child) == "owned"
        child.kill()
        child.wait()
        with contextlib.closing(owned(log)) as writer:
            writer.append(TOPICS.events, [record("next")])
            writer.commit(None)
        assert keys(read(log, TOPICS.events)) == ["next"]


def test_another_process_appends_while_a_lane_is_owned_and_followers_are_woken(file: str) -> None:
    appends = "log.append(TOPICS.commands, 0, [record(sys.stdin.readline().strip())]); print('done', flush=True)"
    ready = "print('ready', flush=True)"
    with another_process(file, f"{ready}\nwhile True: {appends}") as child, contextlib.closing(SqliteLog(file)) as log:
        assert child.stdin is not None
        assert told(child) == "ready"
        writer, follower = owned(log), log.follow(TOPICS.commands, {0: 0})
        began = time.monotonic()
        for number in range(20):
            child.stdin.write(f"{number}\n")
            child.stdin.flush()
            found = follower.poll(10, POLL_S)[0]
            assert told(child) == "done"
            assert keys(list(found)) == [str(number)]
            writer.append(TOPICS.events, [record(str(number))])
            writer.commit(number + 1)
        assert time.monotonic() - began < POLL_S, "the follower was not woken, it waited its time out"
        assert keys(read(log, TOPICS.events)) == keys(read(log, TOPICS.commands)) == [str(n) for n in range(20)]


def test_handles_that_append_by_turns_write_behind_each_other(file: str) -> None:
    with contextlib.closing(SqliteLog(file)) as one, contextlib.closing(SqliteLog(file)) as other:
        offsets = [list(log.append(TOPICS.commands, 0, [record("a"), record("b")])) for log in (one, other) * 3]
        assert offsets == [[n, n + 1] for n in range(0, 12, 2)]
        assert len(read(one, TOPICS.commands)) == 12


def test_commits_reach_the_disk_before_they_return(file: str) -> None:
    """No test cuts the power: this holds the setting that SQLite documents for it (2 is FULL)."""
    with contextlib.closing(SqliteLog(file)) as log:
        assert log._store.connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert log._store.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_topic_made_by_another_process_is_found(file: str) -> None:
    more = "from eventcore.log.port import TopicPlan; log.provision([TopicPlan('bank.more', 3)]); print('made', flush=True)"
    with contextlib.closing(SqliteLog(file)) as log, another_process(file, more) as child:
        assert told(child) == "made"
        assert log.partitions("bank.more") == 3


def test_processes_that_make_one_file_at_once_all_open_it(tmp_path: Path) -> None:
    path = str(tmp_path / "new.db")
    opens = "from tests.contracts.log.places import plans; log.provision(plans(TOPICS)); print('opened', flush=True)"
    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(another_process(path, opens)) for _ in range(4)]
        assert [told(child) for child in children] == ["opened"] * 4


def test_where_the_lock_failed_the_term_still_fences(file: str) -> None:
    """As on a network file system without locks: here the side file is taken away from under its owner."""
    with contextlib.closing(SqliteLog(file)) as first, contextlib.closing(SqliteLog(file)) as second:
        former = owned(first)
        former.append(TOPICS.events, [record("before")])
        former.commit(1)
        former.append(TOPICS.events, [record("lost")])
        Path(f"{file}.lock").unlink()
        owner = owned(second)
        with pytest.raises(Fenced, match=r"bank\.account\[0\] in .* owned again"):
            former.commit(1)
        owner.append(TOPICS.events, [record("kept")])
        owner.commit(1)
        assert keys(read(second, TOPICS.events)) == ["before", "kept"]


def test_a_table_a_partition_can_be_read_with_any_sqlite(file: str) -> None:
    with contextlib.closing(SqliteLog(file)) as log:
        log.append(TOPICS.commands, 1, [record("a", "b"), record("c", "d")])
    with contextlib.closing(sqlite3.connect(file)) as plain:
        rows = plain.execute('SELECT "offset", "key", value FROM "bank.account.commands[1]"').fetchall()
        assert rows == [(0, b"a", b"b"), (1, b"c", b"d")]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that waits for another transaction for one second, and not for five."""
    for module in ("faults", "file", "store"):
        monkeypatch.setattr(f"eventcore.log.sqlite.{module}.BUSY_S", 1.0)


@pytest.mark.usefixtures("impatient")
def test_a_process_that_keeps_the_write_lock_is_waited_for_and_then_told_of(file: str) -> None:
    with contextlib.closing(SqliteLog(file)) as log, contextlib.closing(sqlite3.connect(file)) as other:
        writer = owned(log)
        writer.append(TOPICS.events, [record("lost")])
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(
            LogUnavailable, match=r"another process has held its write lock for 1 s. Nothing was written"
        ):
            writer.commit(1)
        assert time.monotonic() - began > 0.5
        other.execute("ROLLBACK")
        log.append(TOPICS.commands, 0, [record("after")])
        owned(log).commit(2)
        assert read(log, TOPICS.events) == []


@pytest.mark.usefixtures("impatient")
def test_a_thread_that_received_commands_and_appends_past_itself_is_told_so(file: str) -> None:
    with contextlib.closing(SqliteLog(file)) as log:
        writer = owned(log)
        assert isinstance(writer, LocalWriter)
        writer.receive([record("held")])
        with pytest.raises(LogUnavailable, match="Commit or abort it first"):
            log.append(TOPICS.commands, 0, [record("behind")])
        writer.commit(1)
        log.append(TOPICS.commands, 0, [record("behind")])
        assert keys(read(log, TOPICS.commands)) == ["held", "behind"]


def test_an_append_waits_for_the_transaction_of_another_thread(file: str) -> None:
    with contextlib.closing(SqliteLog(file)) as log:
        writer = owned(log)
        assert isinstance(writer, LocalWriter)
        writer.receive([record("first")])
        thread = threading.Thread(target=log.append, args=(TOPICS.commands, 0, [record("second")]))
        thread.start()
        writer.receive([record("still first")])
        writer.commit(2)
        thread.join(POLL_S)
        assert keys(read(log, TOPICS.commands)) == ["first", "still first", "second"]


def test_a_full_disk_loses_the_transaction_and_nothing_else(file: str) -> None:
    """A limit on the size of files stands for the full disk: the write fails in the same place."""
    limited = """
import resource, signal
from eventcore.errors import SystemFault
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = owned(log)
writer.append(TOPICS.events, [record("kept")]); writer.commit(1)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    for number in range(2, 100):
        writer.append(TOPICS.events, [record(str(number), "x" * 100_000)]); writer.commit(number)
except SystemFault as fault:
    print(number, type(fault).__name__, fault, flush=True)
"""
    with another_process(file, limited) as child:
        number, name, message = told(child).split(" ", 2)
        child.wait(POLL_S)
    assert name in {"LogUnavailable", "OutcomeUnknown"}
    assert file in message
    with contextlib.closing(SqliteLog(file)) as log:
        found = keys(read(log, TOPICS.events))
        assert found in (
            ["kept", *map(str, range(2, int(number)))],
            ["kept", *map(str, range(2, int(number) + 1))],  # said to be unknown, and it was written
        )
        assert name == "OutcomeUnknown" or len(found) == int(number) - 1
        owned(log).commit(None)


def test_a_file_of_another_program_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE things (a)")
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"other\.db belongs to another program \(1 tables"):
        SqliteLog(str(path))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["other.db"]


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("not a database, but long enough to have a header of one " * 10)
    with pytest.raises(DataError, match=r"text\.db: .*not a database"):
        SqliteLog(str(path))


def test_a_file_of_another_layout_names_both(file: str) -> None:
    with contextlib.closing(sqlite3.connect(file)) as plain:
        plain.execute("PRAGMA user_version = 99")
    with pytest.raises(DataError, match="is a log of layout 99, and this version reads layout 1"):
        SqliteLog(file)


def test_a_place_that_cannot_be_written_says_what_to_check(tmp_path: Path) -> None:
    with pytest.raises(LogUnavailable, match="does its folder exist"):
        SqliteLog(str(tmp_path / "nowhere" / "bank.db"))
    with pytest.raises(LogUnavailable, match="cannot be opened"):
        SqliteLog(str(tmp_path))


def test_a_damaged_file_is_told_with_its_name(file: str) -> None:
    with contextlib.closing(SqliteLog(file)) as log:
        log.append(TOPICS.commands, 0, [record(str(number), "x" * 500) for number in range(2_000)])
    with contextlib.closing(sqlite3.connect(file)) as plain:
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(Path(file).read_bytes())
    content[20 * 4_096 :] = b"\xff" * (len(content) - 20 * 4_096)
    Path(file).write_bytes(content)
    with contextlib.closing(SqliteLog(file)) as log, pytest.raises(DataError, match=r"bank\.db: .*malformed"):
        read(log, TOPICS.commands, until=2_000)


def test_a_copy_of_the_file_is_a_log(file: str, tmp_path: Path) -> None:
    with contextlib.closing(SqliteLog(file)) as log:
        log.append(TOPICS.commands, 0, [record("kept")])
    copy = tmp_path / "copy.db"
    shutil.copy(file, copy)
    with contextlib.closing(SqliteLog(str(copy))) as log:
        assert keys(read(log, TOPICS.commands)) == ["kept"]


def test_closing_a_handle_gives_its_ownership_back(file: str) -> None:
    with contextlib.closing(SqliteLog(file)) as log:
        writer = owned(log)
    with pytest.raises(WrongUse, match="closed"):
        writer.commit(1)
    with contextlib.closing(SqliteLog(file)) as log:
        owned(log).close()


INTERRUPTS = 300  # each somewhere else
INTERRUPT_MOST_S = 0.003  # about two transactions
AGAIN_S = 0.5  # were one dropped, another one would come, and the test end with what Python says of that


@pytest.fixture
def without_collector() -> Generator[None]:
    """Python drops what is raised in a callback of its collector, or of what that collects: none runs meanwhile."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def interrupted(work: Callable[[], object], after_s: float) -> None:
    """Do some work again and again until a signal ends it as Ctrl-C does."""
    former = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - it may come between two of them, too
            signal.setitimer(signal.ITIMER_REAL, after_s, AGAIN_S)
            while True:
                work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


@pytest.mark.usefixtures("without_collector")
def test_an_append_that_is_interrupted_anywhere_leaves_a_log_to_use_and_to_close(file: str) -> None:
    chance = random.Random(7)
    with contextlib.closing(SqliteLog(file)) as log:
        for number in range(INTERRUPTS):
            interrupted(
                lambda: log.append(TOPICS.commands, 0, [record("a"), record("b")]), chance.random() * INTERRUPT_MOST_S
            )
            assert not log._store.writing.locked(), f"interrupt {number}: close would wait for ever"
        end = log.append(TOPICS.commands, 0, [record("a"), record("b")])[-1] + 1
        assert keys(read(log, TOPICS.commands)) == ["a", "b"] * (end // 2)


@pytest.mark.usefixtures("without_collector")
def test_a_lane_that_is_interrupted_anywhere_is_owned_again_and_its_transactions_are_whole(file: str) -> None:
    chance = random.Random(7)

    def work() -> None:
        assert isinstance(writer, LocalWriter)
        name = str(writer.receive([record("command")]))
        writer.append(TOPICS.events, [record(name), record(name)])
        writer.commit(None)

    with contextlib.closing(SqliteLog(file)) as log:
        for _ in range(INTERRUPTS):
            writer = owned(log)
            interrupted(work, chance.random() * INTERRUPT_MOST_S)
        writer = owned(log)
        assert not log._store.writing.locked(), "close would wait for ever"
        commands = [str(found.offset) for found in read(log, TOPICS.commands)]
        assert keys(read(log, TOPICS.events)) == [name for name in commands for _ in "ab"]


@pytest.mark.usefixtures("without_collector")
def test_a_writer_that_was_interrupted_says_so_to_whoever_goes_on_with_it(file: str) -> None:
    chance = random.Random(7)
    with contextlib.closing(SqliteLog(file)) as log:
        for _ in range(INTERRUPTS):
            writer = owned(log)

            def work(writer: Writer = writer) -> None:
                writer.append(TOPICS.events, [record("a")])
                writer.commit(None)

            interrupted(work, chance.random() * INTERRUPT_MOST_S)
            try:
                work()
            except OutcomeUnknown as said:
                assert "interrupted (KeyboardInterrupt)" in str(said)  # noqa: PT017 - it may have fallen between two
                return
    raise AssertionError("no interrupt fell into a commit")
