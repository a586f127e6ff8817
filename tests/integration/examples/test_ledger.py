"""The ledger as a whole: the bank's figures are met on every log, and what is sent twice is booked once."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest
from confluent_kafka import Producer

from examples.ledger import checker, verify
from examples.ledger.__main__ import main
from examples.ledger.bank_file import printed_balances

ROOT = Path(__file__).parents[3]
A_PART = ["--until", "1993-03-31"]


@pytest.fixture(autouse=True, scope="module")
def printed_once() -> Iterator[None]:
    """The bank's file, which stays as it is, is read once for each day that verifications go up to."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("__main__", "verify"):
            patch.setattr(f"examples.ledger.{module}.printed_balances", printed)
        yield


printed = cache(printed_balances)


def replay(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(arguments) == code
    return capsys.readouterr().out


def addresses(folder: Path) -> list[str]:
    return ["--log", f"sqlite:{folder / 'ledger.db'}", "--views", f"sqlite:{folder / 'views.db'}"]


@pytest.fixture(scope="module")
def replayed_part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A part, replayed; tests change copies of it."""
    folder = tmp_path_factory.mktemp("part")
    assert main([*addresses(folder), *A_PART]) == 0
    return folder


@pytest.fixture
def a_part(replayed_part: Path, tmp_path: Path) -> Path:
    """A part, replayed, to be changed."""
    return shutil.copytree(replayed_part, tmp_path / "part")


@pytest.mark.slow
def test_the_whole_ledger_on_sqlite_meets_the_bank(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = replay(capsys, *addresses(tmp_path))
    assert "46,997 new, 0 answered from earlier outcomes" in said
    assert "46,997 events projected" in said
    assert_meets_the_bank(said)


@pytest.mark.slow
def test_the_whole_ledger_on_kafka_and_postgres_meets_the_bank(
    kafka: str, kafka_prefix: str, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = replay(capsys, "--log", f"kafka://{kafka}?prefix={kafka_prefix}", "--views", postgres_url)
    assert "46,997 new, 0 answered from earlier outcomes" in said
    assert_meets_the_bank(said)
    assert checker.main([kafka, kafka_prefix]) == 0
    assert "46,997 events of 1,229 accounts: each transaction once" in capsys.readouterr().out
    script = ROOT / "examples" / "ledger" / "read_with_fastavro.py"
    read = subprocess.run(
        [sys.executable, script, kafka, kafka_prefix], capture_output=True, text=True, check=False, timeout=120
    )
    assert read.returncode == 0, read.stderr
    events = read.stdout.splitlines()
    assert len(events) == 46_997
    assert all("'transaction': " in event and "'balance': Decimal(" in event for event in events)


def assert_meets_the_bank(said: str) -> None:
    assert "38,821 account-days met within 0.70 CZK" in said
    assert "88 negative running balances in 26 accounts (as the bank printed them)" in said
    assert "51 account-days ending below zero" in said


def test_reading_with_fastavro_takes_ten_lines_and_nothing_of_ours() -> None:
    source = (ROOT / "examples" / "ledger" / "read_with_fastavro.py").read_text()
    code = source.split('"""')[2]
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith(("import ", "from "))]
    assert len(lines) <= 10
    assert "eventcore" not in code
    assert "examples" not in code


def test_what_was_left_out_is_new_later_and_all_else_is_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*addresses(tmp_path), *A_PART]
    first = replay(capsys, *arguments, "--leave-out", "100")
    total = int(first.partition("sent ")[2].split()[0].replace(",", "")) + 100
    assert f"{total - 100:,} new, 0 answered" in first
    assert "not held to the bank: 100 transactions were left out" in first
    second = replay(capsys, *arguments)
    assert f"100 new, {total - 100:,} answered from earlier outcomes" in second
    assert "are not compared with the bank's" in second
    third = replay(capsys, *arguments)
    assert f"0 new, {total:,} answered from earlier outcomes" in third


def test_the_checker_finds_an_event_that_is_there_twice(
    kafka: str, kafka_prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    until = ["--until", "1993-01-10"]
    replay(
        capsys, "--log", f"kafka://{kafka}?prefix={kafka_prefix}", "--views", f"sqlite:{tmp_path / 'views.db'}", *until
    )
    assert checker.main([kafka, kafka_prefix, *until]) == 0
    event = next(checker.Topics(kafka, kafka_prefix).read(checker.EVENTS))
    producer = Producer({"bootstrap.servers": kafka})
    producer.produce(event.topic(), event.value(), event.key(), event.partition(), headers=event.headers())
    assert producer.flush(30) == 0
    capsys.readouterr()
    assert checker.main([kafka, kafka_prefix, *until]) == 1
    found = capsys.readouterr().out
    assert "has an event already" in found
    assert "is not the bank's, or is there already" in found
    assert f"WRONG: {event.topic()}[{event.partition()}]@" in found


CHANGES = {
    "movement": "movement = CAST(movement + 1 AS TEXT)",
    "balance": "balance = CAST(balance + 1 AS TEXT)",
    "turns": "turns = turns + 1",
    "below_zero": "below_zero = below_zero + 1",
    "backdated": "backdated = backdated + 1",
    "day": "day = '1992-01-01'",
    "account": "account = '0'",
}


def test_one_altered_or_missing_row_fails_the_verification_with_its_account_and_day(
    a_part: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    views = a_part / "views.db"
    asked = ["--views", f"sqlite:{views}", *A_PART]
    assert verify.main(asked) == 0
    row = "account = '576' AND day = '1993-01-31'"
    for change in [*(f"UPDATE balances_by_day SET {how}" for how in CHANGES.values()), "DELETE FROM balances_by_day"]:
        with closing(sqlite3.connect(views)) as connection:
            kept = views.read_bytes()
            assert connection.execute(f"{change} WHERE {row}").rowcount == 1, change
            connection.commit()
        capsys.readouterr()
        assert verify.main(asked) == 1, change
        named = "1992-01-01" if "1992" in change else "1993-01-31"
        assert f"WRONG: account 576, {named}: " in capsys.readouterr().out, change
        views.write_bytes(kept)


def test_a_second_replay_beside_the_first_says_who_has_the_log(tmp_path: Path) -> None:
    from examples.ledger.app import app

    arguments = addresses(tmp_path)
    with app.open(arguments[1], arguments[3]):
        second = subprocess.run(
            [sys.executable, "-m", "examples.ledger", *arguments, *A_PART],
            cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert second.returncode == 2
    assert str(os.getpid()) in second.stderr
    assert "Traceback" not in second.stderr


def test_views_in_memory_are_refused_since_nobody_could_verify_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--log", "memory:"]) == 2
    assert "cannot be read from outside" in capsys.readouterr().err


def test_an_event_deleted_from_the_log_is_named_with_its_account_and_day(
    a_part: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(a_part / "ledger.db")) as log:
        (key,) = log.execute('SELECT key FROM "ledger.account.events[2]" WHERE rowid = 7').fetchone()
        log.execute('DELETE FROM "ledger.account.events[2]" WHERE rowid = 7')
        log.commit()
    said = replay(capsys, *addresses(a_part), *A_PART, code=1)
    (wrong,) = [line for line in said.splitlines() if line.startswith("WRONG")]
    assert wrong.startswith(f"WRONG: account {key.decode()}, 1993-")
