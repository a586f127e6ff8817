"""The context: a turn's time and identity, and nothing else of the world."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventcore import Context

ID = UUID("12345678-1234-5678-1234-567812345678")


def test_time_is_the_physical_part_of_the_stamp() -> None:
    assert Context(stamp=(1_700_000_000_123 << 16) + 65_535, command=ID.bytes).time == datetime(
        2023, 11, 14, 22, 13, 20, 123_000, tzinfo=UTC
    )


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001 - `timezones` says which
def test_a_context_at_a_time_tells_that_time_to_the_millisecond(time: datetime) -> None:
    told = Context.at(time, ID).time
    assert timedelta(0) <= time - told < timedelta(milliseconds=1)
    assert told.tzinfo is UTC


def test_a_time_in_another_zone_is_the_same_time() -> None:
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert Context.at(noon.astimezone(timezone(timedelta(hours=5))), ID) == Context.at(noon, ID)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        Context.at(datetime(2024, 5, 1), ID)  # noqa: DTZ001 - the mistake under test


def test_ids_follow_from_the_command_and_a_name_as_rfc_9562_says() -> None:
    context = Context(stamp=0, command=ID.bytes)
    assert context.command_id == ID
    assert context.uuid("order") == uuid5(ID, "order")
    assert context.uuid("order") != context.uuid("payment")
