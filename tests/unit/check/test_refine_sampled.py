"""Versions whose commands are sampled, of other bounds, or decided at other times: what the old one does is asked of itself."""

from __future__ import annotations

from datetime import UTC, datetime
from types import new_class
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta
from msgspec.structs import replace

from eventcore import Aggregate, Context, Value, require
from eventcore.check import Checked, Scope
from eventcore.check.refine import refine
from eventcore.check.refinement import Refinement, Steps

MOST = 10


class Jar(Value):
    """How many beans are in it."""

    beans: Annotated[int, Meta(ge=0, le=MOST)] = 0


class Added(Value):
    """Beans were added."""

    beans: Annotated[int, Meta(ge=0, le=MOST)]


def evolve(jar: Jar, event: Added) -> Jar:
    return replace(jar, beans=jar.beans + event.beans)


def jar_of(bounds: Any, times: int = 1) -> Aggregate[Any, Any, Any]:
    """A jar to which so many beans are added as `bounds` allow, `times` as many as was asked."""
    add: Any = new_class("Add", (Value,), exec_body=lambda names: names.update(__annotations__={"beans": bounds}))

    def decide(jar: Jar, command: Any) -> list[Added]:
        require(jar.beans + command.beans * times <= MOST, "full")
        return [Added(command.beans * times)]

    decide.__annotations__ = {"jar": Jar, "command": add, "return": list[Added]}
    return Aggregate("jar", Jar, decide, evolve)


ANY_NUMBER = Annotated[int, Meta(ge=0)]
FEW = Annotated[int, Meta(ge=0, le=MOST)]


def partings(found: Refinement) -> set[tuple[str, str, str]]:
    return {(each.parting, each.was, each.now) for each in found.differences}


def test_a_step_that_the_old_version_makes_by_the_same_command_is_mapped_though_it_was_no_sample() -> None:
    found = refine(jar_of(ANY_NUMBER), jar_of(FEW))
    assert (found.verdict, found.findings, found.steps.bad) == ("inconclusive", [], 0)
    assert partings(found) == set()
    assert [reason.what for reason in found.reasons] == ["Add.beans of the old version was sampled: 0, 1, 2"]


def test_a_step_that_no_sample_of_the_old_version_makes_is_open() -> None:
    found = refine(jar_of(ANY_NUMBER, 2), jar_of(FEW))
    assert (found.verdict, found.findings) == ("inconclusive", [])
    assert found.steps.bad > 0
    (said,) = [reason.what for reason in found.reasons if "as far as its commands were tried" in reason.what]
    assert said.startswith(
        "no step of the old version leads from Jar(beans=0) to Jar(beans=1), as Add(beans=1) does in Jar(beans=0), "
    )
    declared = Checked(jar_of(ANY_NUMBER, 2), Scope(domains={"beans": range(MOST + 1)}))
    assert [each.name for each in refine(declared, jar_of(FEW)).findings] == ["step"]


def test_a_command_out_of_the_old_versions_bounds_is_none_of_its_steps() -> None:
    found = refine(jar_of(Annotated[int, Meta(ge=0, le=4)]), jar_of(FEW))
    assert (found.verdict, [each.name for each in found.findings]) == ("fail", ["step"])
    assert partings(found) == {("accepted now", "out of bounds", "accepted")}
    assert refine(jar_of(FEW), jar_of(Annotated[int, Meta(ge=0, le=4)])).verdict == "pass"


class Look(Value):
    """Look into it."""


class Seen(Value):
    """What was seen, and in which year."""

    year: int


class Diary(Value):
    """The last year in which somebody looked."""

    year: int = 0


def look(_: Diary, __: Look, context: Context) -> list[Seen]:
    return [Seen(context.time.year)]


def seen(_: Diary, event: Seen) -> Diary:
    return Diary(event.year)


def test_both_versions_are_asked_at_the_same_time() -> None:
    diaries = Aggregate("diary", Diary, look, seen)
    old, new = (
        Checked(diaries, Scope(contexts=[Context.at(datetime(year, 1, 1, tzinfo=UTC), UUID(int=1))]))
        for year in (2026, 2031)
    )
    found = refine(old, new)
    assert (found.steps, partings(found)) == (Steps(1, 1, 0), set())
    assert found.findings == []
