"""What the generators of encoders and decoders share: lines of source, names for constants, and constraints as source.

Generated source is made from class definitions only, never from data.
"""

from __future__ import annotations

import re
from decimal import Decimal

from eventcore.annotations import shape_of
from eventcore.shape import Bytes, Float, Int, Many, MapOf, Maybe, Number, OneOf, Record, SetOf, Shape, Str
from eventcore.value import Value


class Source:
    """A module under construction: its lines, and the constants that they name."""

    def __init__(self, **names: object) -> None:
        self.lines: list[str] = []
        self.names: dict[str, object] = names
        self._count = 0

    def add(self, indent: int, *lines: str) -> None:
        """Append lines at a depth of `indent` blocks."""
        self.lines.extend("    " * indent + line for line in lines)

    def fresh(self, stem: str) -> str:
        """A name that occurs nowhere else in this module."""
        self._count += 1
        return f"{stem}{self._count}"

    def bind(self, thing: object, stem: str = "c") -> str:
        """A fresh name that means `thing` in the module."""
        name = self.fresh(stem)
        self.names[name] = thing
        return name

    def run(self, title: str) -> dict[str, object]:
        """Compile and execute the module; its names afterwards."""
        exec(compile("\n".join(self.lines), f"<{title}>", "exec"), self.names)  # noqa: S102 - made here from definitions
        return self.names


def is_small(cls: type[Value]) -> bool:
    """Whether no value of this class can come near the limit of a body, so that it need not be tested."""
    return all(_is_small(field.shape) for field in shape_of(cls))


def _is_small(shape: Shape) -> bool:
    match shape:
        case Str() | Bytes() | Many() | SetOf() | MapOf():
            return False
        case Maybe(of):
            return _is_small(of)
        case Record(cls):
            return is_small(cls)
        case OneOf(classes):
            return all(is_small(cls) for cls in classes)
        case _:
            return True


def constraint(shape: Shape, x: str, source: Source) -> str | None:
    """A boolean expression that is true where the bounds of `shape` hold for the name `x`; None where there are none.

    Types, and the low and high of integers, are not in it: the generators test those where they are cheapest.
    """
    tests: list[str] = []
    match shape:
        case Int(_, _, step) if step:
            tests.append(f"{x} % {step} == 0")
        case Str(low, high, pattern):
            tests += _length(low, high, x)
            if pattern is not None:
                tests.append(f"{source.bind(re.compile(pattern).search, 'search')}({x})")
        case Bytes(low, high) | Many(_, low, high) | SetOf(_, low, high) | MapOf(_, low, high):
            tests += _length(low, high, x)
        case Float(bounds) | Number(_, _, bounds):
            exact = Decimal if isinstance(shape, Number) else float
            for sign, bound in ((">=", bounds.ge), (">", bounds.gt), ("<=", bounds.le), ("<", bounds.lt)):
                if bound is not None:
                    tests.append(f"{x} {sign} {source.bind(exact(bound), 'bound')}")
            if isinstance(shape, Float):
                tests.append(f"{x} - {x} == 0.0")  # false for NaN and both infinities
        case _:
            pass
    return " and ".join(tests) or None


def _length(low: int, high: int | None, x: str) -> list[str]:
    tests = [f"len({x}) >= {low}"] if low else []
    return tests if high is None else [*tests, f"len({x}) <= {high}"]
