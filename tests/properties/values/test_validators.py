"""The generated validator of a class accepts exactly what the walk over its shapes accepts."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventcore.annotations import shape_of
from eventcore.errors import InvalidValue
from eventcore.testing.strategies import values_of
from eventcore.validate import problem_of, validate
from eventcore.value import Map, Value
from tests.strategies import value_classes

STRANGERS: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        1,
        -1,
        101,
        2**63,
        1.0,
        1.25,
        "1.25",
        "12",
        float("nan"),
        float("inf"),
        "",
        "a",
        "\ud800",
        b"",
        b"a",
    ),
    *(Decimal("NaN"), Decimal("1E+50"), Decimal("0.001"), datetime(2024, 1, 1), date(2024, 1, 1)),  # noqa: DTZ001
    *(
        timedelta.max,
        UUID(int=1),
        (),
        (None,),
        frozenset[int](),
        frozenset([1]),
        Map[int](),
        Map({"a": None}),
        list[int](),
        Value(),
    ),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_a_validator_accepts_exactly_what_nothing_is_wrong_with(data: st.DataObject) -> None:
    cls = data.draw(value_classes())
    value = data.draw(values_of(cls))
    validate(value)
    fields: dict[str, Any] = {field.name: getattr(value, field.name) for field in shape_of(cls)}
    for name in fields:
        other = cls(**{**fields, name: data.draw(st.sampled_from(STRANGERS))})
        problems = [problem_of(f.shape, getattr(other, f.name), f"{cls.__name__}.{f.name}") for f in shape_of(cls)]
        first = next((p for p in problems if p is not None), None)
        assert first == refused(other)


def refused(value: Value) -> tuple[str, str] | None:
    """What the validator says; None where it accepts."""
    try:
        validate(value)
    except InvalidValue as invalid:
        return invalid.path, invalid.problem
    return None
