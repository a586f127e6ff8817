"""An operator's orders: read back as they were written, told apart from every command of an app, refused when damaged."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventcore import Value
from eventcore.avro.catalogue import Catalogue
from eventcore.avro.control import (
    CONTROL_SCHEMAS,
    Control,
    Discard,
    Release,
    check_apart,
    is_control,
    read_control,
    write_control,
)
from eventcore.errors import DecodeError, NotSupported

orders: st.SearchStrategy[Control] = st.one_of(
    st.builds(Release, st.integers(0, 2**63 - 1)), st.builds(Discard, st.booleans())
)


@given(orders)
def test_an_order_is_read_back(order: Control) -> None:
    written = write_control(order)
    assert is_control(written)
    assert read_control(written) == order
    assert written[2:10] in CONTROL_SCHEMAS


@given(orders, st.binary(min_size=1, max_size=4))
def test_an_order_with_more_behind_it_is_refused(order: Control, more: bytes) -> None:
    with pytest.raises(DecodeError):
        read_control(write_control(order) + more)


def test_an_apps_own_release_is_another_record() -> None:
    class Own(Value):
        avro_name: ClassVar[str] = "bank.account.Release"
        foreign_below: int = 0

    value = Catalogue([Own], "bank.account").encode(Own())
    assert not is_control(value)
    assert read_control(value) is None
    assert read_control(b"") is None


def test_a_command_that_takes_the_schema_of_an_order_is_refused_when_the_app_is_built() -> None:
    with pytest.raises(NotSupported, match=r"bank\.Thief has the schema of an order"):
        check_apart([("bank.Thief", write_control(Release())[:10])])
