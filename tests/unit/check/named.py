"""A machine all of whose parts are sets of names: their order is another in each process. Run, it links, follows, resumes."""

from __future__ import annotations

import sys
from pathlib import Path

from eventcore import Aggregate, Value, require
from eventcore.check import Bounds, Checked, Scope, always, check, follow

NAMES = frozenset({"ada", "ben", "cleo", "dora", "emil", "fritz"})


class Guests(Value):
    """Who is there."""

    names: frozenset[str] = frozenset()


class Come(Value):
    """Some come together."""

    names: frozenset[str]


class Came(Value):
    """They came."""

    names: frozenset[str]


def decide(guests: Guests, come: Come) -> list[Came]:
    """Nobody comes twice."""
    require(not come.names & guests.names, "is_here")
    return [Came(come.names)]


def evolve(guests: Guests, came: Came) -> Guests:
    """The guests after `came`."""
    return Guests(guests.names | came.names)


def room_for_four(guests: Guests) -> bool:
    """More than four have no room."""
    return len(guests.names) < 5


guests = Aggregate("guests", Guests, decide, evolve)
PAIRS = frozenset(frozenset({one, two}) for one in NAMES for two in NAMES)
checked = Checked(
    guests,
    Scope(domains={"names": PAIRS}),
    properties=[always(room_for_four)],
    initial=lambda: {Guests(frozenset({name})) for name in NAMES},
)


def told(link: str) -> str:
    """The link, and where it leads."""
    trace = follow(checked, link)
    way = [trace.initial, *(step.after for step in trace.steps)]
    return f"{link} {' '.join('+'.join(sorted(each.names)) for each in way)}"


def run(what: str, given: str) -> str:
    """What this process has to say."""
    match what:
        case "link":
            return told(check(checked).findings[0].link)
        case "follow":
            return told(given)
        case "cut":
            return str(check(checked, keep_going=True, bounds=Bounds(20), resume=Path(given)).distinct)
        case _:
            report = check(checked, keep_going=True, resume=Path(given))
            return f"{report.verdict} {report.distinct} {report.transitions} {report.depth}"


if __name__ == "__main__":
    sys.stdout.write(run(sys.argv[1], sys.argv[-1]))
