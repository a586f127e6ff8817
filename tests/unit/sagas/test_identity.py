"""The ids of a saga's commands are storage: they outlive every release."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from sagas import command_id

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True)
requests = st.tuples(names, st.text(max_size=6), names, st.sampled_from(["do", "undo"]))


def test_a_commands_id_never_changes() -> None:
    # The first 16 bytes of SHA-1 over the namespace's bytes and `transfer/hold/do/t1`, version and variant bits set.
    assert UUID(bytes=command_id("transfer", "t1", "hold", "do")) == UUID("4dc16529-2790-5efc-9c14-600e99bd7404")


@given(requests, requests)
def test_two_requests_have_one_id_only_if_they_are_one(
    one: tuple[str, str, str, str], other: tuple[str, str, str, str]
) -> None:
    assert (command_id(*one) == command_id(*other)) is (one == other)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - drawn from the two actions
