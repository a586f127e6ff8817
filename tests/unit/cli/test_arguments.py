"""What the program makes of its arguments before any verb runs: flags, secrets, names, and folders that shadow ours."""

import sys
from pathlib import Path

import pytest

from eventcore.cli.faults import explain, printable
from eventcore.cli.main import flags_first, shadowed
from eventcore.cli.new import check_name
from eventcore.cli.settings import Setting, number_of
from eventcore.errors import BrokenLog, CallerError, DataError, InvalidValue, LogUnavailable, SystemFault, WrongUse
from eventcore.log.address import masked, masked_in


def test_flags_are_taken_wherever_they_stand_but_not_behind_two_dashes() -> None:
    assert flags_first(["send", "a", "--json", "--id", "x"]) == ["--json", "send", "a", "--id", "x"]
    assert flags_first(["--debug", "ask", "--", "p", "--json"]) == ["--debug", "ask", "--", "p", "--json"]


@pytest.mark.parametrize("name", ["projections", "sagas"])
def test_a_folder_that_comes_first_and_bears_a_name_of_ours_is_found(name: str, tmp_path: Path) -> None:
    assert shadowed(["", *sys.path]) is None
    (tmp_path / name).mkdir()
    assert shadowed([str(tmp_path), *sys.path]) is None  # a folder without modules is never imported before a package
    (tmp_path / name / "__init__.py").touch()
    assert f"would be imported as '{name}'" in (shadowed([str(tmp_path), *sys.path]) or "")
    assert "does not lie in" in (shadowed([]) or "")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("sqlite:bank.db", "sqlite:bank.db"),
        ("kafka://host:9092,host:9093?prefix=a", "kafka://host:9092,host:9093?prefix=a"),
        ("postgresql://ada@host/bank", "postgresql://ada@host/bank"),
        ("postgresql://ada:se@cr:et@host:1/bank", "postgresql://ada:***@host:1/bank"),
        (
            "postgresql://host/bank?user=ada&password=secret&sslmode=require",
            "postgresql://host/bank?user=ada&password=***&sslmode=require",
        ),
        ("postgresql://host/bank?sslPassword=secret", "postgresql://host/bank?sslPassword=***"),
    ],
)
def test_secrets_in_addresses_are_masked_and_nothing_else(address: str, shown: str) -> None:
    assert masked(address) == shown
    assert masked_in(f"the database at {address} does not answer") == f"the database at {shown} does not answer"


@pytest.mark.parametrize(
    "address",
    [
        "postgresql:ada:hunter2@host/bank",
        "ada:hunter2@host/bank",
        "//ada:hunter2@host/bank",
        "postgresql://ada:hunter2@host:port/bank",
        "postgresql://ada:hunter2/x@host/bank",
        "postgresql://ada:hunter2 x@host/bank",
        "postgresql://ada:hunter2@x@host/bank",
        "postgresql://ada@home:hunter2@host/bank",
        "postgresql:///ada:hunter2@host/bank",
        "postgresql://ada/hunter2@host/bank",
        "sqlite://ada:hunter2@host",
        "kafka:ada:hunter2@host",
    ],
)
def test_whatever_the_form_of_an_address_what_stands_before_its_host_is_not_shown(address: str) -> None:
    assert "hunter2" not in masked(address)
    assert masked(address).count("***@") == 1


@pytest.mark.parametrize(
    "said",
    [
        "bank.account.events[3]@871 follows bank.account.events[3]@870: a gap",
        "sqlite:/srv/ada@work/bank.db cannot be opened",
        "kafka://host:9092 does not answer at bank.account.events[3]@871",
    ],
)
def test_what_is_no_secret_stays_in_a_sentence(said: str) -> None:
    assert masked_in(said) == said


def test_an_at_in_the_name_of_a_file_hides_nothing() -> None:
    assert masked("sqlite:/srv/ada@work/bank.db") == "sqlite:/srv/ada@work/bank.db"


@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", "", "10001", "1" * 50])
def test_a_number_of_partitions_is_a_number(value: str) -> None:
    with pytest.raises(InvalidValue, match="from EVENTCORE_PARTITIONS"):
        number_of("partitions", Setting(value, "EVENTCORE_PARTITIONS"))


@pytest.mark.parametrize(
    "name",
    ["Shop", "2shop", "my-shop", "../shop", "", "class", "json", "tests", "eventcore", "sagas", "rich", "x" * 41],
)
def test_a_project_that_could_not_be_imported_is_not_made(name: str) -> None:
    with pytest.raises(InvalidValue, match="cannot name a project"):
        check_name(name)


def test_errors_end_with_the_code_of_who_is_to_blame() -> None:
    blamed: list[tuple[BaseException, int]] = [
        (WrongUse("x"), 2),
        (CallerError("x"), 2),
        (DataError("x"), 3),
        (BrokenLog("t[0]@1", "x"), 3),
        (LogUnavailable("x"), 3),
        (SystemFault("x"), 3),
        (PermissionError(13, "Permission denied", "bank.db"), 3),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("x"), 3),
    ]
    assert [explain(error)[0] for error, _ in blamed] == [code for _, code in blamed]
    assert explain(PermissionError(13, "Permission denied", "bank.db"))[2] == (
        "bank.db: Permission denied. May this user use it?"
    )
    assert "--debug" in explain(ZeroDivisionError("x"))[2]


def test_nothing_that_a_terminal_would_obey_is_printed() -> None:
    assert printable("a\nb é") == "a\nb é"
    assert printable("a\x1b[31m\x9b\r\x07\u202e") == "a\\x1b[31m\\x9b\\r\\x07\\u202e"
