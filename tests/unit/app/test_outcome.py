"""Command ids and command records, as a client makes them, and what it is told."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from eventcore import Aggregate, Cut, Message, Value
from eventcore.app import App, Outcome
from eventcore.app.outcome import command_id_of, command_record
from eventcore.avro.envelope import Options, read_envelope
from eventcore.errors import InvalidValue
from eventcore.lane.journal import COMMAND_BYTES_MAX
from examples.bank.account import Deposit, accounts
from examples.bank.app import app

ALICE, BOB = accounts.to("alice", Deposit(5)), accounts.to("bob", Deposit(5))
RECEIPT_17 = "ca9ebe1b2b4451f8affa24db9109742d"  # storage: with another, what was sent under this id is decided again
ID = UUID("123e4567-e89b-12d3-a456-426614174000")


def test_a_uuid_is_an_id_as_it_is_written_or_not() -> None:
    assert command_id_of(ID, ALICE) == command_id_of(str(ID), ALICE) == command_id_of(ID, BOB) == ID.bytes


def test_a_text_gives_the_same_id_always_and_for_its_instance_only() -> None:
    assert command_id_of("receipt 17", ALICE) == bytes.fromhex(RECEIPT_17)
    others = [
        command_id_of("receipt 17", BOB),
        command_id_of("receipt 18", ALICE),
        command_id_of("receipt 17", Message("other", "alice", Deposit(5))),
    ]
    assert len({command_id_of("receipt 17", ALICE), *others}) == 4


def test_ids_and_texts_that_run_into_each_other_are_told_apart() -> None:
    assert command_id_of("b/c", accounts.to("a", Deposit(5))) != command_id_of("c", accounts.to("a/b", Deposit(5)))


def test_no_id_is_a_new_one_each_time() -> None:
    assert command_id_of(None, ALICE) != command_id_of(None, ALICE)


def test_a_record_says_when_its_command_expires_and_which_version_it_expects() -> None:
    machine = app.wiring.machine("account")
    record = command_record(
        machine, ALICE, 1_000, id=ID, expected_version=3, expires_after=timedelta(seconds=2, microseconds=1_999)
    )
    assert (record.key, record.time_ms) == (b"alice", 1_000)
    assert machine.commands.decode(record.value or b"") == Deposit(5)
    envelope = read_envelope(record.envelope)
    assert envelope.command_id == ID.bytes
    assert envelope.options == Options(expected_version=3, expires=3_001)


class Note(Value):
    """A command that may be large."""

    text: str


class Notes(Value):
    """A state."""


def decide(notes: Notes, command: Note) -> list[Note]:
    """Write nothing."""
    return []


def evolve(notes: Notes, event: Note) -> Notes:
    """Nothing changes."""
    return notes


notes = Aggregate("notes", Notes, decide, evolve)


def test_a_command_too_large_for_its_outcome_is_refused_before_it_is_sent() -> None:
    machine = App("notes", [notes]).wiring.machine("notes")
    with pytest.raises(InvalidValue, match=f"Note: .* bytes; a command may have {COMMAND_BYTES_MAX}"):
        command_record(machine, notes.to("n", Note("x" * COMMAND_BYTES_MAX)), 1_000)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Outcome(ID, "accepted", 3, Cut()), "accepted"),
        (Outcome(ID, "accepted", 3, Cut(), repeated=True), "accepted, as before"),
        (Outcome(ID, "refused", 3, Cut(), "closed"), "refused: closed"),
        (Outcome(ID, "refused", 3, Cut(), "closed", "at five", repeated=True), "refused: closed (at five), as before"),
    ],
)
def test_an_outcome_reads_as_a_sentence(outcome: Outcome, said: str) -> None:
    assert str(outcome) == said
    assert outcome.accepted == (outcome.kind == "accepted")
