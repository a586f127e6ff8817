"""The framework's tables are made by `upgrade`, the read models' by `prepare`, and anything else is told in words."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from eventcore.errors import NotSupported, WrongUse
from projections import Projection, Views
from projections.schema import HEAD
from tests.contracts.views.bank import TOPIC, Balance, Event, accounts, balances
from tests.contracts.views.conftest import Place


@pytest.fixture
def empty(place: Place) -> Iterator[Views]:
    with contextlib.closing(place.open()) as opened:
        yield opened


def run(place: Place, *statements: str) -> None:
    """Do something to the database by hand."""
    address = place.address if place.kind == "postgres" else f"sqlite:///{place.address.removeprefix('sqlite:')}"
    engine = sa.create_engine(address, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def test_an_empty_database_says_what_to_run(empty: Views) -> None:
    assert empty.current() is None
    with pytest.raises(WrongUse, match="run `eventcore db upgrade`"):
        empty.check()
    with pytest.raises(WrongUse, match="run `eventcore db upgrade`"):
        empty.take_over(balances, TOPIC, [0])
    with pytest.raises(WrongUse, match="run `eventcore db upgrade`"):
        empty.position(balances)


def test_an_upgrade_may_be_repeated(empty: Views) -> None:
    for _ in range(2):
        empty.upgrade()
        assert empty.current() == HEAD
        empty.check()


def test_an_upgrade_keeps_positions(views: Views) -> None:
    views.take_over(balances, TOPIC, [0])
    views.upgrade()
    assert views.take_over(balances, TOPIC, [0])[0].epoch == 2


def test_an_outdated_database_says_what_to_run(views: Views, place: Place) -> None:
    run(place, "UPDATE eventcore_alembic_version SET version_num = '0000'")
    with pytest.raises(WrongUse, match=f"are of version 0000, this code wants {HEAD}; run `eventcore db upgrade`"):
        views.check()


def test_a_database_of_a_newer_eventcore_is_left_alone(views: Views, place: Place) -> None:
    run(place, "UPDATE eventcore_alembic_version SET version_num = '9999'")
    for use in (views.check, views.upgrade):
        with pytest.raises(WrongUse, match="a newer eventcore has upgraded it"):
            use()


def test_an_alembic_of_the_application_is_not_disturbed(place: Place, empty: Views) -> None:
    run(place, "CREATE TABLE alembic_version (version_num TEXT)", "INSERT INTO alembic_version VALUES ('theirs')")
    empty.upgrade()
    assert empty.current() == HEAD
    run(place, "UPDATE alembic_version SET version_num = 'still theirs'")


def test_processes_may_upgrade_and_prepare_at_once(place: Place) -> None:
    faults: list[BaseException] = []

    def start() -> None:
        try:
            with contextlib.closing(place.open()) as opened:
                opened.upgrade()
                opened.prepare([balances])
        except BaseException as fault:  # noqa: BLE001 - told to the main thread
            faults.append(fault)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_a_read_model_may_be_prepared_again(views: Views) -> None:
    views.prepare([balances])


class Wider(Balance):
    """The same read model after somebody changed its row."""

    note: str | None = None
    since: int = 0


def wider_row(row: Wider | None, account: str, event: Event) -> Wider | None:
    """Leave the row."""
    del account, event
    return row


def test_a_changed_row_class_is_told_by_name(views: Views) -> None:
    with pytest.raises(
        NotSupported, match="the table balances exists and differs .*: note is missing; since is missing"
    ):
        views.prepare([Projection("balances", accounts, Wider, wider_row)])


def test_a_column_of_another_type_is_told_by_name(views: Views, place: Place) -> None:
    run(
        place,
        "DROP TABLE balances",
        "CREATE TABLE balances (account TEXT PRIMARY KEY NOT NULL, balance TEXT NOT NULL, turns BIGINT)",
    )
    with pytest.raises(NotSupported, match="balance is TEXT, declared is BIGINT; turns may be null"):
        views.prepare([balances])


def test_another_key_is_told(views: Views, place: Place) -> None:
    run(
        place,
        "DROP TABLE balances",
        "CREATE TABLE balances (account TEXT NOT NULL, balance BIGINT NOT NULL, turns BIGINT NOT NULL, PRIMARY KEY (account, turns))",
    )
    with pytest.raises(NotSupported, match=r"its key is \(account, turns\), declared is \(account\)"):
        views.prepare([balances])


def test_a_column_that_no_field_fills_is_told(views: Views, place: Place) -> None:
    run(
        place,
        "DROP TABLE balances",
        "CREATE TABLE balances (account TEXT PRIMARY KEY NOT NULL, balance BIGINT NOT NULL, turns BIGINT NOT NULL, "
        "extra TEXT, made TEXT NOT NULL DEFAULT 'now', must TEXT NOT NULL)",
    )
    with pytest.raises(NotSupported, match="row class: must is not declared and must have a value[.;] ?"):
        views.prepare([balances])
